"""Turns frames into rows of the ledger: one frame, at most one row, no other frame needed.

A column is described once, in `SPANS` and `PAYLOADS`: its name, its Arrow type, where its value
comes from. Ints are not squeezed into their column: a value that does not fit refuses the row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]  # pyarrow 26 ships no types

from telemetry.records import Answer, Call, Cost, Frame, Opened, Outcome, Payload, Request, Settled
from telemetry.sealed import UNSEALED, Sealer, open_payload
from telemetry.store.base import Block, StoreRefused

Preview = Callable[[str, str, bytes], str]
"""(surface, content type, body) -> what a list shows of it."""

PREVIEW_CHARS = 300

logger = logging.getLogger(__name__)

_text = pa.string()
_bytes = pa.binary()
_count = pa.uint64()
_money = pa.int64()
_time = pa.timestamp("us", tz="UTC")
_json = msgspec.json.Encoder().encode


class Table(msgspec.Struct, frozen=True):
    """A table of the ledger and the columns that a collector fills."""

    name: str
    columns: dict[str, Any]
    """Arrow types by name, in the order of a row's values."""
    key: tuple[str, ...]
    """Columns that name one row."""

    def block(self, rows: Sequence[Row]) -> Block:
        """Return the rows as one block; raise StoreRefused if a value does not fit its column."""
        values = zip(*(row.values for row in rows), strict=True)
        try:
            arrays = [
                pa.array(column, kind) for column, kind in zip(values, self.columns.values(), strict=True)
            ]
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
            raise StoreRefused(str(error), name=f"column_{type(error).__name__}") from error
        return pa.Table.from_arrays(arrays, names=list(self.columns))


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row of a table, and what finds it again."""

    table: Literal["spans", "span_payloads"]
    call_id: str
    started_at_us: int
    part: str
    """`request` or `answer` of a payload, else empty."""
    values: tuple[Any, ...]


SPANS = Table(
    "spans",
    {
        **dict.fromkeys(("project", "environment", "key_id", "user_id", "agent_id", "event_id"), _text),
        "event_id_made": pa.bool_(),
        **dict.fromkeys(("thread_id", "trace_id", "call_id", "parent_span_id", "step"), _text),
        "tags": pa.list_(_text),
        "properties": pa.map_(_text, _text),
        **dict.fromkeys(("kind", "surface", "operation", "model", "route"), _text),
        "stream": pa.bool_(),
        "parameters": _bytes,
        "request_bytes": _count,
        "status": _text,
        "http_status": pa.uint16(),
        **dict.fromkeys(("error_type", "error_code", "error_message", "provider", "deployment"), _text),
        **dict.fromkeys(("served_model", "response_model", "response_id", "finish_reason"), _text),
        "attempt_count": pa.uint16(),
        "attempts": _bytes,
        "response_bytes": _count,
        "capture": _text,
        **dict.fromkeys(("memory_switch", "memory_status"), _text),
        "memory_ids": pa.list_(_text),
        "memory_scores": pa.list_(pa.float64()),
        **dict.fromkeys(("memory_tokens", "memory_latency_us"), _count),
        "memory_block": _text,
        "memory_anchor": pa.int32(),
        **dict.fromkeys(("memory_replayed", "memory_profile_tokens"), _count),
        "started_at": _time,
        **dict.fromkeys(("first_byte_us", "first_token_us", "total_us", "overhead_us"), _count),
        **dict.fromkeys(("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h"), _count),
        **dict.fromkeys(("input_audio", "input_image", "output_text", "output_reasoning"), _count),
        **dict.fromkeys(("output_audio", "input_tokens", "output_tokens"), _count),
        **dict.fromkeys(("output_image", "web_searches"), _count),
        "service_tier": _text,
        "usage_source": _text,
        "raw_usage": _bytes,
        "cost_nano_usd": _money,
        "cost_lower_nano_usd": _money,
        "cost_upper_nano_usd": _money,
        "cost_lines": pa.map_(_text, _money),
        "cache_saved_nano_usd": _money,
        **dict.fromkeys(("cost_reason", "price_row", "price_version", "gateway", "origin"), _text),
        "variant": _text,
        "metrics": pa.map_(_text, pa.float64()),
        **dict.fromkeys(("log_id", "links_to", "span_id", "span_name"), _text),
        "guardrails": _bytes,
        "cache": _text,
    },
    key=("call_id",),
)

PAYLOADS = Table(
    "span_payloads",
    {
        **dict.fromkeys(("project", "environment", "call_id", "kind"), _text),
        "started_at": _time,
        **dict.fromkeys(("surface", "content_type", "preview"), _text),
        "body": _bytes,
        "bytes_total": _count,
        "sha256": _text,
        "redactions": pa.uint32(),
        "origin": _text,
    },
    key=("call_id", "kind"),
)

TABLES = {table.name: table for table in (SPANS, PAYLOADS)}


def begin(surface: str, content_type: str, body: bytes) -> str:  # noqa: ARG001  # a Preview
    """Return the body's first characters: the preview of who has no better one."""
    return body[: PREVIEW_CHARS * 4].decode(errors="replace")[:PREVIEW_CHARS]


def row_of(frame: Frame, *, origin: str, preview: Preview, sealer: Sealer = UNSEALED) -> Row | None:
    """Return the frame's row; an `Opened` has none while its call may still be settled."""
    if isinstance(frame, Settled):
        return _span(frame.call, frame.outcome, origin)
    if isinstance(frame, Request):
        return _payload("request", frame.payload, origin, preview, sealer)
    if isinstance(frame, Answer):
        return _payload("answer", frame.payload, origin, preview, sealer)
    return None


def interrupted(opened: Opened, *, origin: str) -> Row:
    """Return the row of a call whose writer died: nobody knows what it cost, only between which bounds."""
    outcome = Outcome(
        status="interrupted",
        error_type="interrupted",
        error_message="the gateway process that served this call died before the answer was over",
        cost=Cost(reason="interrupted"),
        capture="lost",
    )
    return _span(opened.call, outcome, origin)


def _span(call: Call, outcome: Outcome, origin: str) -> Row:
    usage, cost, memory = outcome.usage, outcome.cost, outcome.memory
    kind = call.kind or ("embedding" if call.operation == "embeddings" else "llm")
    served = outcome.attempts[-1].model if outcome.attempts else ""
    upper = call.cost_upper_nano_usd if outcome.status == "interrupted" else cost.total_nano_usd
    values = (
        *(call.project, call.environment, call.key_id, call.user_id, call.agent_id, call.event_id),
        call.event_id_made,
        *(call.thread_id, call.trace_id, call.call_id, call.parent_span_id, call.step),
        call.tags,
        list(call.properties.items()),
        *(kind, call.surface, call.operation, call.model, call.route),
        call.stream,
        _json(call.parameters) if call.parameters else b"{}",
        call.request_bytes,
        outcome.status,
        outcome.http_status,
        *(outcome.error_type, outcome.error_code, outcome.error_message, outcome.provider),
        outcome.deployment,
        *(served, outcome.response_model, outcome.response_id, outcome.finish_reason),
        len(outcome.attempts),
        _json(outcome.attempts),
        outcome.response_bytes,
        outcome.capture,
        *(call.memory, memory.status, memory.ids, memory.scores, memory.tokens, memory.latency_us),
        *(memory.block, memory.anchor, memory.replayed, memory.profile_tokens),
        call.started_at_us,
        *(outcome.first_byte_us, outcome.first_token_us, outcome.total_us, outcome.overhead_us),
        *(usage.input_uncached, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h),
        *(usage.input_audio, usage.input_image, usage.output_text, usage.output_reasoning),
        *(usage.output_audio, usage.input_total, usage.output_total),
        *(usage.output_image, usage.web_searches, outcome.service_tier),
        outcome.usage_source,
        outcome.raw_usage,
        *(cost.total_nano_usd, cost.total_nano_usd or 0, upper),
        list(cost.lines.items()),
        cost.cache_saved_nano_usd,
        *(cost.reason, cost.price_row, cost.price_version, call.gateway, origin),
        call.variant,
        list(call.metrics.items()),
        *(call.log_id, call.links_to, call.span_id, call.span_name),
        _json(outcome.guardrails) if outcome.guardrails else b"[]",
        outcome.cache,
    )
    return Row("spans", call.call_id, call.started_at_us, "", values)


def _payload(
    kind: Literal["request", "answer"], payload: Payload, origin: str, preview: Preview, sealer: Sealer
) -> Row:
    opened = open_payload(sealer, payload)
    shown = _shown(opened, preview)
    if opened is not payload:
        shown = sealer.seal(payload.project, shown.encode()).decode()
    values = (
        *(payload.project, payload.environment, payload.call_id, kind, payload.started_at_us),
        *(payload.surface, payload.content_type, shown, payload.body),
        *(payload.bytes_total or len(payload.body), payload.sha256, payload.redactions, origin),
    )
    return Row("span_payloads", payload.call_id, payload.started_at_us, kind, values)


def _shown(payload: Payload, preview: Preview) -> str:
    try:
        return preview(payload.surface, payload.content_type, payload.body)[:PREVIEW_CHARS]
    except Exception as error:  # noqa: BLE001 - a body that nobody foresaw costs its own preview, not the rows behind it
        told = {"call_id": payload.call_id, "surface": payload.surface, "error": type(error).__name__}
        logger.warning("preview_failed", extra=told)  # its words may hold the body's
        return ""
