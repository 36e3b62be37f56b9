"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

_POOL_BYTES = 10 * 1024
_DIGITS = 20
"""Hex digits of randomness that one identifier takes."""


def _maker() -> Callable[[], str]:
    """Return `uuid7`. The system is asked for randomness a thousand identifiers at a time."""
    now_ns, urandom = time.time_ns, os.urandom
    pool, at, millisecond, front = "", 0, -1, ""

    def uuid7() -> str:
        """Return a UUID version 7: 48 bits of Unix milliseconds, then random. Source: RFC 9562, section 5.7."""
        nonlocal pool, at, millisecond, front
        if at == len(pool):
            pool, at = urandom(_POOL_BYTES).hex(), 0
        now = now_ns() // 1_000_000
        if now != millisecond:
            digits = f"{now:012x}"
            millisecond, front = now, f"{digits[:8]}-{digits[8:]}-7"
        start, at = at, at + _DIGITS
        variant = "89ab89ab89ab89ab"[int(pool[start], 16)]
        return f"{front}{pool[start + 1 : start + 4]}-{variant}{pool[start + 4 : start + 7]}-{pool[start + 7 : start + 19]}"

    return uuid7


uuid7 = _maker()
