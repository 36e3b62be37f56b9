"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable

_HELPING = 64
"""Identifiers for which the system is asked for randomness at once: the pieces are cut while that code is warm."""
_DIGITS = 19
"""Hex digits behind the version; the fourth of them holds the variant."""
_PIECES = re.compile(r"(...)(....)(.{12})")
_VARIANT = bytes.maketrans(b"0123456789abcdef", b"89ab" * 4)


def _maker() -> Callable[[], str]:
    """Return `uuid7`."""
    now_ns = time.time_ns
    tails: list[str] = []
    millisecond, front = -1, ""

    def uuid7() -> str:
        """Return a UUID version 7: 48 bits of Unix milliseconds, then random. Source: RFC 9562, section 5.7."""
        nonlocal millisecond, front
        now = now_ns() // 1_000_000
        if now != millisecond:
            millisecond, front = now, f"{now >> 16:08x}-{now & 0xFFFF:04x}-7"
        if not tails:
            tails.extend(_tails())
        return front + tails.pop()

    return uuid7


def _tails() -> Iterable[str]:
    """Return what stands behind the version: three random digits, the variant, fifteen more."""
    digits = bytearray(os.urandom(_HELPING * _DIGITS // 2).hex().encode())
    digits[3::_DIGITS] = digits[3::_DIGITS].translate(_VARIANT)
    return map("-".join, _PIECES.findall(digits.decode()))


uuid7 = _maker()
