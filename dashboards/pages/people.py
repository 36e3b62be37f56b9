"""`/users` and `/threads`: who called, and in which conversations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
from fastapi import Request
from nicegui import ui

from dashboards.components.address import Address, pager, to
from dashboards.components.empty import nothing
from dashboards.components.filters import Field, Filters
from dashboards.components.frame import show, text
from dashboards.components.groups import calls_of, days_back, name_of
from dashboards.components.sums import COLUMNS, cells
from dashboards.components.table import Cell, Column, Table
from dashboards.reader import Reader
from telemetry.answers import Refusal
from telemetry.figures import SumsRow
from telemetry.questions import Range
from telemetry.questions.costs import CostOrder

_LIMIT = 50
_ORDERS: dict[str, CostOrder] = {
    "last": "last",
    "cost": "cost",
    "calls": "calls",
    "tokens": "tokens",
    "failed": "errors",
}
_FILTERS = ("model", "key", "agent", "status", "project", "environment")


class _List(msgspec.Struct, frozen=True):
    """One of the two pages."""

    name: Literal["user", "thread"]
    days: int
    """How far it looks back unless asked otherwise."""

    @property
    def path(self) -> str:
        """Where it is."""
        return f"/{self.name}s"


_LISTS = (_List("user", 30), _List("thread", 7))


def add(readers: Callable[[Request], Reader]) -> None:
    """Make the pages known to NiceGUI."""
    for one in _LISTS:
        _add(one, readers)


def _add(one: _List, readers: Callable[[Request], Reader]) -> None:
    @ui.page(one.path, response_timeout=30)
    async def sums(request: Request) -> None:
        here = Address(request)
        await show(
            request,
            readers,
            f"{one.name.capitalize()}s",
            lambda reader: _content(reader, request, here, one),
            above=lambda: Filters(one.path, _fields(here)),
        )


async def _content(reader: Reader, request: Request, here: Address, one: _List) -> None:
    within = here.within(days_back(one.days, reader.now_us()))
    found = await reader.costs(
        here.filters(_FILTERS), within, (one.name,), order=_order(here), limit=_LIMIT, cursor=here.cursor
    )
    hint = f"The last {one.days} days, unless From says otherwise."
    if not found.rows:
        nothing(reader, request, one.name, hint=hint)
        return
    if not here["from"]:
        text(hint, classes="mild tg-note")
    said = {name: here[name] for name in _FILTERS}
    Table(
        (Column("event", one.name.capitalize()), *COLUMNS, Column("at", "Last call")),
        [_row(one, row, within, said) for row in found.rows],
    )
    pager(here, found.next_cursor, back="← back", on="more →")


def _fields(here: Address) -> list[Field]:
    return [
        Field("sort", "Sort by", here["sort"] or "last", choices=tuple(_ORDERS), none=""),
        *here.day_fields(),
        *here.fields(_FILTERS),
    ]


def _order(here: Address) -> CostOrder:
    said = here["sort"] or "last"
    if said not in _ORDERS:
        raise Refusal(400, "bad_sort", f"sort={said!r}: one of {', '.join(_ORDERS)}")
    return _ORDERS[said]


def _row(one: _List, row: SumsRow, within: Range, said: dict[str, str]) -> tuple[Cell, ...]:
    value = row.group[one.name]
    calls = calls_of(row.group, within, **said)
    costs = to("/costs", user=value, by="day", then="model") if one.name == "user" and value else calls
    last = Cell(at=row.last_at) if row.last_at else Cell(row.last_day or "")
    return (name_of(one.name, value, href=costs), *cells(row, calls=calls), last)
