"""How long the answer to a request can get, and writing a limit into one that has none; in every format.

Sources: the API references of OpenAI, Anthropic, Gemini and Bedrock (2026-11). Every other value keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.wire.merging import merge

Path = tuple[str, ...]
_CONFIG, _SNAKE = "generationConfig", "generation_config"

_LIMITS: Mapping[str, tuple[Path, ...]] = {
    "openai.chat": (("max_tokens",), ("max_completion_tokens",)),
    "openai.completions": (("max_tokens",),),
    "openai.responses": (("max_output_tokens",),),
    "anthropic.messages": (("max_tokens",),),
    "gemini.generate": (
        (_CONFIG, "maxOutputTokens"),
        (_CONFIG, "max_output_tokens"),
        (_SNAKE, "maxOutputTokens"),
        (_SNAKE, "max_output_tokens"),
    ),
    "bedrock.converse": (("inferenceConfig", "maxTokens"),),
}
"""Where a format says how many tokens the model may write; the first is written where there is none."""
_NEWER = ("openai", "azure")
"""Whose reasoning models refuse `max_tokens`; other providers of this API may not know its successor."""
_TIMES: Mapping[str, tuple[Path, ...]] = {
    "openai.chat": (("n",),),
    "openai.completions": (("n",), ("best_of",)),
    "gemini.generate": (
        (_CONFIG, "candidateCount"),
        (_CONFIG, "candidate_count"),
        (_SNAKE, "candidateCount"),
        (_SNAKE, "candidate_count"),
    ),
}
_SILENT = frozenset({"openai.embeddings", "gemini.embed", "gemini.batch_embed"})
"""Formats whose answers are no tokens."""


class Capped(NamedTuple):
    """A request, and what its answer has at most."""

    body: bytes
    tokens: int
    """Of all answers together."""
    told: int
    """The limit that was written into the request; 0: it had one that is small enough."""


def cap(surface: str, provider: str, asked: dict[str, Any], body: bytes, most: int) -> Capped | None:
    """Return the request with a limit of at most `most` tokens for each answer; None if its format has no limit.

    `asked` is the body, decoded. `most` 0: nothing is written, so None also if the request has no limit of its own.
    """
    if surface in _SILENT:
        return Capped(body, 0, 0)
    paths = _LIMITS.get(surface)
    if paths is None:
        return None
    said = {path: value for path in paths if (value := _at(asked, path)) is not None}
    if (times := _times(surface, asked)) is None:
        return None
    limits = [value for value in said.values() if _is_count(value)]
    if said and len(limits) == len(said) and (not most or max(limits) <= most):
        return Capped(body, max(limits) * times, 0)
    if not most:
        return None
    told = min([most, *limits])
    changes: dict[str, Any] = {}
    for path in said or (_default(surface, provider, asked),):
        _put(changes, path, told)
    return Capped(merge(body, changes), told * times, told)


def _default(surface: str, provider: str, asked: Mapping[str, Any]) -> Path:
    paths = _LIMITS[surface]
    if surface == "openai.chat" and provider in _NEWER:
        return paths[1]
    if surface == "gemini.generate" and _SNAKE in asked:
        return paths[2]
    return paths[0]


def _times(surface: str, asked: Mapping[str, Any]) -> int | None:
    """Return how many answers are written; None if it is no number that says so: some provider may read it as one."""
    counts = [count for path in _TIMES.get(surface, ()) if (count := _at(asked, path)) is not None]
    if not all(map(_is_number, counts)):
        return None
    times = max([1, *(-int(-count // 1) for count in counts)])
    prompts = asked.get("prompt") if surface == "openai.completions" else None
    if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int):
        times *= len(prompts)  # each is answered
    return times


def _at(asked: Any, path: Path) -> Any:  # noqa: ANN401 - whatever the client wrote there
    for name in path:
        if not isinstance(asked, dict):
            return None
        asked = asked.get(name)
    return asked


def _put(changes: dict[str, Any], path: Path, value: int) -> None:
    for name in path[:-1]:
        changes = changes.setdefault(name, {})
    changes[path[-1]] = value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
