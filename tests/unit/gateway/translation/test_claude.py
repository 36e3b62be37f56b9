"""Generations of Claude: names at every house that offers them."""

import pytest

from gateway.translation.claude import claude


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-3-haiku-20240307", 4096),
        ("claude-opus-4-20250514", 32_000),
        ("claude-opus-4-1@20250805", 32_000),
        ("anthropic.claude-sonnet-4-20250514-v1:0", 64_000),
        ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", 64_000),
        ("claude-opus-4-5", 64_000),
        ("claude-sonnet-4.6", 128_000),
        ("claude-opus-5", 128_000),
        ("claude-mythos-preview", 128_000),
        ("deepseek-chat", 8192),
    ],
)
def test_the_longest_answer_follows_from_the_name(model, tokens):
    assert claude(model).max_output == tokens


@pytest.mark.parametrize(
    ("model", "budgets", "adaptive", "samples"),
    [
        ("claude-sonnet-4-5-20250929", True, False, True),
        ("claude-opus-4-6", True, True, True),
        ("claude-opus-4-7", False, True, False),
        ("claude-haiku-5-5", False, True, False),
        ("claude-next", False, True, False),
        ("kimi-k2", True, False, True),
    ],
)
def test_budgets_give_way_to_efforts_and_sampling_ends(model, budgets, adaptive, samples):
    takes = claude(model)

    assert (takes.budgets, takes.adaptive, takes.samples) == (budgets, adaptive, samples)


@pytest.mark.parametrize(
    ("model", "always", "forced"),
    [
        ("claude-sonnet-5", False, True),
        ("claude-fable-5", True, True),
        ("claude-fable-5-1", True, False),
        ("claude-opus-5-5", True, False),
        ("claude-haiku-5-5", False, True),
    ],
)
def test_models_that_always_think_cannot_be_made_to_call(model, always, forced):
    assert (claude(model).thinks_always, claude(model).forces_tools) == (always, forced)


@pytest.mark.parametrize(
    ("model", "inside"),
    [
        ("claude-opus-4-7", False),
        ("claude-opus-4-8", True),
        ("claude-sonnet-5", False),
        ("claude-mythos-preview", False),
    ],
)
def test_only_later_models_take_system_messages_between_others(model, inside):
    assert claude(model).system_inside is inside
