"""What a list is narrowed by: Respan's filters as SQL. Every value goes in as a parameter."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from telemetry.answers import Refusal
from telemetry.logs.columns import ALIASES, COLUMNS, METADATA, SCORES, Column
from telemetry.store.base import Parameter

MOST_FILTERS = 32
MOST_VALUES = 1000
MOST_CHARS = 4096

Connector = Literal["AND", "OR"]
Value = str | int | float | bool


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of them. Several values: any of them will do."""

    field: str = ""
    operator: str = ""
    value: list[Value] | Value | None = None
    connector: Connector = "AND"
    """How it is joined to those before it."""

    @property
    def values(self) -> list[Value]:
        """Return what was given, as a list."""
        if self.value is None:
            return []
        return self.value if isinstance(self.value, list) else [self.value]


class Condition(msgspec.Struct, frozen=True):
    """SQL, its parameters, and what the index knows that everything sought belongs to."""

    sql: str
    parameters: dict[str, Parameter]
    index: tuple[Column, list[str]] | None = None


_TEXT: Mapping[str, str] = {
    "lt": "{e} < {v}",
    "lte": "{e} <= {v}",
    "gt": "{e} > {v}",
    "gte": "{e} >= {v}",
    "contains": "position({e}, {v}) > 0",
    "icontains": "positionCaseInsensitiveUTF8({e}, {v}) > 0",
    "iexact": "lowerUTF8({e}) = lowerUTF8({v})",
    "startswith": "startsWith({e}, {v})",
    "endswith": "endsWith({e}, {v})",
}
_NUMBER: Mapping[str, str] = {
    "lt": "{e} < {v}",
    "lte": "{e} <= {v}",
    "gt": "{e} > {v}",
    "gte": "{e} >= {v}",
}
OPERATORS = ("", "not", "in", "isnull", *_TEXT)
_TRUE, _FALSE = ("true", "1"), ("false", "0")


def condition_of(filters: list[Filter], columns: Mapping[str, Column] = COLUMNS) -> Condition:
    """Return the condition on these columns; raise Refusal, naming the filter."""
    if len(filters) > MOST_FILTERS:
        raise _refused("filters", f"at most {MOST_FILTERS} filters, not {len(filters)}")
    parameters: dict[str, Parameter] = {}
    sql = "1"
    index: tuple[Column, list[str]] | None = None
    for number, one in enumerate(filters):
        column = _column(one.field, columns, f"k{number}", parameters)
        text = _one(one, column, f"f{number}", parameters)
        sql = text if number == 0 else f"({sql} {one.connector} {text})"
        if column.index and one.operator in ("", "in") and "" not in one.values and index is None:
            index = column, [str(value) for value in one.values]
    if any(one.connector == "OR" for one in filters[1:]):
        index = None
    return Condition(sql, parameters, index)


def _column(field: str, columns: Mapping[str, Column], key: str, parameters: dict[str, Parameter]) -> Column:
    """Return what the field stands for; the name of a map's entry becomes the parameter `key`."""
    name = ALIASES.get(field, field)
    if columns is COLUMNS and name.startswith(METADATA) and len(name) > len(METADATA):
        entry = name.removeprefix(METADATA)
        parameters[key] = entry
        return Column("text", f"logs.properties[{{{key}:String}}]", f"property:{entry}", f"property:{entry}")
    for prefix in SCORES:
        if columns is COLUMNS and name.startswith(prefix) and len(name) > len(prefix):
            parameters[key] = name.removeprefix(prefix)
            return Column(
                "number",
                f"if(mapContains(logs.metrics, {{{key}:String}}), logs.metrics[{{{key}:String}}], NULL)",
            )
    column = columns.get(name)
    if column is None or column.kind in ("map", "list"):
        close = difflib.get_close_matches(name, columns, n=1)
        meant = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(columns)}"
        raise _refused(field, f"it cannot be filtered: {meant}")
    return column


def _one(one: Filter, column: Column, name: str, parameters: dict[str, Parameter]) -> str:
    values = one.values
    if one.operator not in OPERATORS:
        raise _refused(
            one.field, f"operator {one.operator!r}: one of {', '.join(repr(o) for o in OPERATORS)}"
        )
    if not values or len(values) > MOST_VALUES:
        raise _refused(one.field, f"a filter has 1 to {MOST_VALUES} values, not {len(values)}")
    if one.operator == "isnull":
        empty = f"{column.sql} = ''" if column.kind == "text" else f"isNull({column.sql})"
        return f"({empty})" if _flag(one.field, values[0]) else f"(NOT ({empty}))"
    read, cast = _READ[column.kind]
    parameters[name] = [read(one.field, value) for value in values]
    given = f"{{{name}:Array(String)}}"
    cased = f"arrayMap(v -> {cast.format('v')}, {given})"
    if one.operator in ("", "in"):
        return f"ifNull(has({cased}, {column.sql}), 0)"
    if one.operator == "not":
        return f"(NOT ifNull(has({cased}, {column.sql}), 0))"
    pattern = (_TEXT if column.kind == "text" else _NUMBER).get(one.operator)
    if pattern is None or column.kind == "flag":
        raise _refused(one.field, f"operator {one.operator!r} is not for a {column.kind}")
    return f"ifNull(arrayExists(v -> {pattern.format(e=column.sql, v='v')}, {cased}), 0)"


def _string(field: str, value: Value) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if len(text) > MOST_CHARS:
        raise _refused(field, f"a value has at most {MOST_CHARS} characters")
    return text


def _number(field: str, value: Value) -> str:
    try:
        return repr(float(value))
    except (ValueError, OverflowError) as error:
        raise _refused(field, f"{value!r} is not a number") from error


def _flag(field: str, value: Value) -> bool:
    said = str(value).lower()
    if said not in _TRUE + _FALSE:
        raise _refused(field, f"{value!r} is neither true nor false")
    return said in _TRUE


def _moment(field: str, value: Value) -> str:
    return str(moment_us(field, value))


def moment_us(field: str, value: Value) -> int:
    """Return a time of ISO 8601, UTC unless it says otherwise, or of seconds since 1970, in microseconds."""
    try:
        if not isinstance(value, str):
            return int(float(value) * 1e6)
        when = datetime.fromisoformat(value.strip().replace(" ", "+"))
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1e6)
    except (ValueError, OverflowError) as error:
        raise _refused(field, f"{value!r} is not a time: write 2026-11-21T18:00:00Z") from error


_READ: Mapping[str, tuple[Callable[[str, Any], str], str]] = {
    "text": (_string, "{}"),
    "number": (_number, "toFloat64({})"),
    "flag": (lambda field, value: str(int(_flag(field, value))), "toUInt8({})"),
    "time": (_moment, "toInt64({})"),
}
"""By the kind of a column: how a value is read, and cast in SQL."""


def _refused(field: str, message: str) -> Refusal:
    return Refusal(400, "bad_filter", f"filter {field}: {message}", param=field)
