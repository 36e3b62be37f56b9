"""Where a call goes next: one object for each call, which knows what was tried. Pure; time and dice are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from gateway.errors import UpstreamFailed
from gateway.routing.deployments import Deployment, Plan
from gateway.routing.health import Health
from gateway.routing.remedy import Remedy, remedy
from gateway.routing.strategy import order

_SECOND = 1_000_000_000
_JITTER = 0.1
"""A pause a provider asked for is made up to so much longer, lest all come back at once."""


class Try(NamedTuple):
    """Ask this deployment, after a pause."""

    deployment: Deployment
    wait_s: float = 0.0


class Course:
    """The way of one call through its plan. No deployment is asked more often than `retries.attempts` says."""

    def __init__(
        self,
        plan: Plan,
        health: Mapping[str, Health],
        *,
        dice: Random,
        deadline_ns: int,
        stick_to: str = "",
    ) -> None:
        self._plan = plan
        self._health = health
        self._dice = dice
        self._deadline_ns = deadline_ns
        self._stick_to = stick_to
        self._tried: dict[str, int] = {}
        self._spent: set[str] = set()
        self._ways: list[Deployment] = []

    def first(self, now_ns: int) -> Try:
        """Say where to go first: to one that is well, or else to the least bad."""
        plan = self._plan
        ways = order(plan.strategy, plan.deployments, self._health, dice=self._dice, stick_to=self._stick_to)
        self._ways = [*ways, *plan.fallbacks]
        for way in self._ways:
            if self._health[way.id].available(now_ns):
                return self._go(way)
        return self._go(min(self._ways, key=lambda way: self._badness(way, now_ns)))

    def after(self, error: UpstreamFailed, failed: Deployment, now_ns: int) -> Try | None:
        """Say where to go after this failure; None if there is nothing left to try."""
        plan = self._plan
        cure = remedy(error, retry_timeouts=plan.retries.retry_timeouts)
        if cure == "none" or now_ns >= self._deadline_ns:
            return None
        if cure in ("longer", "gentler"):
            return self._special(cure)
        if cure == "elsewhere":
            self._spent.add(failed.id)
        elif cure == "again" and self._left(failed) and self._health[failed.id].available(now_ns):
            pause = self._pause(error, failed)
            if pause is not None and self._in_time(pause, now_ns):
                return self._go(failed, pause)
        for way in self._ways:
            if way.id != failed.id and self._left(way) and self._health[way.id].available(now_ns):
                return self._go(way)
        return self._patiently(error, failed, now_ns)

    def went(self, way: Deployment) -> None:
        """Take note that this one was asked first, as it is the first of a plan in order and well."""
        self._ways = [*self._plan.deployments, *self._plan.fallbacks]
        self._go(way)

    def _badness(self, way: Deployment, now_ns: int) -> tuple[bool, float]:
        """Sort those that asked to be left alone behind those that only failed."""
        health = self._health[way.id]
        return health.cooling_until_ns > now_ns, health.failure_ratio

    def _special(self, cure: Remedy) -> Try | None:
        plan = self._plan
        way = plan.context_window_fallback if cure == "longer" else plan.content_filter_fallback
        return self._go(way) if way is not None and way.id not in self._tried else None

    def _patiently(self, error: UpstreamFailed, failed: Deployment, now_ns: int) -> Try | None:
        """Nobody is well: wait for the first that will be, within what the caller and the route allow."""
        waits: list[tuple[float, Deployment]] = []
        for way in self._ways:
            if not self._left(way):
                continue
            cooling_s = (self._health[way.id].cooling_until_ns - now_ns) / _SECOND
            if cooling_s > self._plan.retries.honour_retry_after_s:
                continue
            if cooling_s > 0:
                waits.append((cooling_s * (1 + self._dice.random() * _JITTER), way))
            elif way.id == failed.id and (pause := self._pause(error, failed)) is not None:
                waits.append((pause, way))
            elif way.id != failed.id:
                waits.append((0.0, way))  # its breaker is open; nothing is refused out of superstition
        wait_s, soonest = min(waits, key=lambda entry: entry[0], default=(0.0, None))
        return self._go(soonest, wait_s) if soonest and self._in_time(wait_s, now_ns) else None

    def _go(self, way: Deployment, wait_s: float = 0.0) -> Try:
        self._tried[way.id] = self._tried.get(way.id, 0) + 1
        return Try(way, wait_s)

    def _left(self, way: Deployment) -> bool:
        return way.id not in self._spent and self._tried.get(way.id, 0) < self._plan.retries.attempts

    def _in_time(self, wait_s: float, now_ns: int) -> bool:
        return now_ns + int(wait_s * _SECOND) < self._deadline_ns

    def _pause(self, error: UpstreamFailed, failed: Deployment) -> float | None:
        """Return how long to wait before the same deployment is asked again; None if it asks for too much."""
        asked = error.retry_after_s
        if asked is not None:
            if asked > self._plan.retries.honour_retry_after_s:
                return None
            return asked * (1 + self._dice.random() * _JITTER)
        first_ms, most_ms = self._plan.retries.backoff_ms
        longest_ms = min(most_ms, first_ms << (self._tried[failed.id] - 1))
        return self._dice.random() * longest_ms / 1000  # full jitter


def all_of(plan: Plan) -> Sequence[Deployment]:
    """Return every deployment a call of this plan may come to."""
    special = (plan.context_window_fallback, plan.content_filter_fallback)
    return [*plan.deployments, *plan.fallbacks, *(way for way in special if way is not None)]
