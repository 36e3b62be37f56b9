"""Lines of sums: what their calls share, and where these calls are listed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from dashboards.components.address import NARROWS, to
from dashboards.components.table import Cell
from telemetry.api.ranges import moment
from telemetry.questions import Range
from telemetry.questions.scope import DAY_US, END_OF_TIME_US

TIMES = ("day", "week", "month")

_FILTERS = {name: name for name in NARROWS} | {"model": "billed"}


def name_of(name: str, value: str, *, href: str = "") -> Cell:
    """Show what the calls of a line share, or that they have none of it."""
    if not value:
        return Cell("–", hint=f"calls without a {name}", tone="mild")
    return Cell(value, href=href, hint=value)


def calls_of(group: Mapping[str, str], within: Range, **said: str) -> str:
    """Return where the calls of a line are listed; empty if no filter finds just these."""
    for name, value in group.items():
        if name in TIMES:
            own = stretch(name, value)
            within = Range(max(own.from_us, within.from_us), min(own.to_us, within.to_us))
        elif value and name in _FILTERS:
            said[_FILTERS[name]] = value
        else:
            return ""
    return to("/calls", **said, **ends(within))


def stretch(name: str, value: str) -> Range:
    """Return the days that a day, a week (by its Monday) or a month (`2026-11`) has; raise Refusal for none."""
    from_us = moment(name, f"{value}-01" if name == "month" else value)
    first = day_of(from_us)
    days = {"day": 1, "week": 7}.get(name) or (month_after(first) - first).days
    return Range(from_us, from_us + days * DAY_US)


def month_after(first: date) -> date:
    """Return the first day of the next month."""
    return (first + timedelta(days=31)).replace(day=1)


def day_of(us: int) -> date:
    """Return the day of a moment, UTC."""
    return datetime.fromtimestamp(us / 1e6, UTC).date()


def ends(within: Range) -> dict[str, str]:
    """Return a time as an address says it; an end that is open is left out."""
    return {
        "from": _written(within.from_us) if within.from_us else "",
        "to": _written(within.to_us) if within.to_us < END_OF_TIME_US else "",
    }


def _written(us: int) -> str:
    moment_ = datetime.fromtimestamp(us / 1e6, UTC)
    return (
        f"{moment_:%Y-%m-%dT%H:%MZ}"
        if us % 60_000_000 == 0
        else f"{moment_.replace(tzinfo=None).isoformat()}Z"
    )


def days_back(days: int, now_us: int) -> Range:
    """Return so many days, today the last."""
    midnight = (now_us // DAY_US + 1) * DAY_US
    return Range(midnight - days * DAY_US, midnight)
