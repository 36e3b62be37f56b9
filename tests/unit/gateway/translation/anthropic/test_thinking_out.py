"""How much to think, as each generation takes it."""

from typing import Any

import pytest

from gateway.translation.anthropic.thinking_out import Thought, think
from gateway.translation.claude import claude
from gateway.translation.conversation import Message, Reasoning, Request, Text

OLD, BOTH, NEW, ALWAYS, NEVER = (
    "claude-sonnet-4-5",
    "claude-sonnet-4-6",
    "claude-opus-5",
    "claude-fable-5",
    "claude-3-haiku-20240307",
)


def thinks(
    model: str, *, max_tokens: int | None = 10_000, forced: bool = False, **reasoning: Any
) -> tuple[Thought | None, str, list[str]]:
    request = Request(
        messages=(Message("user", (Text("x"),)),),
        reasoning=Reasoning(**reasoning) if reasoning else None,
        max_tokens=max_tokens,
    )
    lost: list[str] = []
    thought, effort = think(request, claude(model), lost, max_tokens=max_tokens or 64_000, forced=forced)
    return thought, effort, lost


@pytest.mark.parametrize(
    ("model", "reasoning", "thought", "effort"),
    [
        (OLD, {"effort": "medium"}, Thought("enabled", 5000), ""),
        (OLD, {"budget": 3000, "show": True}, Thought("enabled", 3000), ""),
        (OLD, {"budget": -1}, Thought("enabled", 5000), ""),
        (OLD, {"budget": 12}, Thought("enabled", 1024), ""),
        (OLD, {"budget": 20_000}, Thought("enabled", 9999), ""),
        (OLD, {"effort": "none"}, Thought("disabled"), ""),
        ("claude-opus-4-5", {"effort": "high"}, Thought("enabled", 8000), "high"),
        (BOTH, {"effort": "xhigh"}, Thought("adaptive"), "high"),
        (BOTH, {"effort": "minimal", "show": False}, Thought("adaptive", display="omitted"), "low"),
        (BOTH, {"budget": 3000, "show": True}, Thought("enabled", 3000, "summarized"), ""),
        (NEW, {"effort": "xhigh"}, Thought("adaptive"), "xhigh"),
        (NEW, {"budget": 2000}, Thought("adaptive"), "low"),
        (NEW, {"budget": -1, "summary": "auto"}, Thought("adaptive", display="summarized"), ""),
        (NEW, {"budget": 0}, Thought("disabled"), ""),
        (NEVER, {"budget": 0}, None, ""),
        (NEW, {}, None, ""),
    ],
)
def test_an_effort_or_a_budget_is_said_in_the_models_words(model, reasoning, thought, effort):
    assert thinks(model, **reasoning) == (thought, effort, [])


@pytest.mark.parametrize(("reasoning", "lost"), [({"effort": "low"}, []), ({"budget": 2000}, ["reasoning"])])
def test_a_short_answer_takes_no_thought(reasoning, lost):
    assert thinks(OLD, max_tokens=1024, **reasoning) == (None, "", lost)


def test_a_model_that_does_not_think_is_told():
    assert thinks(NEVER, effort="high") == (None, "", ["reasoning"])


def test_one_that_always_thinks_cannot_be_stopped():
    assert thinks(ALWAYS, effort="none") == (None, "low", ["reasoning"])


@pytest.mark.parametrize(
    ("model", "reasoning", "result"),
    [
        (OLD, {"effort": "high"}, (None, "", ["reasoning"])),
        (OLD, {}, (None, "", [])),
        (BOTH, {"effort": "medium"}, (None, "medium", [])),
        (BOTH, {"budget": 2000}, (None, "", ["reasoning"])),
        (NEW, {"effort": "max"}, (Thought("disabled"), "high", [])),
        (NEW, {}, (Thought("disabled"), "", [])),
        (ALWAYS, {"effort": "max"}, (Thought("adaptive"), "max", [])),
    ],
)
def test_who_must_call_a_tool_does_not_think(model, reasoning, result):
    assert thinks(model, forced=True, **reasoning) == result


def test_without_a_limit_an_effort_is_a_share_of_a_usual_answer():
    assert thinks(OLD, max_tokens=None, effort="medium") == (Thought("enabled", 8192), "", [])
    assert thinks(NEW, max_tokens=None, budget=12_000) == (Thought("adaptive"), "high", [])
