"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import os
import time


def uuid7() -> str:
    """Return a UUID version 7: 48 bits of Unix milliseconds, then random. Source: RFC 9562, section 5.7."""
    raw = ((time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))) & ~(
        (0xF << 76) | (0x3 << 62)
    ) | (0x7 << 76 | 0x2 << 62)
    digits = f"{raw:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
