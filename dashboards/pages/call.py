"""`/calls/{call_id}`: all about one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
from fastapi import Request
from nicegui import ui

from dashboards.components.cells import address, cost, count, status_of, tokens
from dashboards.components.frame import link, section, show, text
from dashboards.components.table import Cell, Column, Table, facts
from dashboards.readable import complaint, pretty, streamed
from dashboards.reader import Reader
from telemetry.answers import CallDetail, PayloadAnswer
from telemetry.words import dollars, duration

_SHOWN = 100_000
"""Characters of a body; the API has the rest."""
_ATTEMPTS = (
    Column("number", "", number=True),
    Column("model", "Deployment"),
    Column("status", "Status"),
    Column("time", "Began after", number=True),
    Column("time", "Connected", number=True),
    Column("time", "First byte", number=True),
    Column("time", "Took", number=True),
    Column("code", "Provider's request id"),
    Column("said", "Error"),
)
_BUCKETS = (
    Column("name", "Tokens"),
    Column("count", "Number", number=True),
    Column("cost", "Cost", number=True),
)
_MEMORIES = (Column("code", "Memory"), Column("score", "Score", number=True))


def add(readers: Callable[[Request], Reader]) -> None:
    """Make the page known to NiceGUI."""

    @ui.page("/calls/{call_id:path}", response_timeout=30)
    async def call(request: Request, call_id: str) -> None:
        await show(request, readers, f"Call {call_id}", lambda reader: _content(reader, call_id))


async def _content(reader: Reader, call_id: str) -> None:
    call = await reader.call(call_id)
    if call.error_message or call.error_type:
        _error(call)
    with ui.element("div").classes("tg-columns"):
        with section("Outcome"):
            _outcome(call)
        with section("Belongs to"):
            _identity(call)
        with section("Tokens and cost"):
            _usage(call)
    if call.memory.status:
        _memory(call)
    with section("Attempts"):
        Table(_ATTEMPTS, [_attempt(number, one) for number, one in enumerate(call.attempts, 1)])
    _body("Request", call.request, call)
    _body("Answer", call.answer, call)


def _error(call: CallDetail) -> None:
    with ui.element("div").classes("tg-error").props("role=alert"):
        kind = ", ".join(filter(None, (call.error_type, call.error_code)))
        text(kind or "error", "h2")
        text(pretty(call.error_message), "pre")


def _outcome(call: CallDetail) -> None:
    served = call.deployment or call.served_model
    facts(
        [
            ("Status", status_of(call)),
            ("HTTP", Cell(str(call.http_status or ""))),
            ("Model", Cell(call.model, href=f"/?model={quote(call.model)}")),
            ("Served by", Cell(served if served != call.model else "")),
            ("Answered as", Cell(call.response_model if call.response_model != call.model else "")),
            ("Finish", Cell(call.finish_reason)),
            ("Stream", Cell("yes" if call.stream else "")),
            ("Started", Cell(at=call.started_at)),
            ("First byte", Cell(duration(call.first_byte_us) if call.first_byte_us else "")),
            ("First token", Cell(duration(call.first_token_us) if call.first_token_us else "")),
            ("Took", Cell(duration(call.total_us))),
            ("Gateway's part", Cell(duration(call.overhead_us))),
            ("Parameters", Cell(_listed(call.parameters))),
            ("Payloads", Cell(call.capture if call.capture != "full" else "", tone="warn")),
        ]
    )


def _identity(call: CallDetail) -> None:
    facts(
        [
            ("Event", Cell(call.event_id, href=address("events", call.event_id))),
            ("User", Cell(call.user_id, href=f"/?user={quote(call.user_id)}")),
            ("Agent", Cell(call.agent_id)),
            ("Thread", Cell(call.thread_id, href=f"/?thread={quote(call.thread_id)}")),
            ("Step", Cell(call.step)),
            ("Tags", Cell(", ".join(call.tags))),
            ("Properties", Cell(_listed(call.properties))),
            ("Environment", Cell(call.environment)),
            ("Project", Cell(call.project)),
            ("Key", Cell(call.key_id)),
            ("Surface", Cell(call.surface)),
            ("Trace", Cell(call.trace_id, tone="code")),
            ("Call", Cell(call.call_id, tone="code")),
            ("Response", Cell(call.response_id, tone="code")),
            ("Gateway", Cell(call.gateway)),
        ]
    )


def _usage(call: CallDetail) -> None:
    names = [*call.usage, *(name for name in call.cost_lines if name not in call.usage)]
    rows = [
        (Cell(name.replace("_", " ")), _number(call.usage.get(name)), _money(call.cost_lines.get(name)))
        for name in names
    ]
    all_of_it = msgspec.structs.replace(tokens(call.input_tokens + call.output_tokens, call), tone="total")
    Table(_BUCKETS, [*rows, (Cell("all", tone="total"), all_of_it, cost(call))])
    facts(
        [
            ("Counted by", Cell(call.usage_source if call.usage_source != "none" else "nobody")),
            ("Price", Cell(call.price_row, hint=call.price_version)),
            ("Cost unknown", Cell(call.cost_reason)),
        ]
    )


def _memory(call: CallDetail) -> None:
    memory = call.memory
    with section("Memory"), ui.element("div").classes("tg-columns"):
        with ui.element("div"):
            facts(
                [
                    ("Recall", Cell(memory.status, tone="good" if memory.status == "injected" else "")),
                    ("Switch", Cell(memory.switch)),
                    ("Added", Cell(f"{count(memory.tokens)} tokens" if memory.tokens else "")),
                    ("To message", Cell(str(memory.anchor + 1) if memory.anchor >= 0 else "")),
                    ("Waited", Cell(duration(memory.latency_us) if memory.latency_us else "")),
                ]
            )
            if memory.ids:
                pairs = zip(memory.ids, memory.scores, strict=False)
                Table(_MEMORIES, [(Cell(one), Cell(f"{score:.3f}")) for one, score in pairs])
        if memory.block:
            text(memory.block, "pre", "tg-body")


def _attempt(number: int, attempt: dict[str, Any]) -> tuple[Cell, ...]:
    """Show one try; the store leaves out what holds its default."""
    told = attempt.get("error_message", "")
    kind = attempt.get("error_type", "")
    began = attempt.get("started_us", 0)
    status = attempt.get("http_status", 0)
    return (
        Cell(str(number)),
        Cell(attempt.get("deployment", "")),
        Cell(f"{kind or 'ok'} {status or ''}", tone="bad" if kind else "good"),
        Cell(duration(began)),
        _since(began, attempt.get("connected_us", 0), reused=attempt.get("reused", False)),
        _since(began, attempt.get("first_byte_us", 0)),
        _since(began, attempt.get("ended_us", 0)),
        Cell(attempt.get("request_id", ""), tone="code"),
        Cell(complaint(told), hint=told, tone="bad"),
    )


def _since(began_us: int, at_us: int, *, reused: bool = False) -> Cell:
    if reused:
        return Cell("reused", hint="the connection was open already", tone="mild")
    return Cell(duration(at_us - began_us)) if at_us >= began_us and at_us else Cell("–", tone="mild")


def _body(title: str, payload: PayloadAnswer | None, call: CallDetail) -> None:
    with section(title):
        if payload is None:
            failed = title == "Answer" and call.error_message
            text(
                "None: the error above is what the client was told." if failed else "Not kept, or no longer.",
                classes="mild",
            )
            return
        notes = [f"{count(payload.bytes_total)} bytes", payload.content_type]
        if payload.bytes_kept < payload.bytes_total:
            notes.append(f"the first {count(payload.bytes_kept)} kept")
        if payload.redactions:
            notes.append(f"secrets replaced: {count(payload.redactions)}")
        text(" · ".join(filter(None, notes)), classes="mild")
        if said := streamed(payload.text):
            text(said[:_SHOWN], "pre", "tg-body")
        text(pretty(payload.text[:_SHOWN]), "pre", "tg-body")
        if len(payload.text) > _SHOWN:
            link(f"The API has all {count(len(payload.text))} characters", f"/api/calls/{call.call_id}")


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in values.items())


def _number(tokens_: int | None) -> Cell:
    return Cell("" if tokens_ is None else count(tokens_))


def _money(nano: int | None) -> Cell:
    return Cell("" if nano is None else dollars(nano))
