"""`/steps`: the steps of pipelines, what they measure of themselves, and how memory does in each."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from nicegui import ui

from dashboards.components.address import Address, pager
from dashboards.components.cells import count
from dashboards.components.empty import nothing
from dashboards.components.filters import Field, Filters
from dashboards.components.frame import section, show, text
from dashboards.components.groups import calls_of, days_back
from dashboards.components.memory import memory
from dashboards.components.sums import COLUMNS, cells
from dashboards.components.table import Cell, Column, Table
from dashboards.reader import Reader
from telemetry.figures import Steps
from telemetry.questions import Range
from telemetry.words import duration

_LIMIT = 100
_DAYS = 7
_HINT = f"The last {_DAYS} days, unless From says otherwise."
_FIRST = ("model", "variant", "user", "key", "tag")
_MORE = ("project", "environment")
_FILTERS = (*_FIRST, *_MORE)
_TIMES = ("p50", "p95")
_METRICS = (
    Column("group", "Step"),
    Column("group", "Metric"),
    Column("calls", "Calls", number=True),
    *(Column("mean", name, number=True) for name in ("Mean", "Least", "Median", "95 %", "Most")),
)


def add(readers: Callable[[Request], Reader]) -> None:
    """Make the page known to NiceGUI."""

    @ui.page("/steps", response_timeout=30)
    async def steps(request: Request) -> None:
        here = Address(request)
        await show(
            request,
            readers,
            "Steps",
            lambda reader: _content(reader, request, here),
            above=lambda: Filters("/steps", _fields(here)),
        )


async def _content(reader: Reader, request: Request, here: Address) -> None:
    within = here.within(days_back(_DAYS, reader.now_us()))
    found = await reader.steps(here.filters(_FILTERS), within, limit=_LIMIT, cursor=here.cursor)
    if not found.rows:
        nothing(
            reader, request, "step", hint=f"{_HINT} A call names its step with the header x-tidegate-step."
        )
        await _memory(reader, here, within)
        return
    if not here["from"]:
        text(_HINT, classes="mild tg-note")
    said = {name: here[name] for name in _FILTERS}
    rows = []
    for row in found.rows:
        calls = calls_of({"step": row.step}, within, **said)
        times = (getattr(row.latency.total_us, name) for name in _TIMES)
        took = (Cell("–" if time is None else duration(round(time))) for time in times)
        rows.append((Cell(row.step, href=calls), *cells(row, calls=calls), *took))
    took_columns = (Column("time", "Took, median", number=True), Column("time", "95 %", number=True))
    Table((Column("group", "Step"), *COLUMNS, *took_columns), rows)
    _metrics(found)
    pager(here, found.next_cursor, back="← back", on="more →")
    await _memory(reader, here, within)


async def _memory(reader: Reader, here: Address, within: Range) -> None:
    """Show how memory does; it is not told apart by what the filters ask for, so nothing then."""
    if not here.cursor and not here.filters(_FILTERS):
        memory(await reader.memory_steps(within))


def _fields(here: Address) -> list[Field]:
    return [*here.day_fields(), *here.fields(_FIRST), *here.fields(_MORE, more=True)]


def _metrics(found: Steps) -> None:
    """Show the numbers that steps report of themselves."""
    rows = [
        (
            Cell(row.step),
            Cell(name),
            Cell(count(one.count)),
            *(Cell(f"{number:.4g}") for number in (one.mean, one.min, one.p50, one.p95, one.max)),
        )
        for row in found.rows
        for name, one in row.metrics.items()
    ]
    if rows:
        with section("Metrics"):
            Table(_METRICS, rows)
