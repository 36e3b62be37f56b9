"""Writes how much a model is to think, as its generation takes it.

Source: https://platform.claude.com/docs/en/build-with-claude/thinking (2026-11): a number of tokens must be smaller
than max_tokens; a model that thinks cannot be made to call a tool; without thought, effort ends at `high`.
"""

from __future__ import annotations

import msgspec

from gateway.translation.claude import Claude
from gateway.translation.conversation import Reasoning, Request
from gateway.translation.reasoning import LEAST, SHARES, USUAL_ANSWER, budget_of, effort_of

FORCED = ("any", "tool")
"""Choices that make the model call a tool."""


class Thought(msgspec.Struct, omit_defaults=True):
    """The field `thinking`."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


_DISABLED = Thought("disabled")
_LESSER = {"minimal": "low", "xhigh": "high", "max": "high"}


def think(
    request: Request, takes: Claude, lost: list[str], *, max_tokens: int, forced: bool
) -> tuple[Thought | None, str]:
    """Return `thinking` and the effort; add `reasoning` to `lost` if there is no way to say it.

    `max_tokens` is what is asked of Anthropic; an effort is a share of what the client asked for.
    """
    reasoning = request.reasoning
    if forced and not takes.thinks_always:
        return _without(reasoning, takes, lost)
    if reasoning is None:
        return None, ""
    if budget_of(reasoning, request.max_tokens) == 0:
        return _silent(takes, lost)
    effort = _lesser(reasoning.effort or effort_of(reasoning, request.max_tokens), takes.efforts)
    counted = reasoning.budget is not None and reasoning.budget > 0
    if takes.adaptive and not (counted and takes.budgets):
        return Thought("adaptive", display=_display(reasoning)), effort
    if takes.budgets:
        return _counted(request, reasoning, takes, lost, max_tokens), effort if reasoning.effort else ""
    lost.append("reasoning")
    return None, ""


def _silent(takes: Claude, lost: list[str]) -> tuple[Thought | None, str]:
    """Do not think, or as little as the model can."""
    if takes.thinks_always:
        lost.append("reasoning")
        return None, takes.efforts[0]
    return _DISABLED if takes.budgets or takes.adaptive else None, ""


def _without(reasoning: Reasoning | None, takes: Claude, lost: list[str]) -> tuple[Thought | None, str]:
    """Do not think, as a tool must be called; what is said of effort goes on."""
    asked = reasoning is not None and budget_of(reasoning, None) != 0
    effort = reasoning.effort if reasoning is not None and asked else ""
    if asked and not (effort and takes.efforts):
        lost.append("reasoning")
    silent = takes.thinks_unasked or (reasoning is not None and not asked and takes.budgets)
    return _DISABLED if silent else None, _lesser(effort, ("low", "medium", "high")) if takes.efforts else ""


def _counted(
    request: Request, reasoning: Reasoning, takes: Claude, lost: list[str], max_tokens: int
) -> Thought | None:
    """Think with a number of tokens, of which an answer must be left."""
    budget = budget_of(reasoning, request.max_tokens)
    if budget < 0:
        budget = int((request.max_tokens or USUAL_ANSWER) * SHARES["medium"])
    budget = min(max(budget, LEAST), max_tokens - 1)
    if budget < LEAST:  # an effort is satisfied: so short an answer takes none
        if reasoning.budget is not None:
            lost.append("reasoning")
        return None
    return Thought("enabled", budget, _display(reasoning) if takes.adaptive else None)


def _lesser(effort: str, known: tuple[str, ...]) -> str:
    if effort in known or not effort:
        return effort
    lesser = _LESSER.get(effort, "")
    return lesser if lesser in known else ""


def _display(reasoning: Reasoning) -> str | None:
    """Return whether to show the thoughts; who asks for a summary wants to see it."""
    show = True if reasoning.summary and reasoning.show is None else reasoning.show
    return None if show is None else "summarized" if show else "omitted"
