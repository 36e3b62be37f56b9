"""The authority of an installation with one worker: that worker itself."""

from __future__ import annotations

from gateway.clock import Clock
from gateway.limits.base import LEASE_US, Demand, Verdict
from gateway.limits.core import Counters

_FOR_EVER_US = LEASE_US << 30
"""Who counts and who is counted end together, so nothing here can be left over by the dead."""


class InProcess:
    """Counts here; never away."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counters = Counters()

    async def reserve(self, demand: Demand) -> Verdict:
        """Take what is asked for from every part, or from none."""
        return self._counters.reserve(demand, self._clock.monotonic_ns() // 1000, _FOR_EVER_US)

    def settle(self, demand: Demand, second: int, tokens: int) -> None:
        """Give the call's places back, and correct its tokens."""
        self._counters.settle(demand, second, tokens)

    def start(self) -> None:
        """Nothing to connect to."""

    async def wait_up(self, patience_s: float) -> bool:  # noqa: ARG002 - as the others are asked
        """It always is."""
        return True

    async def close(self) -> None:
        """Nothing to let go of."""
