"""`/calls/{call_id}`: all about one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import Request
from nicegui import ui

from dashboards.components.address import to
from dashboards.components.attempts import attempts
from dashboards.components.cells import address, cost, count, status_of, tokens
from dashboards.components.frame import link, section, show, text
from dashboards.components.table import Cell, Column, Table, facts
from dashboards.readable import pretty, streamed, why
from dashboards.reader import Reader
from telemetry.answers import CallDetail, PayloadAnswer, iso
from telemetry.upkeep.rerate import Correction
from telemetry.words import dollars, duration

_SHOWN = 100_000
"""Characters of a body; the API has the rest."""
_BUCKETS = (
    Column("name", "Tokens"),
    Column("count", "Number", number=True),
    Column("cost", "Cost", number=True),
)
_CORRECTIONS = (
    Column("at", "Corrected"),
    Column("cost", "From", number=True),
    Column("cost", "To", number=True),
    Column("model", "Price"),
    Column("said", "Why"),
)
_METRICS = (Column("name", "Metric"), Column("count", "Value", number=True))
_MEMORIES = (Column("code", "Memory"), Column("score", "Score", number=True))


def add(readers: Callable[[Request], Reader]) -> None:
    """Make the page known to NiceGUI."""

    @ui.page("/calls/{call_id:path}", response_timeout=30)
    async def call(request: Request, call_id: str) -> None:
        await show(request, readers, f"Call {call_id}", lambda reader: _content(reader, call_id))


async def _content(reader: Reader, call_id: str) -> None:
    call = await reader.call(call_id)
    corrections = await reader.corrections(call)
    if call.error_message or call.error_type:
        _error(call)
    with ui.element("div").classes("tg-columns"):
        with section("Outcome"):
            _outcome(call)
        with section("Belongs to"):
            _identity(call)
        with section("Tokens and cost"):
            _usage(call)
        if call.metrics:
            with section("Metrics"):
                Table(_METRICS, [(Cell(name), Cell(f"{value:g}")) for name, value in call.metrics.items()])
    if corrections:
        _corrected(corrections)
    if call.memory.status:
        _memory(call)
    if call.attempts:
        with section("Attempts"):
            attempts(call.attempts)
    _body("Request", call.request, call)
    _body("Answer", call.answer, call)
    if call.raw_usage:
        with section("Usage as the provider told it"):
            text(pretty(call.raw_usage), "pre", "tg-body")


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
            ("Kind", Cell(call.kind if call.kind != "llm" else "")),
            ("Model", Cell(call.model, href=to("/calls", model=call.model))),
            ("Route", Cell(call.route, href=to("/calls", route=call.route))),
            ("Variant", Cell(call.variant, href=to("/calls", variant=call.variant))),
            ("Served by", Cell(served if served != call.model else "")),
            ("Answered as", Cell(call.response_model if call.response_model != call.model else "")),
            ("Service tier", Cell(call.service_tier)),
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
    made = "the caller named none; this one is ours" if call.event_id_made else ""
    facts(
        [
            ("Event", Cell(call.event_id, href=address("events", call.event_id), hint=made)),
            ("User", Cell(call.user_id, href=to("/calls", user=call.user_id))),
            ("Agent", Cell(call.agent_id, href=to("/calls", agent=call.agent_id))),
            ("Thread", Cell(call.thread_id, href=to("/calls", thread=call.thread_id))),
            ("Step", Cell(call.step, href=to("/calls", step=call.step))),
            ("Tags", Cell(", ".join(call.tags))),
            ("Properties", Cell(_listed(call.properties))),
            ("Environment", Cell(call.environment)),
            ("Project", Cell(call.project)),
            ("Key", Cell(call.key_id, href=to("/calls", key=call.key_id))),
            ("Surface", Cell(call.surface)),
            ("Trace", Cell(call.trace_id, tone="code")),
            ("Parent span", Cell(call.parent_span_id, tone="code")),
            ("Span", Cell(" ".join(filter(None, (call.span_name, call.span_id))), tone="code")),
            ("Log", Cell(call.log_id, hint="the sender's own id", tone="code")),
            ("About call", Cell(call.links_to, href=address("calls", call.links_to), tone="code")),
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
            ("Price list", Cell(call.price_version, tone="code")),
            ("Saved by cache", _money(call.cache_saved_nano_usd or None)),
            ("Cost unknown", Cell(call.cost_reason, hint=why(call.cost_reason), tone="warn")),
            ("Between", Cell(_bounds(call) if call.status == "interrupted" else "", tone="warn")),
        ]
    )


def _bounds(call: CallDetail) -> str:
    upper = call.cost_upper_nano_usd
    most = "what nobody can say" if upper is None else dollars(upper)
    return f"{dollars(call.cost_lower_nano_usd)} and {most}"


def _corrected(corrections: list[Correction]) -> None:
    """Show what the call was booked for, and what it costs after all."""
    first, last = corrections[0], corrections[-1]
    with section("Cost, corrected"):
        facts(
            [
                ("First booked", _unknown(first.old_nano_usd)),
                ("After all", Cell(dollars(last.new_nano_usd), tone="total")),
            ]
        )
        rows = [
            (
                Cell(at=iso(one.corrected_at_us)),
                _unknown(one.old_nano_usd),
                Cell(dollars(one.new_nano_usd)),
                Cell(one.new_price_row, hint=f"{one.old_price_version} → {one.new_price_version}"),
                Cell(one.reason, hint=one.reason),
            )
            for one in corrections
        ]
        Table(_CORRECTIONS, rows)


def _memory(call: CallDetail) -> None:
    memory = call.memory
    with section("Memory"), ui.element("div").classes("tg-columns"):
        with ui.element("div"):
            facts(
                [
                    ("Recall", Cell(memory.status, tone="good" if memory.status == "injected" else "")),
                    ("Switch", Cell(memory.switch)),
                    ("Added", Cell(f"{count(memory.tokens)} tokens" if memory.tokens else "")),
                    (
                        "Profile",
                        Cell(f"{count(memory.profile_tokens)} tokens" if memory.profile_tokens else ""),
                    ),
                    ("To message", Cell(str(memory.anchor + 1) if memory.anchor >= 0 else "")),
                    ("Waited", Cell(duration(memory.latency_us) if memory.latency_us else "")),
                ]
            )
            if memory.ids:
                pairs = zip(memory.ids, memory.scores, strict=False)
                Table(
                    _MEMORIES,
                    [(Cell(one), Cell(f"{score:.3f}" if score else "profile")) for one, score in pairs],
                )
        if memory.block:
            text(memory.block, "pre", "tg-body")


def _body(title: str, payload: PayloadAnswer | None, call: CallDetail) -> None:
    with section(title):
        if payload is None:
            failed = title == "Answer" and call.error_message and call.status != "interrupted"
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


def _unknown(nano: int | None) -> Cell:
    return Cell("unknown", tone="mild") if nano is None else Cell(dollars(nano))


def _money(nano: int | None) -> Cell:
    return Cell("" if nano is None else dollars(nano))
