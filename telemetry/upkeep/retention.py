"""Drops what is older than it may be: whole months of calls, whole days of what was said. Sums stay in the rollup.

A month is noted as dropped before it is: from then on no repair compares its rollup with calls that are gone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta

import msgspec

from telemetry.store.base import Store

_ON_CLUSTER = " ON CLUSTER '{cluster}'"
_CALLS = ("spans", "span_index", "cost_corrections")
_BLOCKS_OF_A_DAY = (
    "project = {project:String} AND toDate(started_at) = toDate({day:String}) AND memory_block != ''"
)

logger = logging.getLogger(__name__)


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """For how many days what is kept; 0: for ever."""

    calls_days: int = 0
    payloads_days: int = 90
    payloads_days_by_project: Mapping[str, int] = {}

    def payloads_of(self, project: str) -> int:
        """Return the days of one project's payloads."""
        return self.payloads_days_by_project.get(project, self.payloads_days)

    @property
    def shortest(self) -> int:
        """The days for which all payloads are kept; 0: for ever."""
        return min(filter(None, self._all_payloads), default=0)

    @property
    def longest(self) -> int:
        """The days after which no payload is kept; 0: some are for ever."""
        return 0 if 0 in self._all_payloads else max(self._all_payloads)

    @property
    def _all_payloads(self) -> tuple[int, ...]:
        return (self.payloads_days, *self.payloads_days_by_project.values())


class Dropped(msgspec.Struct, kw_only=True):
    """What a look has dropped."""

    months: list[int] = []
    """Of calls, as 202611."""
    days: list[int] = []
    """Of payloads, as 20261121."""
    project_days: list[tuple[int, str]] = []
    """Days that only some projects' payloads are gone from."""


class Retention:
    """Looks at one ledger and drops what is too old; raises StoreError."""

    def __init__(self, store: Store, keep: Keep, *, clustered: bool, now_us: Callable[[], int]) -> None:
        self._store = store
        self._keep = keep
        self._on = _ON_CLUSTER if clustered else ""
        self._now_us = now_us

    def run(self) -> Dropped:
        """Drop what is too old."""
        self._set_ttl()
        done = Dropped()
        self._drop_calls(done)
        self._drop_payloads(done)
        if done.months or done.days or done.project_days:
            logger.info("retention_dropped", extra=msgspec.structs.asdict(done))
        return done

    def _drop_calls(self, done: Dropped) -> None:
        if not self._keep.calls_days:
            return
        first_kept = self._today() - timedelta(days=self._keep.calls_days)
        for month in sorted({part for table in _CALLS for part in self._partitions(table)}):
            if _end_of_month(month) <= first_kept:
                noted = self._store.lookup(
                    "SELECT month FROM dropped_months WHERE month = {m:UInt32}", {"m": month}
                )
                if not noted:
                    self._store.command(
                        "INSERT INTO dropped_months (month) VALUES ({m:UInt32})", {"m": month}
                    )
                for table in _CALLS:
                    self._alter(table, f"DROP PARTITION {month:d}")
                done.months.append(month)

    def _drop_payloads(self, done: Dropped) -> None:
        keep, today = self._keep, self._today()
        for part in self._partitions("span_payloads"):
            age_days = (today - _date(part)).days
            if not keep.shortest or age_days <= keep.shortest:
                continue
            projects = self._projects(part)
            old = [name for name in projects if 0 < keep.payloads_of(name) < age_days]
            if len(old) == len(projects):
                self._alter("span_payloads", f"DROP PARTITION {part:d}")
                done.days.append(part)
                continue
            for name in old:
                self._forget(part, name)
                done.project_days.append((part, name))

    def _forget(self, part: int, project: str) -> None:
        """Take one project's payloads out of a day that others still need."""
        where = {"project": project, "day": _date(part).isoformat()}
        self._alter(
            "span_payloads", f"DELETE IN PARTITION {part:d} WHERE project = {{project:String}}", where
        )
        # A mutation looks at the whole month: not for a day in which nothing was remembered.
        if self._store.lookup(f"SELECT 1 AS one FROM spans WHERE {_BLOCKS_OF_A_DAY} LIMIT 1", where):  # noqa: S608  # ours
            self._alter(
                "spans",
                f"UPDATE memory_block = '' IN PARTITION {part // 100:d} WHERE {_BLOCKS_OF_A_DAY}",
                where,
            )

    def _set_ttl(self) -> None:
        """Have the engine drop payloads by itself when the last project's time is over."""
        days = self._keep.longest
        for table, without, column in (
            ("span_payloads", "REMOVE TTL", "MODIFY TTL"),
            (
                "spans",
                "MODIFY COLUMN memory_block REMOVE TTL",
                "MODIFY COLUMN memory_block String CODEC(ZSTD(3)) TTL",
            ),
        ):
            (made,) = self._store.lookup(
                "SELECT create_table_query AS text FROM system.tables"
                " WHERE database = currentDatabase() AND name = {t:String}",
                {"t": table},
            )
            text = made["text"]
            if days and f"toIntervalDay({days})" not in text:
                self._alter(table, f"{column} toDateTime(started_at) + toIntervalDay({days:d})")
            elif not days and "toIntervalDay(" in text:
                self._alter(table, without)

    def _partitions(self, table: str) -> list[int]:
        rows = self._store.lookup(
            "SELECT DISTINCT partition FROM system.parts"
            " WHERE database = currentDatabase() AND table = {t:String} AND active ORDER BY partition",
            {"t": table},
        )
        return [int(row["partition"]) for row in rows]

    def _projects(self, part: int) -> list[str]:
        rows = self._store.lookup(
            "SELECT DISTINCT toString(project) AS project FROM span_payloads WHERE toYYYYMMDD(started_at) = {p:UInt32}",
            {"p": part},
        )
        return [row["project"] for row in rows]

    def _alter(self, table: str, what: str, parameters: Mapping[str, str] | None = None) -> None:
        self._store.command(f"ALTER TABLE {table}{self._on} {what}", parameters)

    def _today(self) -> date:
        return datetime.fromtimestamp(self._now_us() / 1e6, UTC).date()


def _date(part: int) -> date:
    return date(part // 10_000, part // 100 % 100, part % 100)


def _end_of_month(month: int) -> date:
    """Return the first day of the next month."""
    year, number = divmod(month, 100)
    return date(year + number // 12, number % 12 + 1, 1)
