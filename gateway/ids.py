"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

_AT_ONCE = 10 * 1024


def _randomness() -> Iterator[bytes]:
    """Yield ten random bytes at a time; the system is asked once for a thousand."""
    while True:
        pool = os.urandom(_AT_ONCE)
        for start in range(0, _AT_ONCE, 10):
            yield pool[start : start + 10]


_ten_bytes = _randomness().__next__


def uuid7() -> str:
    """Return a UUID version 7: 48 bits of Unix milliseconds, then random. Source: RFC 9562, section 5.7."""
    digits = (time.time_ns() // 1_000_000).to_bytes(6) + _ten_bytes()
    text = digits.hex()
    variant = "89ab"[digits[8] & 3]
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
