"""`/events/{event_id}`: the calls of one pipeline run, in order."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from nicegui import ui

from dashboards.components.address import Address, pager
from dashboards.components.cells import address, cost, count, status_of, tokens
from dashboards.components.frame import apology, section, show
from dashboards.components.table import Cell, Column, Table, facts
from dashboards.readable import complaint
from dashboards.reader import Reader
from telemetry.answers import CallAnswer, Group
from telemetry.words import dollars, duration

_LIMIT = 100
_COLUMNS = (
    Column("at", "Started"),
    Column("call", "Call"),
    Column("status", "Status"),
    Column("step", "Step"),
    Column("model", "Model"),
    Column("who", "User"),
    Column("memory", "Memory"),
    Column("tries", "Tries", number=True),
    Column("tokens", "Tokens in", number=True),
    Column("tokens", "out", number=True),
    Column("cost", "Cost", number=True),
    Column("time", "First byte", number=True),
    Column("time", "Took", number=True),
    Column("said", "Asked, or what went wrong"),
)


def add(readers: Callable[[Request], Reader]) -> None:
    """Make the page known to NiceGUI."""

    @ui.page("/events/{event_id:path}", response_timeout=30)
    async def event(request: Request, event_id: str) -> None:
        await show(request, readers, f"Event {event_id}", lambda reader: _content(reader, request, event_id))


async def _content(reader: Reader, request: Request, event_id: str) -> None:
    here = Address(request)
    group = await reader.event(event_id, limit=_LIMIT, cursor=here.cursor)
    if not group.totals.calls:
        ui.context.client.status_code = 404
        apology(
            "No calls", f"There is no call of the event {event_id!r}; one appears within a second of its end."
        )
        return
    _totals(group)
    with section("Calls"):
        Table(_COLUMNS, [_row(call) for call in group.calls])
    pager(here, group.next_cursor, back="← earlier", on="later →")


def _totals(group: Group) -> None:
    sums = group.totals
    failed = Cell(count(sums.errors), tone="bad") if sums.errors else Cell("none", tone="good")
    without = f", {count(sums.unpriced)} without a price" if sums.unpriced else ""
    facts(
        [
            ("First call", Cell(at=group.first_at or "")),
            ("Last call", Cell(at=group.last_at or "")),
            ("Calls", Cell(count(sums.calls))),
            ("Failed", failed),
            ("Interrupted", Cell(count(sums.interrupted) if sums.interrupted else "", tone="warn")),
            ("Cancelled", Cell(count(sums.cancelled) if sums.cancelled else "", tone="warn")),
            ("Tokens", Cell(f"{count(sums.input_tokens)} in, {count(sums.output_tokens)} out")),
            ("Cost", Cell(dollars(sums.cost_nano_usd) + without)),
        ]
    )


def _row(call: CallAnswer) -> tuple[Cell, ...]:
    said = complaint(call.error_message) or call.request_preview
    return (
        Cell(at=call.started_at),
        Cell(call.call_id[-12:], href=address("calls", call.call_id), hint=call.call_id, tone="code"),
        status_of(call),
        Cell(call.step),
        Cell(call.model, hint=call.deployment or call.model),
        Cell(call.user_id, hint=call.user_id),
        _memory(call),
        Cell(count(call.attempt_count), tone="warn" if call.attempt_count > 1 else ""),
        tokens(call.input_tokens, call),
        tokens(call.output_tokens, call),
        cost(call),
        Cell(duration(call.first_byte_us) if call.first_byte_us else "–"),
        Cell(duration(call.total_us)),
        Cell(said, hint=said, tone="bad" if call.error_message else "mild"),
    )


def _memory(call: CallAnswer) -> Cell:
    memory = call.memory
    if memory.status == "injected":
        return Cell(f"{count(len(memory.ids))} injected", hint=", ".join(memory.ids), tone="good")
    return Cell(memory.status.removeprefix("skipped:"), hint=memory.status, tone="mild")
