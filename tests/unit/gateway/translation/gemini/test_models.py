from __future__ import annotations

import pytest

from gateway.translation.conversation import Reasoning
from gateway.translation.gemini import models


@pytest.mark.parametrize(
    ("model", "new"),
    [
        ("gemini-2.5-flash", False),
        ("gemini-2.0-flash-001", False),
        ("gemini-3-pro-preview", True),
        ("gemini-3.8-flash", True),
        ("gemini-4-hydrogen", True),
        ("gemini-flash-latest", True),
        ("publishers/google/models/gemini-3.1-pro", True),
        ("learnlm", False),
        ("tunedModels/mine", False),
    ],
)
def test_the_name_tells_the_generation(model, new):
    assert models.is_new(model) is new


@pytest.mark.parametrize(
    ("model", "thinks"),
    [
        ("gemini-1.5-pro", False),
        ("gemini-2.0-flash", False),
        ("gemini-2.5-pro", True),
        ("gemini-3-flash", True),
        ("tunedModels/mine", True),
    ],
)
def test_older_models_do_not_think(model, thinks):
    assert models.thinks(model) is thinks


@pytest.mark.parametrize(
    ("model", "effort", "level"),
    [
        ("gemini-3.6-flash", "none", "MINIMAL"),
        ("gemini-3.5-flash-lite", "minimal", "MINIMAL"),
        ("gemini-3.8-flash", "minimal", "LOW"),
        ("gemini-3.1-pro-preview", "none", "LOW"),
        ("gemini-3.1-pro-preview", "medium", "MEDIUM"),
        ("gemini-3-pro-preview", "medium", "HIGH"),
        ("gemini-3-flash", "max", "HIGH"),
        ("gemini-4-hydrogen", "", None),
    ],
)
def test_new_models_think_by_levels_that_they_have(model, effort, level):
    config = models.thinking(model, Reasoning(effort=effort, show=False), None)

    assert (config.thinking_level, config.thinking_budget, config.include_thoughts) == (level, None, False)


@pytest.mark.parametrize(
    ("model", "reasoning", "budget"),
    [
        ("gemini-2.5-flash", Reasoning(budget=0), 0),
        ("gemini-2.5-flash", Reasoning(budget=31_000), 24_576),
        ("gemini-2.5-flash-lite", Reasoning(budget=100), 512),
        ("gemini-2.5-pro", Reasoning(effort="none"), 128),
        ("gemini-2.5-pro", Reasoning(budget=-1), -1),
        ("gemini-2.5-pro", Reasoning(effort="medium"), 8192),
        ("tunedModels/mine", Reasoning(budget=7), 7),
        ("gemini-2.5-pro", Reasoning(summary="auto"), None),
    ],
)
def test_gemini_25_thinks_within_its_budgets(model, reasoning, budget):
    config = models.thinking(model, reasoning, None)

    assert (config.thinking_budget, config.thinking_level) == (budget, None)
    assert config.include_thoughts is (True if reasoning.summary else None)
