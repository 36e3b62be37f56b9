"""Gemini's `usageMetadata` as disjoint buckets.

* `promptTokenCount` includes what was read from a cache; tokens of tools' results (`toolUsePromptTokenCount`) and of
  thoughts stand beside it and beside `candidatesTokenCount`: recorded totals are the sum of the four (2025-2026).
  Source: https://ai.google.dev/api/generate-content#UsageMetadata (2026-11).
* A total without the thoughts means that they are in the candidates' count already (litellm 1.106.2, llms/vertex_ai).
* Pages of documents are counted, and billed, as images (genai-prices 0.2.3, provider `google`); video is billed like
  text by all models that answer in text.
* Embeddings say `promptTokenDetails` (recorded 2026-08). Vertex may send enum values as numbers (recorded 2025-08).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from telemetry.records import Usage


class _Count(msgspec.Struct, rename="camel"):
    modality: Any = None
    token_count: int | None = None


_Counts = list[_Count] | None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    total_token_count: int | None = None
    cached_content_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    prompt_tokens_details: _Counts = None
    prompt_token_details: _Counts = None
    cache_tokens_details: _Counts = None
    candidates_tokens_details: _Counts = None
    tool_use_prompt_tokens_details: _Counts = None


_TIER = re.compile(
    rb'(?i)"(?:serviceTier|trafficType)"\s*:\s*"(?!standard"|on_demand"|\w*unspecified")(?:on_demand_)?(\w+)"'
)
"""Gemini's own API names a tier, Vertex a kind of traffic (google-genai 3.4.0, 2026-11)."""
_decoder = msgspec.json.Decoder(_Usage, strict=False)
_IMAGE = frozenset({"IMAGE", "DOCUMENT", 2, 5})
_AUDIO = frozenset({"AUDIO", 4})
_TEXT = frozenset({"TEXT", 1})
_MOST = 10**12
"""Tokens beyond this are nonsense, and at what models cost more than a column of money can hold."""


def parse_usage(raw: bytes) -> Usage | None:
    """Return the buckets, or None if this says nothing of tokens; a detail beyond its total is clipped."""
    try:
        said = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    prompt, candidates = said.prompt_token_count, said.candidates_token_count
    if prompt is None and candidates is None:
        return None
    prompt, candidates = max(prompt or 0, 0), max(candidates or 0, 0)
    thoughts = max(said.thoughts_token_count or 0, 0)
    tools = max(said.tool_use_prompt_token_count or 0, 0)
    if max(prompt, candidates, thoughts, tools) > _MOST:
        return None
    if thoughts and said.total_token_count == prompt + candidates + tools:
        thoughts = min(thoughts, candidates)
        candidates -= thoughts
    cache_read, audio, image = 0, 0, 0
    if said.cached_content_token_count or _is_mixed(said):
        cache_read = min(max(said.cached_content_token_count or 0, 0), prompt)
        audio, image = _read_in(said, _AUDIO), _read_in(said, _IMAGE)
    rest = prompt - cache_read + tools
    audio = min(audio, rest)
    image = min(image, rest - audio)
    spoken = min(_count(said.candidates_tokens_details, _AUDIO), candidates)
    painted = min(_count(said.candidates_tokens_details, _IMAGE), candidates - spoken)
    return Usage(
        input_uncached=rest - audio - image,
        cache_read=cache_read,
        input_audio=audio,
        input_image=image,
        output_text=candidates - spoken - painted,
        output_reasoning=thoughts,
        output_audio=spoken,
        output_image=painted,
    )


def service_tier(raw: bytes) -> str:
    """Return how the answer was served, if not as usual: `priority`, `flex`, `provisioned_throughput` ..."""
    found = _TIER.search(raw)
    return found[1].decode().lower() if found is not None else ""


def _is_mixed(said: _Usage) -> bool:
    """Whether anything but text was read."""
    read = (said.prompt_tokens_details, said.prompt_token_details, said.tool_use_prompt_tokens_details)
    return any(_hashable(count.modality) not in _TEXT for counts in read for count in counts or ())


def _read_in(said: _Usage, modality: frozenset[object]) -> int:
    """Return how many tokens of the modality were read and not found in a cache."""
    prompt = _count(said.prompt_tokens_details or said.prompt_token_details, modality)
    fresh = max(prompt - _count(said.cache_tokens_details, modality), 0)
    return fresh + _count(said.tool_use_prompt_tokens_details, modality)


def _count(counts: Iterable[_Count] | None, modality: frozenset[object]) -> int:
    if not counts:
        return 0
    return sum(max(c.token_count or 0, 0) for c in counts if _hashable(c.modality) in modality)


def _hashable(value: object) -> object:
    return value if isinstance(value, str | int) else None
