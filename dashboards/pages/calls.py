"""`/calls`: calls of all events, and where words were said in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from fastapi import Request
from nicegui import ui

from dashboards.components.address import NARROWS, Address, pager, to
from dashboards.components.cells import address, cost, status_of, tokens
from dashboards.components.empty import nothing
from dashboards.components.filters import Field, Filters
from dashboards.components.frame import show, text
from dashboards.components.table import Cell, Column, Table
from dashboards.readable import complaint
from dashboards.reader import Reader
from telemetry.answers import CallAnswer, Refusal
from telemetry.figures import Hit
from telemetry.questions.calls import Sort
from telemetry.words import duration

_LIMIT = 50
_SORTS: dict[str, Sort] = {one: one for one in get_args(Sort) if one != "oldest"}
_FIRST = ("status", "model", "user")
_MORE = tuple(name for name in NARROWS if name not in _FIRST)
_BOUNDED = "The last 7 days, unless From says otherwise; 31 days at most."
_COLUMNS = (
    Column("at", "Started"),
    Column("call", "Call"),
    Column("status", "Status"),
    Column("event", "Event"),
    Column("model", "Model"),
    Column("who", "User"),
    Column("step", "Step"),
    Column("tokens", "Tokens in", number=True),
    Column("tokens", "out", number=True),
    Column("cost", "Cost", number=True),
    Column("time", "Took", number=True),
    Column("said", "Asked, or what went wrong"),
)
_FOUND_COLUMNS = (
    Column("at", "Started"),
    Column("call", "Call"),
    Column("status", "Status"),
    Column("event", "Event"),
    Column("model", "Model"),
    Column("who", "User"),
    Column("part", "Said in"),
    Column("found", "Found, newest first"),
)


def add(readers: Callable[[Request], Reader]) -> None:
    """Make the page known to NiceGUI."""

    @ui.page("/calls", response_timeout=30)
    async def calls(request: Request) -> None:
        here = Address(request)
        await show(
            request,
            readers,
            "Calls",
            lambda reader: _content(reader, request, here),
            above=lambda: Filters("/calls", _fields(here)),
        )


async def _content(reader: Reader, request: Request, here: Address) -> None:
    filters, within = here.filters(NARROWS), here.within()
    sort, words = _sort(here), here["q"]
    hint = _BOUNDED if words or sort != "newest" else ""
    columns: Sequence[Column] = _COLUMNS
    if words:
        hits = await reader.search(words, filters, within, limit=_LIMIT, cursor=here.cursor)
        columns, next_cursor = _FOUND_COLUMNS, hits.next_cursor
        rows = [_found(hit) for hit in hits.hits]
    else:
        page = await reader.calls(filters, within, sort=sort, limit=_LIMIT, cursor=here.cursor)
        next_cursor = page.next_cursor
        rows = [_row(call) for call in page.calls]
    if not rows:
        nothing(reader, request, "call", hint=hint)
        return
    if hint:
        text(hint, classes="mild tg-note")
    Table(columns, rows)
    pager(here, next_cursor, back="← back", on="more →")


def _fields(here: Address) -> list[Field]:
    return [
        Field("q", "Words in requests and answers", here["q"], type="search", hint="whole words"),
        Field("sort", "Sort by", here["sort"] or "newest", choices=tuple(_SORTS), none=""),
        *here.fields(_FIRST),
        *here.moment_fields(),
        *here.fields(_MORE, more=True),
        Field("property", "Property", here["property"], hint="name=value", more=True),
    ]


def _sort(here: Address) -> Sort:
    said = here["sort"] or "newest"
    if said not in _SORTS:
        raise Refusal(400, "bad_sort", f"sort={said!r}: one of {', '.join(_SORTS)}")
    return _SORTS[said]


def _head(call: CallAnswer) -> tuple[Cell, ...]:
    event, user = call.event_id, call.user_id
    return (
        Cell(at=call.started_at),
        Cell(call.call_id[-12:], href=address("calls", call.call_id), hint=call.call_id, tone="code"),
        status_of(call),
        Cell(event, href=address("events", event) if event else "", hint=event),
        Cell(call.model, hint=call.deployment or call.model),
        Cell(user, href=to("/calls", user=user) if user else "", hint=user),
    )


def _row(call: CallAnswer) -> tuple[Cell, ...]:
    said = complaint(call.error_message) or call.request_preview
    return (
        *_head(call),
        Cell(call.step),
        tokens(call.input_tokens, call),
        tokens(call.output_tokens, call),
        cost(call),
        Cell(duration(call.total_us) if call.total_us else "–"),
        Cell(said, hint=said, tone="bad" if call.error_message else "mild"),
    )


def _found(hit: Hit) -> tuple[Cell, ...]:
    return (*_head(hit.call), Cell(hit.part), Cell(hit.snippet))
