"""What is asked of a list: its body and its query, in Respan's words."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.datastructures import QueryParams

from telemetry.answers import Refusal
from telemetry.logs.columns import ALIASES, COLUMNS, PREVIEWS
from telemetry.logs.filters import Connector, Filter, Value, moment_us
from telemetry.questions.scope import END_OF_TIME_US

MAX_PAGE_SIZE = 1000
MAX_DEPTH = 100_000
"""How far down a list pages go; further down, narrow the time."""


class _Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A name misspelt is refused: it would be a filter that lets everything through."""

    filters: dict[str, Filter] | list[Filter] = {}
    operator: Connector = "AND"
    page: int | None = None
    page_size: int | None = None
    sort_by: str | None = None
    start_time: Value | None = None
    end_time: Value | None = None
    environment: str | None = None
    is_test: bool | None = None
    all_envs: bool | None = None
    fetch_filters: bool | None = None
    include_fields: list[str] | str | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A list that somebody wants."""

    filters: list[Filter]
    page: int = 1
    page_size: int = 50
    sort_by: str = ""
    descending: bool = True
    from_us: int | None = None
    to_us: int = END_OF_TIME_US
    environment: str = ""
    fields: tuple[str, ...] = (*COLUMNS, *PREVIEWS)

    @property
    def offset(self) -> int:
        """Return how many rows stand before the page."""
        return (self.page - 1) * self.page_size

    def answer(self, results: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
        """Return the page as JSON has it; how many there are in all is known when its end is reached."""
        return {
            "results": results,
            "page": self.page,
            "page_size": self.page_size,
            "next": self.page + 1 if more else None,
            "previous": self.page - 1 if self.page > 1 else None,
            "count": None if more else self.offset + len(results),
        }


_decoder = msgspec.json.Decoder(_Body, strict=False)


def listing_of(body: bytes, query: QueryParams, *, sortable: tuple[str, ...] = tuple(COLUMNS)) -> Listing:
    """Read what is wanted; the query fills what the body leaves out. Raise Refusal, naming the field."""
    try:
        said = _decoder.decode(body) if body.strip() else _Body()
        asked: dict[str, Any] = {}
        for name in ("page", "page_size", "sort_by", "start_time", "end_time", "environment", "is_test"):
            asked[name] = query.get(name)
        asked["include_fields"] = query.getlist("include_fields") or None
        told = msgspec.convert({n: v for n, v in asked.items() if v is not None}, _Body, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "bad_list", f"the body of a list: {error}", param="filters") from error
    merged = {
        name: getattr(said, name) if getattr(said, name) is not None else getattr(told, name)
        for name in asked
    }
    newest = "-start_time" if "start_time" in sortable else "-last_active_timeframe"
    sort_by, descending = _sort(merged["sort_by"] or newest, sortable)
    page = 1 if merged["page"] is None else merged["page"]
    page_size = 50 if merged["page_size"] is None else merged["page_size"]
    if page < 1 or not 1 <= page_size <= MAX_PAGE_SIZE:
        raise Refusal(400, "bad_page", f"page from 1, page_size from 1 to {MAX_PAGE_SIZE}", param="page")
    if page * page_size > MAX_DEPTH:
        raise Refusal(
            400, "bad_page", f"a list ends after {MAX_DEPTH}: narrow start_time and end_time", param="page"
        )
    start, end = merged["start_time"], merged["end_time"]
    environment = merged["environment"] or ""
    if not environment and merged["is_test"] is not None:
        environment = "test" if merged["is_test"] else "prod"
    return Listing(
        filters=_filters(said),
        page=page,
        page_size=page_size,
        sort_by=sort_by,
        descending=descending,
        from_us=None if start is None else max(0, moment_us("start_time", start)),
        to_us=END_OF_TIME_US if end is None else min(max(0, moment_us("end_time", end)), END_OF_TIME_US),
        environment=environment,
        fields=_fields(merged["include_fields"]),
    )


def _filters(said: _Body) -> list[Filter]:
    if isinstance(said.filters, list):
        return said.filters
    return [
        msgspec.structs.replace(one, field=name, connector="OR" if said.operator == "OR" else one.connector)
        for name, one in said.filters.items()
    ]


def _sort(sort_by: str, sortable: tuple[str, ...]) -> tuple[str, bool]:
    name = sort_by.removeprefix("-")
    name = ALIASES.get(name, name)
    if name not in sortable or (name in COLUMNS and COLUMNS[name].kind in ("map", "list")):
        raise Refusal(
            400, "bad_sort", f"sort_by={sort_by!r}: a field of the list, as in -start_time", param="sort_by"
        )
    return name, sort_by.startswith("-")


def _fields(wanted: list[str] | str | None) -> tuple[str, ...]:
    if not wanted:
        return (*COLUMNS, *PREVIEWS)
    names = wanted.split(",") if isinstance(wanted, str) else [n for part in wanted for n in part.split(",")]
    known = [ALIASES.get(name.strip(), name.strip()) for name in names if name.strip()]
    for name in known:
        if name not in COLUMNS and name not in PREVIEWS:
            raise Refusal(
                400, "bad_field", f"include_fields: {name!r} is no field of a log", param="include_fields"
            )
    return tuple(dict.fromkeys(known))
