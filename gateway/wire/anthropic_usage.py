"""Anthropic's usage object as disjoint buckets.

Its buckets are disjoint already but for two details: `cache_creation` says how long the written tokens are
kept, `output_tokens_details` which part of the output was thinking. A `compaction` in `iterations` is not part
of the totals beside it and is added. Source: anthropic-sdk-python 2.12.0, types/usage.py and
types/beta/beta_usage.py (2026-11).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from telemetry.records import Usage

_ABSENT = msgspec.Raw(b"")
_MOST = 10**12
"""Tokens beyond this are nonsense, and at what models cost more than a column of money can hold."""


class _Written(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Output(msgspec.Struct):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _Written | None = None
    output_tokens_details: _Output | None = None
    server_tool_use: Any = None
    iterations: msgspec.Raw = _ABSENT


class _Iteration(_Usage):
    type: str = ""


class _Service(msgspec.Struct):
    service_tier: Any = None
    speed: Any = None
    inference_geo: Any = None


_UNUSUAL = re.compile(rb'"(?:service_tier|speed)"\s*:\s*"(?!standard)|"inference_geo"\s*:\s*"us"')
_services = msgspec.json.Decoder(_Service)
_usages = msgspec.json.Decoder(_Usage, strict=False)
_iterations = msgspec.json.Decoder(list[_Iteration], strict=False)
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def parse_usage(raw: bytes) -> Usage | None:
    """Return the buckets, or None if this is not a usage object; a detail beyond its total is clipped."""
    try:
        said = _usages.decode(raw)
        extra = _compactions(said.iterations)
    except _UNREADABLE:
        return None
    if said.input_tokens is None and said.output_tokens is None:
        return None
    parts = [_buckets(each) for each in (said, *extra)]
    total = parts[0] if len(parts) == 1 else [sum(column) for column in zip(*parts, strict=True)]
    if max(total) > _MOST:
        return None
    uncached, read, written_5m, written_1h, text, thought = total
    return Usage(
        input_uncached=uncached,
        cache_read=read,
        cache_write_5m=written_5m,
        cache_write_1h=written_1h,
        output_text=text,
        output_reasoning=thought,
        web_searches=_searches(said.server_tool_use) if said.server_tool_use is not None else 0,
    )


def service_tier(raw: bytes) -> str:
    """Return how the answer was served, if not as usual: `batch`, `priority`, `fast`, `us`, `batch+us` ...

    `us`: where it was computed, which has a price of its own.
    """
    if not raw or _UNUSUAL.search(raw) is None:
        return ""
    try:
        said = _services.decode(raw)
    except _UNREADABLE:
        return ""
    parts = [part for part in (said.service_tier, said.speed) if isinstance(part, str) and part != "standard"]
    if said.inference_geo == "us":
        parts.append("us")
    return "+".join(parts)


def merge_usage(first: bytes, later: bytes) -> bytes:
    """Return what a stream says of its usage in all: counts are totals, so each one's last word counts."""
    try:
        said = _objects.decode(first)
        news = _objects.decode(later)
    except _UNREADABLE:
        return later
    said.update((name, value) for name, value in news.items() if bytes(value) != b"null")
    return msgspec.json.encode(said)


def _compactions(raw: msgspec.Raw) -> list[_Iteration]:
    if b'"compaction"' not in bytes(raw):
        return []
    return [each for each in _iterations.decode(raw) if each.type == "compaction"]


def _buckets(said: _Usage) -> list[int]:
    """Return uncached, read, written for 5 minutes and for an hour, text and thinking."""
    written_5m, written_1h = _written(said)
    output = _count(said.output_tokens)
    details = said.output_tokens_details
    thought = min(_count(details.thinking_tokens), output) if details is not None else 0
    return [
        _count(said.input_tokens),
        _count(said.cache_read_input_tokens),
        written_5m,
        written_1h,
        output - thought,
        thought,
    ]


def _searches(tools: object) -> int:
    searches = tools.get("web_search_requests") if isinstance(tools, dict) else 0
    return min(max(searches, 0), _MOST) if isinstance(searches, int) else 0


def _written(said: _Usage) -> tuple[int, int]:
    """Split what was written to the cache; tokens whose time to live nobody names have the default, 5 minutes."""
    total = said.cache_creation_input_tokens
    if said.cache_creation is None:
        return _count(total), 0
    short = _count(said.cache_creation.ephemeral_5m_input_tokens)
    long = _count(said.cache_creation.ephemeral_1h_input_tokens)
    if total is None:
        return short, long
    long = min(long, _count(total))
    return _count(total) - long, long


def _count(tokens: int | None) -> int:
    return max(tokens or 0, 0)
