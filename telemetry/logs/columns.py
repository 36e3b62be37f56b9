"""What a log is told by: Respan's names, and where their values stand in the ledger.

Names: respan-sdk 2.9.0, `RespanLogParams` and `RespanFullLogParams` (November 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Kind = Literal["text", "number", "flag", "time", "map", "list"]


class Column(msgspec.Struct, frozen=True):
    """One field: its kind, and its value in SQL, of the relation `logs`."""

    kind: Kind
    sql: str
    index: str = ""
    """The key under which `span_index` finds it."""
    amended: str = ""
    """The field of `amendments` that outweighs it."""


def _property(name: str) -> Column:
    return Column("text", f"logs.properties['{name}']")


def _text(sql: str, index: str = "", amended: str = "") -> Column:
    return Column("text", f"toString({sql})", index, amended)


def _number(sql: str) -> Column:
    return Column("number", sql)


def _parameter(name: str) -> Column:
    return _number(f"JSONExtract(logs.parameters, '{name}', 'Nullable(Float64)')")


_SECONDS_AFTER_FIRST = "(logs.total_us - logs.first_token_us) / 1e6"

COLUMNS: Mapping[str, Column] = {
    "unique_id": _text("if(logs.log_id = '', logs.call_id, logs.log_id)"),
    "call_id": _text("logs.call_id"),
    "custom_identifier": _text("if(logs.event_id_made, '', logs.event_id)", "event_id", "event_id"),
    "customer_identifier": _text("logs.user_id", "user_id", "user_id"),
    "customer_email": _property("customer_email"),
    "customer_name": _property("customer_name"),
    "thread_identifier": _text("logs.thread_id", "thread_id", "thread_id"),
    "trace_unique_id": _text("logs.trace_id", "trace_id", "trace_id"),
    "trace_name": _property("trace_name"),
    "span_unique_id": _text("if(logs.span_id = '', logs.call_id, logs.span_id)"),
    "span_parent_id": _text("logs.parent_span_id"),
    "span_name": _text("if(logs.span_name = '', toString(logs.step), logs.span_name)"),
    "span_workflow_name": _property("span_workflow_name"),
    "step": _text("logs.step"),
    "gateway_log_id": _text("logs.links_to"),
    "organization_id": _text("logs.project"),
    "organization_key_id": _text("logs.key_id"),
    "organization_key_name": _text("logs.key_id"),
    "environment": _text("logs.environment"),
    "log_type": _text("logs.operation"),
    "log_method": _text("if(logs.kind = 'log', 'logging_api', 'inference')"),
    "start_time": Column("time", "toUnixTimestamp64Micro(logs.started_at)"),
    "timestamp": Column("time", "toUnixTimestamp64Micro(logs.started_at) + toInt64(logs.total_us)"),
    "status": _text("if(logs.status = 'ok', 'success', logs.status)"),
    "status_code": _number("logs.http_status"),
    "failed": Column("flag", "logs.status != 'ok'"),
    "error_message": _text("logs.error_message"),
    "model": _text("logs.model"),
    "deployment_name": _text("logs.deployment"),
    "provider_id": _text("logs.provider"),
    "response_id": _text("logs.response_id"),
    "stream": Column("flag", "logs.stream"),
    "temperature": _parameter("temperature"),
    "max_tokens": _parameter("max_tokens"),
    "prompt_tokens": _number("logs.input_tokens"),
    "completion_tokens": _number("logs.output_tokens"),
    "total_request_tokens": _number("logs.input_tokens + logs.output_tokens"),
    "prompt_cache_hit_tokens": _number("logs.cache_read"),
    "prompt_cache_creation_tokens": _number("logs.cache_write_5m + logs.cache_write_1h"),
    "reasoning_tokens": _number("logs.output_reasoning"),
    "cost": _number("logs.cost_nano_usd / 1e9"),
    "cost_reason": _text("logs.cost_reason"),
    "latency": _number("logs.total_us / 1e6"),
    "time_to_first_token": _number("if(logs.first_token_us = 0, NULL, logs.first_token_us / 1e6)"),
    "tokens_per_second": _number(
        f"if(logs.total_us <= logs.first_token_us, NULL, logs.output_tokens / ({_SECONDS_AFTER_FIRST}))"
    ),
    "prompt_id": _property("prompt_id"),
    "prompt_name": _property("prompt_name"),
    "note": _property("note"),
    "category": _property("category"),
    "positive_feedback": _property("positive_feedback"),
    "capture": _text("logs.capture"),
    "tags": Column("list", "logs.tags"),
    "metadata": Column("map", "CAST(logs.properties, 'Map(String, String)')"),
    "scores": Column("map", "CAST(logs.metrics, 'Map(String, Float64)')"),
}
PREVIEWS = ("prompt_text", "completion_text")
"""How what was asked and answered begins; told with the columns, but neither sorted nor filtered by."""
ALIASES: Mapping[str, str] = {
    "ttft": "time_to_first_token",
    "generation_time": "latency",
    "session_identifier": "thread_identifier",
    "trace_group_identifier": "thread_identifier",
    "id": "unique_id",
}
METADATA, SCORES = "metadata__", ("scores__", "metrics__")
"""How filters name one entry of a map."""
