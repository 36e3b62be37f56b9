"""How often somebody may guess."""

from __future__ import annotations

from collections import OrderedDict

from gateway.clock import Clock
from gateway.errors import GatewayError


class TooOften(GatewayError):
    """Too many wrong passwords of late."""

    status = 429
    code = "too_many_attempts"
    type = "invalid_request_error"


class Throttle:
    """Counts failures of one kind of thing, an address or an account; each is forgotten after `window_s`."""

    def __init__(self, clock: Clock, *, most: int, window_s: float, names: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._window_us = int(window_s * 1_000_000)
        self._names = names
        self._failures: OrderedDict[str, list[int]] = OrderedDict()

    def check(self, name: str) -> None:
        """Raise TooOften if there were too many."""
        recent = self._recent(name)
        if len(recent) >= self._most:
            wait_s = (recent[-self._most] + self._window_us - self._clock.now_us()) / 1e6
            raise TooOften("too many attempts; wait a while", retry_after_s=max(1.0, wait_s))

    def failed(self, name: str) -> None:
        """Count one more."""
        self._failures[name] = [*self._recent(name)[1 - self._most :], self._clock.now_us()]
        self._failures.move_to_end(name)
        if len(self._failures) > self._names:
            self._failures.popitem(last=False)

    def forgive(self, name: str) -> None:
        """Forget them: it was somebody who knew the password after all."""
        self._failures.pop(name, None)

    def take_back(self, name: str) -> None:
        """Forget the last one only: others may be guessing from there."""
        if kept := self._recent(name)[:-1]:
            self._failures[name] = kept
        else:
            self._failures.pop(name, None)

    def _recent(self, name: str) -> list[int]:
        since_us = self._clock.now_us() - self._window_us
        return [at_us for at_us in self._failures.get(name, ()) if at_us > since_us]
