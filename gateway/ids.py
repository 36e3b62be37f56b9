"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

_HELPING = 64
"""Identifiers for which the system is asked for randomness at once: the pieces are cut while that code is warm."""
_DIGITS = 20
"""Hex digits of randomness that one identifier takes."""


def _maker() -> Callable[[], str]:
    """Return `uuid7`."""
    now_ns = time.time_ns
    tails: list[str] = []
    millisecond, front = -1, ""

    def uuid7() -> str:
        """Return a UUID version 7: 48 bits of Unix milliseconds, then random. Source: RFC 9562, section 5.7."""
        nonlocal millisecond, front
        if not tails:
            tails.extend(_tails())
        now = now_ns() // 1_000_000
        if now != millisecond:
            digits = f"{now:012x}"
            millisecond, front = now, f"{digits[:8]}-{digits[8:]}-7"
        return front + tails.pop()

    return uuid7


def _tails() -> Iterator[str]:
    """Yield what stands behind the version: three random digits, the variant, fifteen more."""
    pool = os.urandom(_HELPING * _DIGITS // 2).hex()
    for at in range(0, len(pool), _DIGITS):
        variant = "89ab"[int(pool[at], 16) % 4]
        yield f"{pool[at + 1 : at + 4]}-{variant}{pool[at + 4 : at + 7]}-{pool[at + 7 : at + 19]}"


uuid7 = _maker()
