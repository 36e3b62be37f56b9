"""What each generation of Claude takes and refuses; a parameter that a model refuses makes the whole request fail.

Sources (2026-11): https://platform.claude.com/docs/en/about-claude/models/migration-guide,
https://platform.claude.com/docs/en/build-with-claude/thinking,
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages; for single models the price
table of litellm 1.106.2 (`max_output_tokens`, `supports_sampling_params`, `supports_forced_tool_use`).
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

_MODEL = re.compile(r"claude-([a-z]+)-(\d)(?:[-.](\d{1,2}))?(?!\d)")
_OLD = re.compile(r"claude-(?:\d|instant)")


class Claude(msgspec.Struct, frozen=True, kw_only=True):
    """One model. The defaults are those of a model that only speaks Anthropic's format: nothing is refused."""

    max_output: int = 8192
    """Tokens."""
    budgets: bool = True
    """Takes a number of tokens to think with."""
    adaptive: bool = False
    """Weighs for itself how much to think."""
    thinks_unasked: bool = False
    thinks_always: bool = False
    efforts: tuple[str, ...] = ()
    samples: bool = True
    """Takes temperature, top_p and top_k."""
    one_sampler: bool = False
    """Takes temperature or top_p, not both."""
    forces_tools: bool = True
    system_inside: bool = False
    """Takes system messages after a user's."""


_BEFORE_4 = Claude(max_output=4096, budgets=False)
_UNVERSIONED = Claude(
    max_output=128_000,
    budgets=False,
    adaptive=True,
    thinks_always=True,
    efforts=("low", "medium", "high"),
    samples=False,
)
"""A Claude of whose name nothing can be told, such as a preview: as careful as can be."""
_ANY = Claude()


@lru_cache(maxsize=512)
def claude(model: str) -> Claude:
    """Return what the model takes, by its name at Anthropic, Amazon or Google."""
    found = _MODEL.search(model)
    if found is not None:
        return _of(found[1], (int(found[2]), int(found[3] or 0)))
    if _OLD.search(model):
        return _BEFORE_4
    return _UNVERSIONED if "claude-" in model else _ANY


def _of(line: str, version: tuple[int, int]) -> Claude:
    reasoner = line in ("fable", "mythos")
    return Claude(
        max_output=_max_output(line, version),
        budgets=version < (4, 7),
        adaptive=version >= (4, 6),
        thinks_unasked=version >= (5, 0),
        thinks_always=reasoner or (version >= (5, 5) and line != "haiku"),
        efforts=_efforts(line, version),
        samples=version < (4, 7),
        one_sampler=version >= (4, 1),
        forces_tools=line == "haiku" or version < ((5, 1) if reasoner else (5, 5)),
        system_inside=version >= (4, 8) and (line, version) != ("sonnet", (5, 0)),
    )


def _max_output(line: str, version: tuple[int, int]) -> int:
    if version >= (4, 6):
        return 128_000
    return 32_000 if line == "opus" and version < (4, 5) else 64_000


def _efforts(line: str, version: tuple[int, int]) -> tuple[str, ...]:
    if version >= (4, 7):
        return ("low", "medium", "high", "xhigh", "max")
    if version >= (4, 6):
        return ("low", "medium", "high", "max")
    return ("low", "medium", "high") if (line, version) == ("opus", (4, 5)) else ()
