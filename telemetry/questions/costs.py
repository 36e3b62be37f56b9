"""Sums by any grouping: what calls cost, how many failed, what nobody could price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from telemetry.answers import iso
from telemetry.figures import Bounds, Costs, ErrorRow, Errors, Sums, sums_fields, sums_row
from telemetry.questions.filters import Filters
from telemetry.questions.grouping import Grouped, GroupQuestions, Order, sums_of
from telemetry.questions.scope import Range, Scope
from telemetry.store.base import Row

CostOrder = Literal["group", "cost", "calls", "errors", "tokens", "last"]
_COLUMNS = {
    "group": "",
    "cost": "cost_nano_usd",
    "calls": "calls",
    "errors": "errors",
    "tokens": "tokens",
    "last": "last_at_us",
}

_REASONS = """SELECT toString(spans.cost_reason) AS reason, toInt64(count()) AS calls
FROM {source}
WHERE {where} AND isNull(spans.cost_nano_usd)
GROUP BY reason
ORDER BY calls DESC, reason
LIMIT 100"""
_BOUNDS = """SELECT toInt64(count()) AS calls, toInt64(sum(spans.cost_lower_nano_usd)) AS lower_nano_usd,
toInt64(sum(ifNull(spans.cost_upper_nano_usd, 0))) AS upper_nano_usd,
toInt64(countIf(isNull(spans.cost_upper_nano_usd))) AS unbounded
FROM {source}
WHERE {where} AND spans.status = 'interrupted' AND isNull(spans.cost_nano_usd)"""
_ERRORS = """toInt64(count()) AS calls,
toUnixTimestamp64Micro(min(spans.started_at)) AS first_us, toUnixTimestamp64Micro(max(spans.started_at)) AS last_us,
argMax(spans.error_message, (spans.started_at, spans.call_id)) AS last_message,
toInt64(argMax(spans.http_status, (spans.started_at, spans.call_id))) AS last_http_status,
argMax(spans.call_id, (spans.started_at, spans.call_id)) AS last_call_id"""
_FAILED = "(spans.status = 'error' OR spans.error_type != '')"


class CostQuestions(GroupQuestions):
    """Asks for sums."""

    def costs(
        self,
        scope: Scope,
        filters: Filters,
        within: Range,
        by: Sequence[str],
        *,
        order: CostOrder = "group",
        limit: int,
        cursor: str,
    ) -> Costs:
        """Return a page of sums by group, and the sum of all."""
        groups = self._grouped(scope, within, filters, by, rollup=order != "last")
        total = self._total(self._grouped(scope, within, filters, (), rollup=groups.table == "usage_daily"))
        page, next_cursor = self._sums(groups, order, limit=limit, cursor=cursor)
        return Costs(
            from_=iso(within.from_us),
            to=iso(within.to_us),
            source="rollup" if groups.table == "usage_daily" else "calls",
            group_by=list(by),
            rows=[sums_row(row, groups.group(row)) for row in page],
            total=total,
            unpriced_reasons=self._reasons(scope, filters, within) if total.unpriced else {},
            interrupted=self._bounds(scope, filters, within) if total.interrupted else None,
            next_cursor=next_cursor,
        )

    def errors(self, scope: Scope, filters: Filters, within: Range, *, limit: int, cursor: str) -> Errors:
        """Return a page of kinds of errors, the most frequent first."""
        groups = self._grouped(scope, within, filters, ("error_type", "provider", "model"))
        order = Order("calls")
        sql, parameters = groups.page(_ERRORS, order, limit=limit, cursor=cursor, only=_FAILED)
        page, next_cursor = groups.cut(self._read(sql, parameters), order, limit)
        return Errors(
            from_=iso(within.from_us),
            to=iso(within.to_us),
            rows=[_error_row(row, groups) for row in page],
            next_cursor=next_cursor,
        )

    def _sums(
        self, groups: Grouped, order: CostOrder, *, limit: int, cursor: str
    ) -> tuple[list[Row], str | None]:
        """Return a page of sums as the store has them."""
        by = Order(_COLUMNS[order])
        columns = f"{sums_of(groups.table)}, input_tokens + output_tokens AS tokens"
        sql, parameters = groups.page(columns, by, limit=limit, cursor=cursor)
        return groups.cut(self._read(sql, parameters), by, limit)

    def _total(self, groups: Grouped) -> Sums:
        rows, _ = self._sums(groups, "group", limit=1, cursor="")
        return Sums(**sums_fields(rows[0])) if rows else Sums()

    def _reasons(self, scope: Scope, filters: Filters, within: Range) -> dict[str, int]:
        where = self._in_calls(scope, within, filters)
        return {
            row["reason"]: row["calls"]
            for row in self._read(_REASONS.format(source=where.source, where=where.text), where.parameters)
        }

    def _bounds(self, scope: Scope, filters: Filters, within: Range) -> Bounds | None:
        where = self._in_calls(scope, within, filters)
        (found,) = self._read(_BOUNDS.format(source=where.source, where=where.text), where.parameters)
        return Bounds(**found) if found["calls"] else None


def _error_row(row: Row, groups: Grouped) -> ErrorRow:
    told: Row = {name: row[name] for name in ("last_message", "last_http_status", "last_call_id")}
    return ErrorRow(
        **(told | groups.group(row)),
        count=row["calls"],
        first_at=iso(row["first_us"]),
        last_at=iso(row["last_us"]),
    )
