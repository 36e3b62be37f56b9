"""`/costs`: what a month, or any days, cost; by whom, with what, and what nobody could price."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from fastapi import Request
from nicegui import ui

from dashboards.components.address import Address, pager, to
from dashboards.components.cells import count
from dashboards.components.chart import bars
from dashboards.components.filters import Field, Filters
from dashboards.components.frame import link, section, show, text
from dashboards.components.groups import TIMES, calls_of, day_of, ends, month_after, name_of, stretch
from dashboards.components.sums import COLUMNS, cells, figures, total
from dashboards.components.table import Cell, Column, Table
from dashboards.readable import why
from dashboards.reader import Reader
from telemetry.answers import Refusal
from telemetry.api.ranges import moment
from telemetry.figures import Bounds, Costs, SumsRow
from telemetry.questions import Range
from telemetry.questions.costs import CostOrder
from telemetry.questions.filters import Filters as Narrowed
from telemetry.questions.scope import DAY_US
from telemetry.words import dollars

_LIMIT = 100
_MOST_BARS = 100
_FILTERS = ("user", "key", "provider", "kind", "project", "environment")
_GROUPS = (
    *("user", "key", "model", "provider", "project", "environment", *TIMES),
    *("agent", "route", "variant", "step", "kind"),
)
_ORDERS: dict[str, CostOrder] = {
    "cost": "cost",
    "calls": "calls",
    "tokens": "tokens",
    "failed": "errors",
    "name": "group",
}
_REASONS = (Column("code", "Reason"), Column("calls", "Calls", number=True), Column("advice", "What to do"))


def add(readers: Callable[[Request], Reader]) -> None:
    """Make the page known to NiceGUI."""

    @ui.page("/costs", response_timeout=30)
    async def costs(request: Request) -> None:
        here = Address(request)
        await show(
            request,
            readers,
            f"Costs of {here['user']}" if here["user"] else "Costs",
            lambda reader: _content(reader, here),
            above=lambda: Filters("/costs", _fields(here)),
        )


async def _content(reader: Reader, here: Address) -> None:
    within = period(here, reader.now_us())
    by, order = _groups(here), _order(here)
    filters = here.filters(_FILTERS)
    found = await reader.costs(filters, within, by, order=order, limit=_LIMIT, cursor=here.cursor)
    _months(here, within)
    if not found.total.calls:
        with ui.element("div").classes("tg-empty"):
            text("No calls in this time", "h2")
            text("A call is here within a second of its end. Days begin at midnight UTC.")
            if any(here[name] for name in _FILTERS):
                link("All costs of this time", here.with_(**dict.fromkeys(_FILTERS, "")))
        return
    figures(found.total)
    await _chart(reader, filters, within)
    said = {name: here[name] for name in _FILTERS}
    with section("By " + " and ".join(by)):
        Table(
            (*(Column("group", name.capitalize()) for name in by), *COLUMNS),
            [*(_row(here, row, within) for row in found.rows), total(len(by), found.total)],
        )
    pager(here, found.next_cursor, back="← back", on="more →")
    with ui.element("p"):
        link("Download as CSV", _file(filters, within, by, order)).props("download")
        if here["user"]:
            text(" · ", "span")
            link("The calls of this user", calls_of({}, within, **said))
    _left_out(found, within, said)


def period(here: Address, now_us: int) -> Range:
    """Return the days that an address asks for: a month, or from one day to another; else this month."""
    if not (here["from"] or here["to"]):
        return stretch("month", here["month"] or day_of(now_us).isoformat()[:7])
    midnight = (now_us // DAY_US + 1) * DAY_US
    last = moment("to", here["to"], last=True) if here["to"] else midnight
    first = day_of(last - 1).replace(day=1)
    return here.within(Range(moment("from", first.isoformat()), midnight))


def _months(here: Address, within: Range) -> None:
    """Say which days these are, and lead to the months before and after."""
    first, last = day_of(within.from_us), day_of(within.to_us - 1)
    whole = first.day == 1 and month_after(first) == last + timedelta(days=1)
    with ui.element("nav").classes("tg-pager tg-months"):
        before = (first - timedelta(days=1)).isoformat()[:7]
        link(f"← {before}", here.with_(month=before, **{"from": "", "to": ""}))
        text(f"{first:%B %Y}" if whole else f"{first} to {last}", "strong")
        after = month_after(first).isoformat()[:7]
        link(f"{after} →", here.with_(month=after, **{"from": "", "to": ""}))
        text("days are UTC", "span", "mild")


def _fields(here: Address) -> list[Field]:
    return [
        Field("month", "Month", here["month"], type="month", hint="2026-11", clears=("from", "to")),
        Field("from", "From", here["from"], type="date", clears=("month",)),
        Field("to", "To", here["to"], type="date", clears=("month",)),
        Field("by", "Group by", here["by"] or _GROUPS[0], choices=_GROUPS, none=""),
        Field("then", "and by", here["then"], choices=_GROUPS, none="nothing else"),
        Field("sort", "Sort by", here["sort"], choices=tuple(_ORDERS), none="as usual"),
        *here.fields(_FILTERS, more=True),
    ]


def _groups(here: Address) -> list[str]:
    by = [here["by"] or _GROUPS[0], here["then"]]
    for name in filter(None, by):
        if name not in _GROUPS:
            raise Refusal(400, "bad_group", f"{name!r} is no group: one of {', '.join(_GROUPS)}")
    return list(dict.fromkeys(filter(None, by)))


def _order(here: Address) -> CostOrder:
    """Return how lines are sorted: times by themselves, everything else by its cost."""
    usual = "name" if here["by"] in TIMES else "cost"
    said = here["sort"] or usual
    if said not in _ORDERS:
        raise Refusal(400, "bad_sort", f"sort={said!r}: one of {', '.join(_ORDERS)}")
    return _ORDERS[said]


async def _chart(reader: Reader, filters: Narrowed, within: Range) -> None:
    """Draw the cost of each day, or of each month if there are many."""
    last_us = min(within.to_us, (reader.now_us() // DAY_US + 1) * DAY_US)
    by = "day" if last_us - within.from_us <= _MOST_BARS * DAY_US else "month"
    found = await reader.costs(filters, Range(within.from_us, last_us), (by,), limit=1000)
    days = (day_of(us).isoformat() for us in range(within.from_us, last_us, DAY_US))
    bars_: dict[str, float | None] = dict.fromkeys((day if by == "day" else day[:7] for day in days), 0.0)
    for row in found.rows:
        cost = row.cost_nano_usd
        bars_[row.group[by]] = None if cost is None else cost / 1e9
    bars(bars_, unit="$")


def _row(here: Address, row: SumsRow, within: Range) -> tuple[Cell, ...]:
    said = {name: here[name] for name in _FILTERS}
    names = []
    for name, value in row.group.items():
        leads = name == "user" and value != here["user"]
        href = here.with_(user=value, by="day", then="model", sort="") if leads else ""
        names.append(name_of(name, value, href=href))
    return (*names, *cells(row, calls=calls_of(row.group, within, **said)))


def _file(filters: Narrowed, within: Range, by: list[str], order: CostOrder) -> str:
    """Return where the same numbers are as a file."""
    first, last = within.days
    days = {"from": first, "to": last}
    if not within.whole_days:
        days = ends(within)
    return to("/api/costs/export", group_by=",".join(by), sort=order, **days, **filters)


def _left_out(found: Costs, within: Range, said: dict[str, str]) -> None:
    """Show the calls that no sum of money contains."""
    reasons = {reason: calls for reason, calls in found.unpriced_reasons.items() if reason != "interrupted"}
    if reasons:
        with section("Calls without a price: in no sum above"):
            rows = [
                (
                    Cell(reason or "unknown"),
                    Cell(count(calls), href=calls_of({"reason": reason}, within, **said)),
                    Cell(why(reason), tone="mild"),
                )
                for reason, calls in reasons.items()
            ]
            Table(_REASONS, rows)
    if found.interrupted:
        _interrupted(found.interrupted, calls_of({"status": "interrupted"}, within, **said))


def _interrupted(bounds: Bounds, calls: str) -> None:
    lower, upper = dollars(bounds.lower_nano_usd), dollars(bounds.upper_nano_usd)
    bounded = bounds.calls - bounds.unbounded
    with section("Interrupted calls: in no sum above"), ui.element("p"):
        link(f"{count(bounds.calls)} calls", calls)
        text(" were cut off by the end of a gateway process. ", "span")
        if bounded:
            text(f"{count(bounded)} of them cost between {lower} and {upper} in all. ", "span")
        if bounds.unbounded:
            these = f"the other {count(bounds.unbounded)}" if bounded else "they"
            text(f"Nobody can say what {these} cost at most.", "span", "warn")
