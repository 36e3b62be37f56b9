"""Writes usage in Anthropic's words: `input_tokens` are those that came from no cache and went to none.

Source: anthropic-sdk-python 2.12.0, types/usage.py and types/message_delta_usage.py (2026-11).
"""

from __future__ import annotations

import msgspec

from telemetry.records import Usage


class _Written(msgspec.Struct):
    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class _Details(msgspec.Struct):
    thinking_tokens: int


class _Tools(msgspec.Struct):
    web_search_requests: int
    web_fetch_requests: int = 0


class UsageOut(msgspec.Struct, omit_defaults=True):
    """A usage object."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _Written | None = None
    output_tokens_details: _Details | None = None
    server_tool_use: _Tools | None = None
    service_tier: str | None = None


_TIERS = ("standard", "priority", "batch")


def usage_of(usage: Usage | None, service_tier: str) -> UsageOut:
    """Write the usage; without any, zeros: clients require it."""
    if usage is None:
        return UsageOut(0, 0)
    short, long = usage.cache_write_5m, usage.cache_write_1h
    return UsageOut(
        usage.input_uncached + usage.input_audio + usage.input_image,
        usage.output_total,
        short + long,
        usage.cache_read,
        _Written(short, long) if short or long else None,
        _Details(usage.output_reasoning) if usage.output_reasoning else None,
        _Tools(usage.web_searches) if usage.web_searches else None,
        service_tier if service_tier in _TIERS else None,
    )
