"""Whose calls a question is about, and in which time."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from telemetry.store.base import Parameter

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
END_OF_TIME_US = 4_102_444_800_000_000
"""2100-01-01; DateTime64 goes further, toStartOfHour does not."""


class Scope(msgspec.Struct, frozen=True):
    """Whose calls may be seen: those of one environment of a project, or all."""

    project: str = ""
    environment: str = ""
    open: bool = False
    scopes: tuple[str, ...] = ("read",)
    """What else the key opens; without `read` it may see that there were calls, not what was said."""

    @property
    def bodies(self) -> bool:
        """Whether what was said may be told."""
        return self.open or "read" in self.scopes

    def parameters(self) -> dict[str, Parameter]:
        """The part of every query's parameters that keeps projects and environments apart."""
        return {
            "project": self.project,
            "environment": self.environment,
            "anybodys": int(self.open),
        }

    def condition(self, table: str) -> str:
        """Return what a query made here says about it, with the same parameters."""
        if self.open:
            return "{anybodys:UInt8} = 1"
        return f"{table}.project = {{project:String}} AND {table}.environment = {{environment:String}}"


class Range(msgspec.Struct, frozen=True):
    """From a moment, up to but without another. Microseconds since 1970."""

    from_us: int = 0
    to_us: int = END_OF_TIME_US

    @property
    def whole_days(self) -> bool:
        """Whether both ends are midnights, so that sums by day are enough."""
        return self.from_us % DAY_US == 0 and self.to_us % DAY_US == 0

    @property
    def days(self) -> tuple[str, str]:
        """The first and the last day it touches."""
        return _day(self.from_us), _day(max(self.from_us, self.to_us - 1))

    def parameters(self) -> dict[str, Parameter]:
        """Values for what `condition` names."""
        return {"from_us": self.from_us, "to_us": self.to_us}

    @staticmethod
    def condition(table: str) -> str:
        """Return what a query of `spans` or a table like it says about the time."""
        return (
            f"{table}.started_at >= fromUnixTimestamp64Micro({{from_us:Int64}}, 'UTC')"
            f" AND {table}.started_at < fromUnixTimestamp64Micro({{to_us:Int64}}, 'UTC')"
        )


def _day(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).date().isoformat()
