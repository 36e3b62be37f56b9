"""How much to think, as an effort or as a number of tokens.

The share of the answer's tokens that an effort stands for, and the bounds, are those of OpenRouter. Source:
https://openrouter.ai/docs/use-cases/reasoning-tokens, "Reasoning Effort Level" (2026-11).
"""

from __future__ import annotations

from gateway.translation.conversation import Reasoning

SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
LEAST = 1024
"""Anthropic refuses less. Source: https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking (2026-11)."""
MOST = 32_000
USUAL_ANSWER = 16_384
"""Tokens of an answer of which nobody said how long it may be."""


def budget_of(reasoning: Reasoning, max_tokens: int | None) -> int:
    """Return the tokens to think with; 0: not at all, -1: as many as the model likes."""
    if reasoning.budget is not None:
        return reasoning.budget
    if reasoning.effort == "none":
        return 0
    share = SHARES.get(reasoning.effort)
    if share is None:
        return -1
    return min(max(int((max_tokens or USUAL_ANSWER) * share), LEAST), MOST)


def effort_of(reasoning: Reasoning, max_tokens: int | None) -> str:
    """Return the effort, one of OpenAI's; empty if that is for the model to decide."""
    if reasoning.effort:
        return "xhigh" if reasoning.effort == "max" else reasoning.effort
    budget = reasoning.budget
    if budget is None or budget < 0:
        return ""
    if budget == 0:
        return "none"
    share = budget / (max_tokens or USUAL_ANSWER)
    return next((name for name in ("low", "medium") if share <= SHARES[name]), "high")
