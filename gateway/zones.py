"""Time zones by their IANA names."""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """Return the time zone; raise ValueError for a name that is none, or that this machine has no data of."""
    if name == "UTC":
        return UTC  # known everywhere
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone known here; one is written like Europe/Berlin") from error
