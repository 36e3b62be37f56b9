"""Puts together queries that sum calls up by groups: which columns there are, and how pages go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from telemetry.answers import Refusal
from telemetry.questions.asker import Asker, bad_cursor, decoded, encoded
from telemetry.questions.filters import PROPERTY, Filters, Where, in_rollup, rollup_has
from telemetry.questions.scope import Range, Scope
from telemetry.store.base import Parameter, Row

Table = Literal["usage_daily", "spans"]
MOST_GROUPS = 6

_DAYS = {
    "day": "toString({day})",
    "week": "toString(toMonday({day}))",
    "month": "formatDateTime({day}, '%Y-%m')",
}
"""A week is named by its Monday."""

_IN_ROLLUP = {
    **{name: text.format(day="usage_daily.day") for name, text in _DAYS.items()},
    "user": "usage_daily.user_id",
    "key": "usage_daily.key_id",
    **{name: f"usage_daily.{name}" for name in ("model", "provider", "environment", "project", "kind")},
}
_SERVED = "if(spans.served_model = '', spans.model, spans.served_model)"
_IN_CALLS = {
    **{name: text.format(day="toDate(spans.started_at)") for name, text in _DAYS.items()},
    "hour": "formatDateTime(toStartOfHour(spans.started_at), '%Y-%m-%dT%H:00:00Z')",
    "model": _SERVED,
    **{name: f"spans.{name}_id" for name in ("user", "key", "agent", "event", "thread")},
    **{
        name: f"spans.{name}"
        for name in ("provider", "environment", "project", "kind", "deployment", "route")
    },
    **{
        name: f"spans.{name}"
        for name in ("variant", "step", "status", "error_type", "cost_reason", "surface")
    },
    "tag": "arrayJoin(if(empty(spans.tags), [''], arrayDistinct(spans.tags)))",
}
GROUPS = (*_IN_CALLS, f"{PROPERTY}<name>")
"""What sums can be grouped by. `model` is the served one, or the one asked for if none was."""


_PAGE = """SELECT {columns}
FROM {source}
WHERE {where}
{grouped}
HAVING calls != 0 AND {beyond}
{sorted}
LIMIT {{limit:UInt32}}"""


class Order(msgspec.Struct, frozen=True):
    """How lines are sorted: by a column of sums, the greatest first, or by what they are grouped by."""

    column: str = ""


class _End(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of sums ended."""

    order: str
    value: int
    keys: list[str]


class Grouped(msgspec.Struct, frozen=True):
    """Calls in groups: where they are found, and the SQL of what they share."""

    table: Table
    by: tuple[str, ...]
    where: Where
    keys: tuple[str, ...]

    def page(
        self, columns: str, order: Order, *, limit: int, cursor: str, only: str = "1"
    ) -> tuple[str, dict[str, Parameter]]:
        """Return the query for a page of at most `limit` lines and one more, and its parameters.

        `columns` holds `calls`; `only` is one more condition on the calls.
        """
        names = [f"g{number}" for number in range(len(self.keys))]
        group = ", ".join(f"toString({key}) AS {name}" for key, name in zip(self.keys, names, strict=True))
        parameters: dict[str, Parameter] = {**self.where.parameters, "limit": limit + 1}
        beyond = "1"
        if cursor:
            end = self._end(cursor, order)
            parameters |= {f"after_{number}": key for number, key in enumerate(end.keys)}
            parameters["after_value"] = end.value
            beyond = _beyond(names, order)
        sorting = [f"{order.column} DESC"] * bool(order.column) + names
        sql = _PAGE.format(
            columns=", ".join(filter(None, (group, columns))),
            source=self.where.source,
            where=f"{self.where.text} AND {only}",
            grouped=f"GROUP BY {', '.join(names)}" if names else "",
            beyond=beyond,
            sorted=f"ORDER BY {', '.join(sorting)}" if sorting else "",
        )
        return sql, parameters

    def cut(self, rows: list[Row], order: Order, limit: int) -> tuple[list[Row], str | None]:
        """Return the page, and the cursor of the next one if there is any."""
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        value = int(last[order.column]) if order.column else 0
        return rows[:limit], encoded(_End(order.column, value, list(self.group(last).values())))

    def group(self, row: Row) -> dict[str, str]:
        """What the calls of a line share, by name."""
        return {name: row[f"g{number}"] for number, name in enumerate(self.by)}

    def _end(self, cursor: str, order: Order) -> _End:
        end = decoded(cursor, _End)
        if end.order != order.column or len(end.keys) != len(self.keys) or abs(end.value) >= 2**63:
            raise bad_cursor()
        return end


class GroupQuestions(Asker):
    """Asks for groups of calls."""

    def _grouped(
        self, scope: Scope, within: Range, filters: Filters, by: Sequence[str], *, rollup: bool = False
    ) -> Grouped:
        """Find the calls and what they share; from the rollup, if that may be and it knows enough."""
        check(by)
        enough = within.whole_days and rollup_has(filters) and all(name in _IN_ROLLUP for name in by)
        if rollup and enough:
            where = in_rollup(scope, within, filters)
            return Grouped("usage_daily", tuple(by), where, tuple(_IN_ROLLUP[name] for name in by))
        where = self._in_calls(scope, within, filters)
        keys: list[str] = []
        for number, name in enumerate(by):
            if name.startswith(PROPERTY):
                where.parameters[f"property_{number}"] = name.removeprefix(PROPERTY)
            keys.append(_IN_CALLS.get(name, f"spans.properties[{{property_{number}:String}}]"))
        return Grouped("spans", tuple(by), where, tuple(keys))


def check(by: Sequence[str], param: str = "group_by") -> None:
    """Raise Refusal for what nothing can be grouped by."""
    for name in by:
        if name not in _IN_CALLS and not (name.startswith(PROPERTY) and name != PROPERTY):
            raise Refusal(400, f"bad_{param}", f"{param}={name!r}: one of {', '.join(GROUPS)}", param=param)
    if len(set(by)) < len(by) or len(by) > MOST_GROUPS:
        told = f"{param}: each name once, and at most {MOST_GROUPS} of them"
        raise Refusal(400, f"bad_{param}", told, param=param)


def _beyond(names: Sequence[str], order: Order) -> str:
    """Say that a line comes after the last one of the page before."""
    keys = ", ".join(f"{{after_{number}:String}}" for number in range(len(names)))
    further = f"({', '.join(names)}) > ({keys})" if names else "0"
    if not order.column:
        return further
    value = "{after_value:Int64}"
    return f"({order.column} < {value} OR ({order.column} = {value} AND {further}))"


def sums_of(table: Table) -> str:
    """Return the columns that sum a table up, with the same names for both tables."""
    return _ROLLUP_SUMS if table == "usage_daily" else _CALL_SUMS


_SUMMED: Mapping[str, str] = {
    "calls": "count()",
    "priced": "countIf(isNotNull(spans.cost_nano_usd))",
    "unpriced": "countIf(isNull(spans.cost_nano_usd))",
    "errors": "countIf(spans.status = 'error')",
    "interrupted": "countIf(spans.status = 'interrupted')",
    "input_tokens": "sum(spans.input_tokens)",
    "output_tokens": "sum(spans.output_tokens)",
    "cache_read": "sum(spans.cache_read)",
    "cost_nano_usd": "sum(ifNull(spans.cost_nano_usd, 0))",
    "cache_saved_nano_usd": "sum(spans.cache_saved_nano_usd)",
    "total_us": "sum(spans.total_us)",
}
_CALL_SUMS = ", ".join(
    (
        *(f"toInt64({text}) AS {name}" for name, text in _SUMMED.items()),
        "toString(toDate(min(spans.started_at))) AS first_day, toString(toDate(max(spans.started_at))) AS last_day",
        "toUnixTimestamp64Micro(min(spans.started_at)) AS first_at_us",
        "toUnixTimestamp64Micro(max(spans.started_at)) AS last_at_us",
    )
)
_ROLLUP_SUMS = ", ".join(
    (
        *(f"sum(usage_daily.{name}) AS {name}" for name in _SUMMED),
        "toString(min(usage_daily.day)) AS first_day, toString(max(usage_daily.day)) AS last_day",
    )
)
