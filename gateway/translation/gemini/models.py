"""What the generations of Gemini's models want and take, told by their names.

Sources: https://ai.google.dev/gemini-api/docs/thinking and /thought-signatures,
https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/thinking (2026-11).
"""

from __future__ import annotations

import re

from gateway.translation.conversation import Reasoning
from gateway.translation.gemini.asked import Thinking
from gateway.translation.reasoning import budget_of, effort_of

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_LATEST = re.compile(r"gemini-[a-z-]+-latest")
_NEW = (3, 0)
_FIRST_TO_THINK = (2, 5)
_BARELY = re.compile(r"gemini-3(?:\.[156])?-flash")
"""These can think `minimal`ly; of the others, not even all of the same generation."""
_LEVELS = {"low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH"}
_NO_MEDIUM = re.compile(r"gemini-3-pro")
_BUDGETS = (
    (re.compile("flash-lite"), 512, 24_576, True),
    (re.compile("flash"), 1, 24_576, True),
    (re.compile("pro"), 128, 32_768, False),
)
"""Of Gemini 2.5: the least and the most tokens, and whether it can do without thinking."""


def _version(model: str) -> tuple[int, int]:
    """Return the generation; (0, 0) if the name does not tell."""
    found = _VERSION.search(model)
    if found is None:
        return _NEW if _LATEST.search(model) else (0, 0)
    return int(found[1][:4]), int((found[2] or "0")[:4])


def is_new(model: str) -> bool:
    """Say whether it is Gemini 3 or later: it wants signatures, thinks by levels, and sees what functions return."""
    return _version(model) >= _NEW


def thinks(model: str) -> bool:
    """Say whether it takes a `thinkingConfig`; a name that tells nothing may be a tuned or renamed one."""
    version = _version(model)
    return version >= _FIRST_TO_THINK or version == (0, 0)


def thinking(model: str, reasoning: Reasoning, max_tokens: int | None) -> Thinking:
    """Return how much this model shall think."""
    shown = True if reasoning.show is None and reasoning.summary else reasoning.show
    config = Thinking(include_thoughts=shown)
    if is_new(model):
        config.thinking_level = _level(model, effort_of(reasoning, max_tokens))
    elif reasoning.effort or reasoning.budget is not None:
        config.thinking_budget = _budget(model, budget_of(reasoning, max_tokens))
    return config


def _level(model: str, effort: str) -> str | None:
    if effort in ("none", "minimal"):
        return "MINIMAL" if _BARELY.search(model) else "LOW"
    if effort == "medium" and _NO_MEDIUM.search(model):
        return "HIGH"
    return _LEVELS.get(effort)


def _budget(model: str, budget: int) -> int:
    if budget < 0:
        return -1
    for name, least, most, optional in _BUDGETS:
        if name.search(model):
            return 0 if optional and not budget else min(max(budget, least), most)
    return budget
