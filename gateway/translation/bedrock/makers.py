"""What differs from maker to maker behind Converse: thinking, top_k and caches have no common words.

Sources (2026-11): https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html,
https://docs.aws.amazon.com/nova/latest/nova2-userguide/using-converse-api.html; which model takes `reasoning_effort`:
litellm 1.106.2, llms/bedrock/chat/converse_transformation.py.
"""

from __future__ import annotations

import re
from typing import Any

from gateway.translation.claude import claude
from gateway.translation.conversation import Reasoning
from gateway.translation.reasoning import LEAST, SHARES, USUAL_ANSWER, budget_of, effort_of

CLAUDE, NOVA, UNKNOWN = "anthropic", "amazon", ""
_MAKER = re.compile(r"(?:^|[./])(?:[a-z]{2,6}\.)?([a-z0-9]+)\.[a-z0-9]")
_THREE = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high"}


def maker_of(model: str) -> str:
    """Return who made the model, as its id says; empty for an ARN of one's own, behind which it is hidden."""
    found = _MAKER.search(model)
    return found[1] if found is not None else UNKNOWN


def like_claude(maker: str) -> bool:
    """Say whether to take it for a Claude model: nobody else's signed thoughts come back to an unknown one."""
    return maker in (CLAUDE, UNKNOWN)


def caches(maker: str) -> bool:
    """Say whether cache points may be set; other models refuse them."""
    return maker in (CLAUDE, NOVA, UNKNOWN)


def top_k(maker: str, value: int) -> dict[str, Any] | None:
    """Return the additional field; None: there is none."""
    if maker == NOVA:
        return {"inferenceConfig": {"topK": value}}
    return {"top_k": value} if like_claude(maker) or maker == "mistral" else None


def thinking(
    model: str, maker: str, reasoning: Reasoning, max_tokens: int | None
) -> tuple[dict[str, Any], int | None] | None:
    """Return the additional fields and how long the answer may be; None: it cannot be said to this model."""
    if like_claude(maker):
        return _of_claude(model, reasoning, max_tokens)
    effort = effort_of(reasoning, max_tokens)
    if maker == NOVA and "nova-2" in model:
        asked = {"type": "enabled", "maxReasoningEffort": _THREE.get(effort, "medium")}
        return {"reasoningConfig": asked if effort != "none" else {"type": "disabled"}}, max_tokens
    if maker in ("openai", "deepseek") and effort in _THREE:
        return {"reasoning_effort": _THREE[effort]}, max_tokens
    return ({}, max_tokens) if effort in ("", "none") else None


def _of_claude(
    model: str, reasoning: Reasoning, max_tokens: int | None
) -> tuple[dict[str, Any], int | None] | None:
    known = claude(model)
    budget = budget_of(reasoning, max_tokens)
    if budget == 0:
        if known.thinks_always:
            return None
        return ({"thinking": {"type": "disabled"}} if known.thinks_unasked else {}), max_tokens
    if known.adaptive and not (known.budgets and reasoning.budget):
        return _adaptive(reasoning, effort_of(reasoning, max_tokens), known.efforts), max_tokens
    if not known.budgets:
        return None
    if budget < 0:
        budget = max(int((max_tokens or USUAL_ANSWER) * SHARES["medium"]), LEAST)
    if max_tokens is not None and budget >= max_tokens:
        return None
    fields = {"thinking": {"type": "enabled", "budget_tokens": budget}}
    return fields, max_tokens or min(budget + USUAL_ANSWER, known.max_output)


def _adaptive(reasoning: Reasoning, effort: str, efforts: tuple[str, ...]) -> dict[str, Any]:
    how: dict[str, Any] = {"type": "adaptive"}
    show = reasoning.show if reasoning.show is not None else True if reasoning.summary else None
    if show is not None:
        how["display"] = "summarized" if show else "omitted"
    wanted = reasoning.effort if reasoning.effort in efforts else _THREE.get(effort, "")
    return {"thinking": how, "output_config": {"effort": wanted}} if wanted else {"thinking": how}
