"""Prices past calls anew, with what is known of prices now: a changed sum becomes a correction, a call never changes.

A page of calls is read with the corrections it has had, priced, and what differs goes in as one block, so repeating a
run adds nothing. A kill may leave corrections without their part of the rollup: `repair` adds that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from telemetry.records import Cost, Usage
from telemetry.store.base import Parameter, Row, Store
from telemetry.upkeep.correcting import corrected, insert
from telemetry.upkeep.messages import Order, Place, Rerated

PAGE = 5000
"""Calls that are read, priced and corrected at once."""

_QUERIES = Path(__file__).parents[1] / "queries"
_BUCKETS = Usage.__struct_fields__
_HOUR_US = 3_600_000_000
_MONTH_US = 31 * 24 * _HOUR_US


class Priceable(msgspec.Struct, frozen=True, kw_only=True):
    """What the price of a call depends on."""

    provider: str
    served_model: str
    response_model: str
    started_at_us: int
    service_tier: str
    usage: Usage


Pricer = Callable[[Priceable], Cost]


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """One correction of one call."""

    old_nano_usd: int | None
    new_nano_usd: int
    delta_nano_usd: int
    new_lines: dict[str, int]
    old_price_row: str
    old_price_version: str
    new_price_row: str
    new_price_version: str
    reason: str
    corrected_at_us: int


def repair(store: Store, origin: str, from_us: int = 0, to_us: int = 4_102_444_800_000_000) -> None:
    """Complete the rollup of the corrections of these days; raise StoreError."""
    days = {"from_day": _day(from_us), "to_day": _day(to_us)}
    store.command(_sql("repair_rerate"), {"origin": origin, **days})


class Rerating:
    """Prices the calls of one origin anew. One at a time for each origin: whoever owns it sees to that."""

    def __init__(
        self, store: Store, origin: str, price: Pricer, *, now_us: Callable[[], int], page: int = PAGE
    ) -> None:
        self._store = store
        self._origin = origin
        self._price = price
        self._now_us = now_us
        self._page = page

    def run(self, order: Order, place: Place | None = None, *, most: int = 10 * PAGE) -> Rerated:
        """Do at least `most` calls of the order, or what is left of it; raise StoreError."""
        done = Rerated()
        start_us = max(order.from_us, place.hour_us if place else 0)
        after = place.call_id if place else ""
        if not order.dry_run:
            repair(self._store, self._origin, start_us, order.to_us)
        for hour_us in self._hours(start_us, order.to_us):
            while True:
                if done.calls >= most:
                    done.next = Place(hour_us, after)
                    return done
                rows = self._calls(order, hour_us, after)
                self._correct(order, hour_us, rows, done)
                if len(rows) < self._page:
                    break
                after = rows[-1]["call_id"]
            after = ""
        return done

    def _hours(self, from_us: int, to_us: int) -> Iterator[int]:
        """Yield the hours that have calls, a month's at a time."""
        while from_us < to_us:
            until_us = min(to_us, (from_us + _MONTH_US) // _HOUR_US * _HOUR_US)
            where: dict[str, Parameter] = {"origin": self._origin, "from_us": from_us, "to_us": until_us}
            yield from [int(row["hour_us"]) for row in self._store.lookup(_sql("rerate_hours"), where)]
            from_us = until_us

    def _calls(self, order: Order, hour_us: int, after: str) -> list[Row]:
        return self._store.lookup(
            _sql("rerate_calls"),
            {
                "origin": self._origin,
                "hour_us": hour_us,
                "from_us": order.from_us,
                "to_us": order.to_us,
                "after_id": after,
                "provider": order.provider,
                "model": order.model,
                "limit": self._page,
            },
        )

    def _correct(self, order: Order, hour_us: int, rows: list[Row], done: Rerated) -> None:
        """Price these calls of one hour; put in what differs."""
        if not rows:
            return
        ids = [row["call_id"] for row in rows]
        found = self._store.lookup(
            _sql("rerate_known"), {"origin": self._origin, "ids": ids, "hour_us": hour_us}
        )
        known = {row["call_id"]: row for row in found}
        now_us = self._now_us()
        corrections = []
        for row in rows:
            cost = self._price(_priceable(row))
            held = {**row, **known.get(row["call_id"], {})}
            done.calls += 1
            if cost.total_nano_usd is None:
                done.without_price += 1
            elif cost.total_nano_usd != held["cost_nano_usd"]:
                corrections.append(
                    corrected(held, cost, cost.total_nano_usd, order.reason, now_us, self._origin)
                )
                done.changed += 1
                done.newly_priced += held["cost_nano_usd"] is None
                done.delta_nano_usd += cost.total_nano_usd - (held["cost_nano_usd"] or 0)
        if corrections and not order.dry_run:
            before = [known[one[2]]["corrections"] if one[2] in known else 0 for one in corrections]
            insert(self._store, self._origin, corrections, before)


def corrections_of(
    store: Store, project: str, environment: str, call_id: str, started_at_us: int
) -> list[Correction]:
    """Return the corrections of one call, oldest first: the last one's `new_nano_usd` is what it costs after all."""
    where: dict[str, Parameter] = {
        "project": project,
        "environment": environment,
        "call_id": call_id,
        "started_at_us": started_at_us,
    }
    return [msgspec.convert(row, Correction) for row in store.query(_sql("call_corrections"), where)]


def _priceable(row: Row) -> Priceable:
    return Priceable(
        provider=row["provider"],
        served_model=row["priced_model"],
        response_model=row["response_model"],
        started_at_us=row["started_at_us"],
        service_tier=row["service_tier"],
        usage=Usage(**{name: row[name] for name in _BUCKETS}),
    )


def _day(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).date().isoformat()


def _sql(name: str) -> str:
    return (_QUERIES / f"{name}.sql").read_text()
