"""`/`: the events that were active last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote

from fastapi import Request
from nicegui import ui

from dashboards.components.address import Address, pager
from dashboards.components.cells import address, count
from dashboards.components.empty import nothing
from dashboards.components.filters import Field, Filters
from dashboards.components.frame import show
from dashboards.components.table import Cell, Column, Table
from dashboards.reader import Reader
from telemetry.answers import EventAnswer
from telemetry.questions import EventFilters
from telemetry.words import dollars, duration

_LIMIT = 50
_SHOWN = 5
"""Users or models of an event; the ledger names one more, if there are."""
_COLUMNS = (
    Column("at", "Last call"),
    Column("event", "Event"),
    Column("status", "Status"),
    Column("calls", "Calls", number=True),
    Column("who", "User"),
    Column("model", "Model"),
    Column("tokens", "Tokens in", number=True),
    Column("tokens", "out", number=True),
    Column("cost", "Cost", number=True),
    Column("time", "Took", number=True),
    Column("said", "Asked last"),
)


def add(readers: Callable[[Request], Reader]) -> None:
    """Make the page known to NiceGUI."""

    @ui.page("/", response_timeout=30)
    async def events(request: Request) -> None:
        here = Address(request)
        await show(
            request,
            readers,
            "Events",
            lambda reader: _content(reader, request, here),
            above=lambda: Filters("/", _fields(here)),
        )


async def _content(reader: Reader, request: Request, here: Address) -> None:
    page = await reader.events(_filters(here), limit=_LIMIT, cursor=here.cursor)
    if not page.events:
        nothing(reader, request, "event")
        return
    Table(_COLUMNS, [_row(event) for event in page.events])
    pager(here, page.next_cursor)


def _fields(here: Address) -> list[Field]:
    return [
        *here.fields(("status", "model", "user", "thread")),
        Field("text", "Text", here["text"], hint="event id, error, first words"),
        *here.moment_fields(),
    ]


def _filters(here: Address) -> EventFilters:
    within = here.within()
    return EventFilters(
        status=here["status"],
        model=here["model"],
        user_id=here["user"],
        thread_id=here["thread"],
        text=here["text"],
        from_us=within.from_us,
        to_us=within.to_us - 1,
    )


def some(names: Sequence[str]) -> str:
    """Return the first of these names, and say if there are more."""
    return ", ".join([*names[:_SHOWN], "…"] if len(names) > _SHOWN else names)


def _row(event: EventAnswer) -> tuple[Cell, ...]:
    users, models = some(event.user_ids), some(event.models)
    return (
        Cell(at=event.last_at),
        Cell(event.event_id, href=address("events", event.event_id), hint=event.event_id, tone="code"),
        _status(event),
        Cell(count(event.calls)),
        Cell(users, href=f"/?user={quote(users)}" if len(event.user_ids) == 1 else "", hint=users),
        Cell(models, hint=models),
        Cell(count(event.input_tokens)),
        Cell(count(event.output_tokens)),
        _cost(event),
        Cell(duration(event.total_us)),
        Cell(event.request_preview, hint=event.request_preview, tone="mild"),
    )


def _status(event: EventAnswer) -> Cell:
    bad = [f"{count(event.errors)} failed"] if event.errors else []
    cut = [f"{count(event.interrupted)} interrupted"] if event.interrupted else []
    left = [f"{count(event.cancelled)} cancelled"] if event.cancelled else []
    tone = "bad" if bad or cut else "warn" if left else "good"
    return Cell(", ".join(bad + cut + left) or "ok", tone=tone)


def _cost(event: EventAnswer) -> Cell:
    if not event.priced:
        return Cell("–", hint="no price is known", tone="mild")
    hint = f"{count(event.unpriced)} without a price" if event.unpriced else ""
    return Cell(dollars(event.cost_nano_usd), hint=hint, tone="warn" if event.unpriced > event.errors else "")
