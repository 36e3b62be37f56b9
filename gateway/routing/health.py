"""How well a deployment has been doing: the circuit breaker and what strategies compare. Pure; time is given.

Times are nanoseconds of one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from gateway.settings import Breaker

State = Literal["closed", "open", "half_open"]

_SECOND = 1_000_000_000
_WEIGHT = 0.2
"""Of the newest call in the moving average of latencies."""


class Health:
    """One deployment's health, as one worker sees it."""

    __slots__ = (
        "_bad",
        "_good",
        "_probing",
        "_seconds",
        "_turns_ns",
        "breaker",
        "cooling_until_ns",
        "in_flight",
        "latency_us",
        "open_until_ns",
    )

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self._good = self._bad = 0
        """Calls that went well, and that did not."""
        self._seconds: deque[tuple[int, int, int]] = deque()
        """The seconds of the window that had calls, with both counts as they were before; oldest first."""
        self._turns_ns = 0
        """When the newest of them is over."""
        self._probing = False
        self.open_until_ns = 0
        """The breaker is open until then; 0 while it is closed."""
        self.cooling_until_ns = 0
        """The provider asked to be left alone until then."""
        self.in_flight = 0
        self.latency_us = 0.0
        """Moving average of the time to the first byte; 0 while nothing is known."""

    @property
    def well(self) -> bool:
        """Whether nothing at all speaks against it."""
        return not (self.open_until_ns or self.cooling_until_ns)

    def state(self, now_ns: int) -> State:
        """Say whether the breaker lets calls pass."""
        if not self.open_until_ns:
            return "closed"
        return "open" if now_ns < self.open_until_ns or self._probing else "half_open"

    def available(self, now_ns: int) -> bool:
        """Say whether a call may be sent now."""
        if self.cooling_until_ns:
            if now_ns < self.cooling_until_ns:
                return False
            self.cooling_until_ns = 0
        return not self.open_until_ns or self.state(now_ns) != "open"

    def began(self, now_ns: int) -> None:
        """Note that a call is sent; half open, it is the probe."""
        self.in_flight += 1
        if self.open_until_ns and now_ns >= self.open_until_ns:
            self._probing = True

    def succeeded(self, now_ns: int, first_byte_us: int) -> None:
        """Note that a call was answered. One that began before the breaker opened does not close it."""
        self.in_flight -= 1
        known = self.latency_us
        self.latency_us = known + _WEIGHT * (first_byte_us - known) if known else float(first_byte_us)
        if self._probing:
            self._close()
        if now_ns >= self._turns_ns:
            self._turn(now_ns)
        self._good += 1

    def failed(self, now_ns: int, *, cooldown_s: float = 0, for_good: bool = False) -> None:
        """Note that a call failed through the deployment's fault, and how long it asks to be left alone.

        `for_good`: the next call would fail as well, so the breaker opens at once.
        """
        self.in_flight -= 1
        if cooldown_s:
            self.cooling_until_ns = max(self.cooling_until_ns, now_ns + int(cooldown_s * _SECOND))
        if self._probing:
            self._probing = False
            self._open(now_ns)
            return
        if now_ns >= self._turns_ns:
            self._turn(now_ns)
        self._bad += 1
        calls, bad = self._lately()
        if for_good or (calls >= self.breaker.min_calls and bad >= self.breaker.failure_ratio * calls):
            self._open(now_ns)

    def ended(self) -> None:
        """Note that a call ended without saying anything of the deployment: a bad request, a client that left."""
        self.in_flight -= 1
        self._probing = False

    def told(self, *, open_until_ns: int, cooling_until_ns: int) -> None:
        """Take over what another worker found out."""
        self.open_until_ns = max(self.open_until_ns, open_until_ns)
        self.cooling_until_ns = max(self.cooling_until_ns, cooling_until_ns)

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost with it but a latency."""
        return self.well and not self.in_flight

    @property
    def failure_ratio(self) -> float:
        """Share of the calls in the window that failed."""
        calls, bad = self._lately()
        return bad / calls if calls else 0.0

    def _lately(self) -> tuple[int, int]:
        """Return how many calls there were in the window, and how many of them failed."""
        if not self._seconds:
            return 0, 0
        _, good, bad = self._seconds[0]
        return self._good - good + self._bad - bad, self._bad - bad

    def _open(self, now_ns: int) -> None:
        self.open_until_ns = now_ns + int(self.breaker.open_s * _SECOND)

    def _close(self) -> None:
        self.open_until_ns = 0
        self._probing = False
        self._seconds.clear()
        self._turns_ns = 0

    def _turn(self, now_ns: int) -> None:
        """Begin a new second; forget what has left the window."""
        second = now_ns // _SECOND
        oldest = second - int(self.breaker.window_s)
        while self._seconds and self._seconds[0][0] <= oldest:
            self._seconds.popleft()
        self._seconds.append((second, self._good, self._bad))
        self._turns_ns = (second + 1) * _SECOND
