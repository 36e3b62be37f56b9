"""The time of day and the time that passes, as one object that tests can replace."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where every part of the gateway reads the time."""

    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed moment; never goes back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""
        return time.time_ns() // 1000

    monotonic_ns = staticmethod(time.monotonic_ns)
    """Nanoseconds since some fixed moment; never goes back. Read six times a call, so without a detour."""
