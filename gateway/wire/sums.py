"""Adds up what several answers used."""

from __future__ import annotations

from gateway.wire.openai_usage import MOST
from telemetry.records import Usage

_BUCKETS = Usage.__struct_fields__


def added(one: Usage | None, other: Usage) -> Usage:
    """Return both together, no bucket above what a row can hold."""
    if one is None:
        return other
    return Usage(**{name: min(getattr(one, name) + getattr(other, name), MOST) for name in _BUCKETS})
