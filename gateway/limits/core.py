"""The arithmetic of limits, without clock or I/O; `reserve.lua` and its neighbours say the same in Redis' words.

A minute is sixty buckets of a second. Times are microseconds of a clock that does not go back.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.limits.base import WINDOW_S, Demand, Part, Verdict

SECOND = 1_000_000
_MINUTE = WINDOW_S * SECOND
_UNKNOWN_WAIT = SECOND
"""Nobody knows when one of the calls under way will end."""

Lease = tuple[str, tuple[str, ...]]
"""A call's id, and the subjects in which it holds a place."""


class Minute:
    """How much was taken in each of the last sixty seconds. Seconds are asked for in their order."""

    __slots__ = ("_buckets", "_second", "total")

    def __init__(self) -> None:
        self.total = 0
        self._second = 0
        self._buckets: dict[int, int] = {}
        """By second, oldest first; those in which nothing was taken are missing."""

    def at(self, second: int) -> int:
        """Return what was taken in the minute that ends with this second."""
        if second != self._second:
            self._second = second
            buckets = self._buckets
            while buckets and (oldest := next(iter(buckets))) <= second - WINDOW_S:
                self.total -= buckets.pop(oldest)
        return self.total

    def add(self, second: int, amount: int) -> None:
        """Take so much."""
        self._buckets[second] = self._buckets.get(second, 0) + amount
        self.total += amount

    def correct(self, second: int, by: int) -> None:
        """Change what was taken in a second, unless it is forgotten; never below nothing."""
        taken = self._buckets.get(second)
        if taken is not None:
            by = max(by, -taken)
            self._buckets[second] = taken + by
            self.total += by

    def room_in(self, now_us: int, excess: int) -> int:
        """Return how long it takes until so much of what was taken is forgotten."""
        for second, taken in self._buckets.items():
            excess -= taken
            if excess <= 0:
                return (second + WINDOW_S) * SECOND - now_us
        return _MINUTE


class _Counter:
    """All that is known of one subject."""

    __slots__ = ("due_us", "leases", "requests", "seen_us", "tokens")

    def __init__(self) -> None:
        self.requests = Minute()
        self.tokens = Minute()
        self.leases: dict[str, int] = {}
        """When each call's place is free again, soonest first."""
        self.due_us = 0
        """When the next request would be on time, if they came evenly."""
        self.seen_us = 0

    def places(self, most: int, now_us: int) -> int:
        """Return how many are taken; only a full house looks for the dead."""
        leases = self.leases
        if len(leases) >= most:
            while leases and leases[oldest := next(iter(leases))] <= now_us:
                del leases[oldest]
        return len(leases)


class Counters:
    """Every subject's counters, decided over one demand at a time."""

    def __init__(self) -> None:
        self._counters: dict[str, _Counter] = {}
        self._swept_us = 0

    def __len__(self) -> int:
        return len(self._counters)

    def reserve(self, demand: Demand, now_us: int, lease_us: int) -> Verdict:
        """Take the demand from every part, or from none."""
        if now_us - self._swept_us > _MINUTE:
            self._sweep(now_us)
        second = now_us // SECOND
        found: list[_Counter] = []
        kind = part_at = wait_us = 0
        for index, part in enumerate(demand.parts):
            counter = self._counters.get(part.subject)
            if counter is None:
                counter = self._counters[part.subject] = _Counter()
            found.append(counter)
            for lacking, wait in _lacking(counter, part, demand.tokens, now_us, second):
                if not kind or wait > wait_us:
                    kind, part_at, wait_us = lacking, index, wait
        left: list[int] = []
        for counter, part in zip(found, demand.parts, strict=True):
            counter.seen_us = now_us
            if not kind:
                _take(counter, part, demand, now_us, second, now_us + lease_us)
            left += _left(counter, part, now_us)
        return Verdict(second, kind, part_at, wait_us, tuple(left))

    def settle(self, demand: Demand, second: int, tokens: int) -> None:
        """Give the call's places back and correct its tokens."""
        for part in demand.parts:
            counter = self._counters.get(part.subject)
            if counter is not None:
                counter.leases.pop(demand.id, None)
                if part.tpm:
                    counter.tokens.correct(second, tokens - demand.tokens)

    def renew(self, leases: Iterable[Lease], now_us: int, lease_us: int) -> None:
        """Keep these places taken for another while; those that were forgotten are taken again."""
        for call, subjects in leases:
            for subject in subjects:
                counter = self._counters.get(subject)
                if counter is None:
                    counter = self._counters[subject] = _Counter()
                counter.seen_us = now_us
                counter.leases.pop(call, None)  # to the end: they stand in the order of their ends
                counter.leases[call] = now_us + lease_us

    def _sweep(self, now_us: int) -> None:
        """Forget subjects of which nothing is known any more."""
        self._swept_us = now_us
        self._counters = {
            subject: counter
            for subject, counter in self._counters.items()
            if counter.leases or max(counter.seen_us + _MINUTE, counter.due_us) > now_us
        }


def _lacking(
    counter: _Counter, part: Part, tokens: int, now_us: int, second: int
) -> Iterable[tuple[int, int]]:
    """Say what there is too little of, and for how long."""
    lacking: list[tuple[int, int]] = []
    if part.burst:
        early_us = counter.due_us - now_us - (part.burst - 1) * _spacing_us(part.rpm)
        if early_us > 0:
            lacking.append((1, early_us))
    elif part.rpm and (excess := counter.requests.at(second) + 1 - part.rpm) > 0:
        lacking.append((1, counter.requests.room_in(now_us, excess)))
    if part.tpm and (excess := counter.tokens.at(second) + tokens - part.tpm) > 0:
        lacking.append((2, counter.tokens.room_in(now_us, excess)))
    if part.concurrency and counter.places(part.concurrency, now_us) >= part.concurrency:
        lacking.append((3, _UNKNOWN_WAIT))
    return lacking


def _take(counter: _Counter, part: Part, demand: Demand, now_us: int, second: int, ends_us: int) -> None:
    if part.burst:
        counter.due_us = max(counter.due_us, now_us) + _spacing_us(part.rpm)
    elif part.rpm:
        counter.requests.add(second, 1)
    if part.tpm:
        counter.tokens.add(second, demand.tokens)
    if part.concurrency:
        counter.leases[demand.id] = ends_us


def _left(counter: _Counter, part: Part, now_us: int) -> tuple[int, int]:
    requests = tokens = -1
    if part.burst:
        ahead_us = max(0, counter.due_us - now_us)
        requests = max(0, part.burst - -(-ahead_us // _spacing_us(part.rpm)))
    elif part.rpm:
        requests = max(0, part.rpm - counter.requests.total)
    if part.tpm:
        tokens = max(0, part.tpm - counter.tokens.total)
    return requests, tokens


def _spacing_us(rpm: int) -> int:
    return -(-_MINUTE // rpm)
