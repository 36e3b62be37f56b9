"""Which memories are asked for, beyond their scope: Mem0's filters, read strictly. No I/O.

    {"AND": [{"kind": "preference"}, {"created_at": {"gte": "2026-01-01"}}]}

Keys: `kind`, `categories`, `metadata` (an object, or `metadata.name`), `created_at`, `updated_at`, `occurred_at`;
several keys of one object must all agree. `user_id`, `agent_id` and `run_id` may stand at the top or in an `AND`:
they are the scope. `*` is a value like any other to nobody: it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from memory.errors import BadMemory, BadScope
from memory.given import moment_of

Field = Literal["kind", "category", "metadata", "created_us", "updated_us", "occurred_us"]
Comparison = Literal["=", "<>", "<", "<=", ">", ">="]

_MOST = 20
_DEPTH = 4
_IDENTITY = ("user_id", "agent_id", "run_id")
_MOMENTS: Mapping[str, Field] = {
    "created_at": "created_us",
    "updated_at": "updated_us",
    "occurred_at": "occurred_us",
}
_COMPARISONS: Mapping[str, Comparison] = {
    "eq": "=",
    "ne": "<>",
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
}


class Compare(msgspec.Struct, frozen=True):
    """One comparison; `name` is the key inside the metadata."""

    field: Field
    comparison: Comparison
    value: str | int | float | bool | None
    name: str = ""


class All(msgspec.Struct, frozen=True):
    """Every part agrees; without parts: always."""

    parts: tuple[Condition, ...] = ()


class Some(msgspec.Struct, frozen=True):
    """At least one part agrees."""

    parts: tuple[Condition, ...]


class Not(msgspec.Struct, frozen=True):
    """The part does not agree."""

    part: Condition


Condition = Compare | All | Some | Not
EVERYTHING = All()


def read(filters: Mapping[str, Any] | None) -> tuple[dict[str, str], Condition]:
    """Return the ids of the scope and the rest as a condition. Raises BadMemory."""
    reader = _Reader()
    condition = reader.whole(filters or {}, depth=0, top=True)
    return reader.ids, condition


class _Reader:
    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self._left = _MOST

    def whole(self, filters: object, *, depth: int, top: bool) -> Condition:
        if not isinstance(filters, Mapping) or depth > _DEPTH:
            raise _bad("every filter is an object, and they are not nested deeply")
        return _all(part for key, value in filters.items() for part in self._pair(key, value, depth, top))

    def _pair(self, key: str, value: object, depth: int, top: bool) -> Iterator[Condition]:  # noqa: FBT001
        if key in _IDENTITY:
            self._identify(key, value, top=top)
        elif key in ("AND", "OR", "NOT"):
            parts = self._parts(key, value, depth, top=top and key == "AND")
            yield _all(parts) if key == "AND" else Some(parts) if key == "OR" else Not(Some(parts))
        elif key in _MOMENTS:
            yield from self._moments(key, value)
        elif key == "metadata" and isinstance(value, Mapping):
            for name, wanted in value.items():
                yield from self._values("metadata", wanted, name=name)
        elif key.startswith("metadata."):
            yield from self._values("metadata", value, name=key.removeprefix("metadata."))
        elif key == "kind":
            yield from self._values("kind", value)
        elif key in ("categories", "category"):
            yield from self._values("category", value)
        else:
            raise _bad(
                f"{key!r} is no filter: user_id, agent_id, run_id, kind, categories, metadata, created_at,"
                " updated_at, occurred_at, AND, OR, NOT are"
            )

    def _identify(self, key: str, value: object, *, top: bool) -> None:
        if isinstance(value, Mapping) and set(value) == {"eq"}:
            value = value["eq"]
        if not top:
            raise _bad(f"{key} names the scope and stands at the top or in an AND, never in an OR or a NOT")
        if not isinstance(value, str) or not value:
            raise BadScope(f"{key} takes one id", param=key)
        if self.ids.setdefault(key, value) != value:
            raise _bad(f"{key} is named twice, and not the same")

    def _parts(self, key: str, value: object, depth: int, *, top: bool) -> tuple[Condition, ...]:
        parts: Sequence[object] = value if isinstance(value, list) else [value]
        if not parts:
            raise _bad(f"{key} needs a filter")
        return tuple(self.whole(part, depth=depth + 1, top=top) for part in parts)

    def _moments(self, key: str, value: object) -> Iterator[Condition]:
        if not isinstance(value, Mapping):
            raise _bad(f"{key} takes a range: {{'gte': ..., 'lt': ...}}")
        for name, moment in value.items():
            if name not in _COMPARISONS or name in ("eq", "ne"):
                raise _bad(f"{key} knows gt, gte, lt and lte")
            yield self._test(Compare(_MOMENTS[key], _COMPARISONS[name], moment_of(moment)))

    def _values(self, field: Field, value: object, *, name: str = "") -> Iterator[Condition]:
        if isinstance(value, Mapping):
            for how, wanted in value.items():
                yield self._compared(field, how, wanted, name)
        elif isinstance(value, list):
            yield self._compared(field, "in", value, name)
        else:
            yield self._compared(field, "eq", value, name)

    def _compared(self, field: Field, how: str, wanted: object, name: str) -> Condition:
        if how == "in" and isinstance(wanted, list) and wanted:
            return Some(tuple(self._compared(field, "eq", one, name) for one in wanted))
        if how == "contains" and field == "category":
            how = "eq"
        if name in _IDENTITY:
            raise _bad(f"{name} names the scope and is no metadata")
        if how not in ("eq", "ne"):
            raise _bad(f"{name or field} knows eq, ne and in")
        if wanted == "*" or not isinstance(wanted, str | int | float | bool | None):
            raise _bad(f"{name or field} is compared with a text, a number or a boolean, and `*` is none")
        return self._test(Compare(field, _COMPARISONS[how], wanted, name))

    def _test(self, test: Compare) -> Compare:
        self._left -= 1
        if self._left < 0:
            raise _bad(f"a filter has at most {_MOST} comparisons")
        return test


def _all(parts: Iterable[Condition]) -> All:
    return All(tuple(part for part in parts if part != EVERYTHING))


def _bad(message: str) -> BadMemory:
    return BadMemory(message, param="filters")
