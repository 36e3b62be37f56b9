"""`/`: the events that were active last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from fastapi import Request
from nicegui import ui

from dashboards.components.cells import address, count
from dashboards.components.filters import Field, Filters
from dashboards.components.frame import link, show, text
from dashboards.components.table import Cell, Column, Table
from dashboards.reader import Reader
from telemetry.answers import EventAnswer, Refusal
from telemetry.questions import EventFilters
from telemetry.words import dollars, duration

_LIMIT = 50
_STATUSES = ("ok", "error", "cancelled", "interrupted")
_NAMES = ("status", "model", "user", "thread", "text", "from", "to")
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
        given = {name: request.query_params.get(name, "") for name in _NAMES}
        await show(
            request,
            readers,
            "Events",
            lambda reader: _content(reader, request, given),
            above=lambda: Filters("/", _fields(given)),
        )


async def _content(reader: Reader, request: Request, given: Mapping[str, str]) -> None:
    behind = request.query_params.getlist("after")
    page = await reader.events(_filters(given), limit=_LIMIT, cursor=behind[-1] if behind else "")
    if not page.events:
        _nothing(reader, request, narrowed=any(given.values()) or bool(behind))
        return
    Table(_COLUMNS, [_row(event) for event in page.events])
    with ui.element("nav").classes("tg-pager"):
        if behind:
            link("← newer", _here(request, behind[:-1]))
        if page.next_cursor:
            link("older →", _here(request, [*behind, page.next_cursor]))


def _fields(given: Mapping[str, str]) -> list[Field]:
    return [
        Field("status", "Status", given["status"], choices=_STATUSES),
        Field("model", "Model", given["model"], hint="gpt-4o"),
        Field("user", "User", given["user"]),
        Field("thread", "Thread", given["thread"]),
        Field("text", "Text", given["text"], hint="event id, error, first words"),
        Field("from", "From", given["from"], type="datetime-local"),
        Field("to", "To", given["to"], type="datetime-local"),
    ]


def _filters(given: Mapping[str, str]) -> EventFilters:
    times = {f"{name}_us": _moment_us(name, given[name]) for name in ("from", "to") if given[name]}
    return EventFilters(
        status=given["status"],
        model=given["model"],
        user_id=given["user"],
        thread_id=given["thread"],
        text=given["text"],
        **times,
    )


def _moment_us(name: str, words: str) -> int:
    try:
        moment = datetime.fromisoformat(words)
    except ValueError as error:
        raise Refusal(400, "bad_time", f"{name}={words!r} is not a time: write 2026-11-21T18:00Z") from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1_000_000


def _row(event: EventAnswer) -> tuple[Cell, ...]:
    users = ", ".join(event.user_ids)
    models = ", ".join(event.models)
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
    return Cell(", ".join(bad + cut) or "ok", tone="bad" if bad or cut else "good")


def _cost(event: EventAnswer) -> Cell:
    if not event.priced:
        return Cell("–", hint="no price is known", tone="mild")
    hint = f"{count(event.unpriced)} without a price" if event.unpriced else ""
    return Cell(dollars(event.cost_nano_usd), hint=hint, tone="warn" if event.unpriced > event.errors else "")


def _here(request: Request, behind: list[str]) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
    return "/?" + urlencode([*kept, *(("after", cursor) for cursor in behind)])


def _nothing(reader: Reader, request: Request, *, narrowed: bool) -> None:
    with ui.element("div").classes("tg-empty"):
        if narrowed:
            text("No event matches", "h2")
            link("Show all events", "/")
            return
        text("No calls yet", "h2")
        text("Make one: the model needs no key of a provider, and no network. It is here within a second.")
        key = "" if reader.open else " -H 'authorization: Bearer tg-...'"
        text(
            f"curl {request.base_url}v1/chat/completions{key} \\\n"
            "  -H 'content-type: application/json' -H 'x-tidegate-event-id: first-light' \\\n"
            """  -d '{"model": "sandbox/echo", "messages": [{"role": "user", "content": "Hello, tide"}]}'""",
            "pre",
        )
        text("Or several at once, with users, threads and a failure:")
        text("tidegate demo", "pre")
