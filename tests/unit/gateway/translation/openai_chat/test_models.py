from __future__ import annotations

import pytest

from gateway.translation.openai_chat.models import (
    counts_thoughts,
    nearest_effort,
    never_thinks,
    signs_calls,
    wants_thoughts,
)


@pytest.mark.parametrize(
    ("model", "counts", "never"),
    [
        ("o1-mini", True, False),
        ("o4-mini-2025-04-16", True, False),
        ("gpt-5-nano", True, False),
        ("gpt-5.6", True, False),
        ("ft:gpt-4o-mini:x", False, True),
        ("gpt-4.1", False, True),
        ("gpt-3.5-turbo", False, True),
        ("chatgpt-4o-latest", False, True),
        ("gpt-oss-120b", False, False),
        ("openai/gpt-5", False, False),  # OpenRouter's
        ("llama-3.3-70b", False, False),
    ],
)
def test_openais_own_models_are_known_by_their_names(model, counts, never):
    assert counts_thoughts(model) == counts
    assert never_thinks(model) == never


def test_only_deepseeks_own_models_want_thoughts_back():
    assert wants_thoughts("deepseek-reasoner")
    assert not wants_thoughts("deepseek-r1-distill-llama-70b")  # Groq's
    assert not wants_thoughts("gpt-4o")


def test_googles_models_sign_calls():
    assert signs_calls("gemini-3-pro")
    assert signs_calls("google/gemini-3-pro")
    assert not signs_calls("gpt-5")


@pytest.mark.parametrize(
    ("model", "effort", "nearest"),
    [
        ("o3-mini", "none", "low"),
        ("gpt-5-nano", "none", "minimal"),
        ("gpt-5-nano", "minimal", "minimal"),
        ("gpt-5.1", "none", "none"),
        ("gpt-5.1", "xhigh", "high"),
        ("gpt-5.6-sol", "minimal", "low"),
        ("gpt-6-sol", "xhigh", "xhigh"),
        ("llama-3.3-70b", "xhigh", "xhigh"),
    ],
)
def test_an_effort_that_a_model_refuses_becomes_the_nearest(model, effort, nearest):
    assert nearest_effort(model, effort) == nearest
