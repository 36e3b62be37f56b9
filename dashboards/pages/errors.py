"""`/errors`: what goes wrong, how often, and since when."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from nicegui import ui

from dashboards.components.address import Address, pager
from dashboards.components.cells import address, count
from dashboards.components.empty import nothing
from dashboards.components.filters import Field, Filters
from dashboards.components.frame import show, text
from dashboards.components.groups import calls_of, days_back, name_of
from dashboards.components.table import Cell, Column, Table
from dashboards.readable import complaint
from dashboards.reader import Reader
from telemetry.figures import ErrorRow
from telemetry.questions import Range

_LIMIT = 50
_DAYS = 7
_HINT = f"The last {_DAYS} days, unless From says otherwise."
_FIRST = ("error", "provider", "model", "user", "key")
_MORE = ("project", "environment")
_FILTERS = (*_FIRST, *_MORE)
_COLUMNS = (
    Column("calls", "Calls", number=True),
    Column("error", "Error type"),
    Column("provider", "Provider"),
    Column("model", "Model"),
    Column("at", "First"),
    Column("at", "Last"),
    Column("call", "Last call"),
    Column("said", "Said last"),
)


def add(readers: Callable[[Request], Reader]) -> None:
    """Make the page known to NiceGUI."""

    @ui.page("/errors", response_timeout=30)
    async def errors(request: Request) -> None:
        here = Address(request)
        await show(
            request,
            readers,
            "Errors",
            lambda reader: _content(reader, request, here),
            above=lambda: Filters("/errors", _fields(here)),
        )


async def _content(reader: Reader, request: Request, here: Address) -> None:
    within = here.within(days_back(_DAYS, reader.now_us()))
    found = await reader.errors(here.filters(_FILTERS), within, limit=_LIMIT, cursor=here.cursor)
    if not found.rows:
        nothing(reader, request, "error", hint=_HINT)
        return
    if not here["from"]:
        text(_HINT, classes="mild tg-note")
    said = {name: here[name] for name in _FILTERS}
    Table(_COLUMNS, [_row(row, within, said) for row in found.rows])
    pager(here, found.next_cursor, back="← back", on="more →")


def _fields(here: Address) -> list[Field]:
    return [*here.day_fields(), *here.fields(_FIRST), *here.fields(_MORE, more=True)]


def _row(row: ErrorRow, within: Range, said: dict[str, str]) -> tuple[Cell, ...]:
    shared = {"error": row.error_type, "provider": row.provider, "model": row.model}
    told = {name: value for name, value in shared.items() if value}
    message = complaint(row.last_message)
    return (
        Cell(count(row.count), href=calls_of(told, within, **said)),
        Cell(row.error_type, hint=f"HTTP {row.last_http_status}" if row.last_http_status else "", tone="bad"),
        name_of("provider", row.provider),
        name_of("model", row.model),
        Cell(at=row.first_at),
        Cell(at=row.last_at),
        Cell(row.last_call_id[-12:], href=address("calls", row.last_call_id), tone="code"),
        Cell(message, hint=message, tone="mild"),
    )
