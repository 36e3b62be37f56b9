"""Whole tables, row after row: no matter how many there are, few are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from telemetry.figures import sums_fields
from telemetry.questions.costs import CostOrder, CostQuestions
from telemetry.questions.filters import Filters
from telemetry.questions.scope import HOUR_US, Range, Scope
from telemetry.store.base import Row
from telemetry.tables import Column

PAGE = 5_000
"""Rows read at a time."""

CALL_COLUMNS = (
    *(
        Column(name)
        for name in ("call_id", "kind", "project", "environment", "key_id", "user_id", "agent_id")
    ),
    *(Column(name) for name in ("event_id", "thread_id", "trace_id", "parent_span_id", "step")),
    Column("started_at", "moment", "started_at_us"),
    *(Column(name) for name in ("status", "surface", "operation", "model", "served_model", "response_model")),
    *(Column(name) for name in ("provider", "deployment", "route", "service_tier")),
    Column("stream", "flag"),
    Column("http_status", "count"),
    *(Column(name) for name in ("error_type", "error_code", "error_message", "finish_reason")),
    *(Column(name, "count") for name in ("attempt_count", "first_byte_us", "first_token_us", "total_us")),
    *(Column(name, "count") for name in ("overhead_us", "request_bytes", "response_bytes")),
    *(Column(name, "count") for name in ("input_tokens", "output_tokens", "input_uncached", "cache_read")),
    *(Column(name, "count") for name in ("cache_write_5m", "cache_write_1h", "input_audio", "input_image")),
    *(Column(name, "count") for name in ("output_text", "output_reasoning", "output_audio", "output_image")),
    Column("web_searches", "count"),
    Column("usage_source"),
    Column("cost_nano_usd", "nano"),
    Column("cost_usd", "usd", "cost_nano_usd"),
    Column("cost_reason"),
    Column("cost_lower_nano_usd", "nano"),
    Column("cost_upper_nano_usd", "nano"),
    Column("cost_lines", "nanos"),
    Column("cache_saved_nano_usd", "nano"),
    Column("cache_saved_usd", "usd", "cache_saved_nano_usd"),
    Column("price_row"),
    Column("price_version"),
    Column("tags", "texts"),
    Column("properties", "map"),
    Column("metrics", "numbers"),
    Column("parameters", "json"),
    Column("attempts", "json"),
    Column("response_id"),
    Column("capture"),
    Column("gateway"),
    Column("variant"),
)
"""A file of calls, in this order; columns are only ever added at the end."""

_SUMS = (
    *(Column(name, "count") for name in ("calls", "priced", "unpriced", "errors", "interrupted")),
    *(Column(name, "count") for name in ("input_tokens", "output_tokens", "cache_read")),
    Column("cost_nano_usd", "nano"),
    Column("cost_usd", "usd", "cost_nano_usd"),
    Column("cost_reason"),
    Column("cache_saved_nano_usd", "nano"),
    Column("cache_saved_usd", "usd", "cache_saved_nano_usd"),
    Column("total_us", "count"),
    Column("first_day"),
    Column("last_day"),
)

_READ = {"started_at_us": "toUnixTimestamp64Micro(spans.started_at) AS started_at_us"}
_SELECTED = ", ".join(
    _READ.get(name, f"spans.{name} AS {name}")
    for name in dict.fromkeys(column.source or column.name for column in CALL_COLUMNS)
)
_BUCKETS = """SELECT toString(spans.project) AS project, toString(spans.environment) AS environment,
toInt64(toUnixTimestamp(toStartOfHour(spans.started_at))) * 1000000 AS hour_us, toInt64(count()) AS calls
FROM {source}
WHERE {where}
GROUP BY spans.project, spans.environment, hour_us
ORDER BY spans.project, spans.environment, hour_us"""
_CALLS = (
    f"SELECT {_SELECTED} "
    + """FROM {source}
WHERE {where} AND spans.call_id > {{after_id:String}}
ORDER BY toStartOfHour(spans.started_at), spans.call_id
LIMIT {{limit:UInt32}}"""
)


class _Bucket(msgspec.Struct, frozen=True):
    """Some hours of an environment, and how many calls they hold; one hour if that is more than a page."""

    project: str
    environment: str
    from_us: int
    to_us: int
    calls: int


class ExportQuestions(CostQuestions):
    """Asks for everything."""

    def all_calls(self, scope: Scope, filters: Filters, within: Range) -> Iterator[list[Row]]:
        """Yield the calls in the order in which they lie: by project, environment, hour and id."""
        where = self._in_calls(scope, within, filters)
        hours = self._read(_BUCKETS.format(source=where.source, where=where.text), where.parameters)
        for bucket in packed(hours):
            own = Scope(bucket.project, bucket.environment)
            part = Range(max(bucket.from_us, within.from_us), min(bucket.to_us, within.to_us))
            where = self._in_calls(own, part, filters)
            one_hour = bucket.to_us - bucket.from_us == HOUR_US
            after = ""
            while True:
                limit = PAGE if one_hour else 2**31
                parameters = {**where.parameters, "after_id": after, "limit": limit}
                rows = self._read(_CALLS.format(source=where.source, where=where.text), parameters)
                yield rows
                if len(rows) < limit:
                    break
                after = rows[-1]["call_id"]

    def all_costs(
        self, scope: Scope, filters: Filters, within: Range, by: Sequence[str], order: CostOrder
    ) -> Iterator[list[Row]]:
        """Yield sums by group; the columns are `sum_columns`."""
        groups = self._grouped(scope, within, filters, by, rollup=order != "last")
        cursor: str | None = ""
        while cursor is not None:
            page, cursor = self._sums(groups, order, limit=PAGE, cursor=cursor)
            yield [{**groups.group(row), **sums_fields(row)} for row in page]


def sum_columns(by: Sequence[str]) -> list[Column]:
    """Return the columns of a file of sums."""
    return [*(Column(name) for name in by), *_SUMS]


def packed(hours: Sequence[Row]) -> Iterator[_Bucket]:
    """Put hours of an environment together that make no more than a page."""
    waiting: _Bucket | None = None
    for row in hours:
        one = _Bucket(
            row["project"], row["environment"], row["hour_us"], row["hour_us"] + HOUR_US, row["calls"]
        )
        if waiting is None:
            waiting = one
            continue
        together = waiting.calls + one.calls
        if (waiting.project, waiting.environment) == (one.project, one.environment) and together <= PAGE:
            waiting = msgspec.structs.replace(waiting, to_us=one.to_us, calls=together)
        else:
            yield waiting
            waiting = one
    if waiting is not None:
        yield waiting
