"""Lists of calls and logs, one of them with what was said, and their sums."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from telemetry.answers import Refusal, iso
from telemetry.logs.asking import Listing
from telemetry.logs.columns import COLUMNS, PREVIEWS, Column
from telemetry.logs.filters import condition_of
from telemetry.logs.relation import Relation
from telemetry.questions import Range
from telemetry.questions.scope import DAY_US, END_OF_TIME_US, HOUR_US
from telemetry.store.base import Row

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
LOOK_BACK_US = (HOUR_US, DAY_US, 7 * DAY_US, 31 * DAY_US)
"""How far a list reads at first: a page is usually full before it has to go on."""
_WITH_TIME = "7"
"""The version of UUIDs that begin with a time."""
_PLACE = (
    "logs.project AS project, logs.environment AS environment, logs.call_id AS call_id, "
    "toUnixTimestamp64Micro(logs.started_at) AS started_at_us"
)
_objects = msgspec.json.Decoder(dict[str, Any])


class Found(msgspec.Struct, frozen=True):
    """Where a log stands."""

    project: str
    environment: str
    call_id: str
    started_at_us: int


def windows(listing: Listing, now_us: int, *, by_time: bool) -> list[Range]:
    """Return the times to look through until a page is full."""
    first = listing.from_us or 0
    latest = min(listing.to_us, now_us)
    starts = [latest - reach for reach in LOOK_BACK_US if latest - reach > first] if by_time else []
    return [Range(start, listing.to_us) for start in (*starts, first)]


def listed(relation: Relation, listing: Listing, *, now_us: int) -> dict[str, Any]:
    """Return a page of calls and logs."""
    condition = condition_of(listing.filters)
    by_time = listing.sort_by == "start_time" and listing.descending
    direction = "DESC" if listing.descending else "ASC"
    order = f"{COLUMNS[listing.sort_by].sql} {direction}"
    if listing.sort_by == "start_time":
        order = f"logs.started_at {direction}"
    names = dict.fromkeys(("call_id", "start_time", *(name for name in listing.fields if name in COLUMNS)))
    rows: list[Row] = []
    for time in windows(listing, now_us, by_time=by_time and condition.index is None):
        rows = relation.ask(
            "list",
            {
                **condition.parameters,
                **relation.parameters(time, condition.index),
                "limit": listing.page_size + 1,
                "offset": listing.offset,
            },
            columns=_columns(names),
            rows=relation.rows(time, condition.index),
            condition=condition.sql,
            order=order,
        )
        if len(rows) > listing.page_size:
            break
    results = [{**_told(row), "started_at_us": row["told_start_time"]} for row in rows[: listing.page_size]]
    if any(name in PREVIEWS for name in listing.fields):
        _add_previews(relation, results)
    shown = [{name: row[name] for name in listing.fields} for row in results]
    return listing.answer(shown, more=len(rows) > listing.page_size)


def summary(relation: Relation, listing: Listing) -> dict[str, Any]:
    """Return the sums of all that matches."""
    condition = condition_of(listing.filters)
    time = Range(listing.from_us or 0, listing.to_us)
    (row,) = relation.ask(
        "summary",
        {**condition.parameters, **relation.parameters(time, condition.index)},
        rows=relation.rows(time, condition.index),
        condition=condition.sql,
    )
    cost = row.pop("cost_nano_usd")
    total = row["total_prompt_tokens"] + row["total_completion_tokens"]
    return {**row, "total_cost": cost / 1e9, "total_cost_nano_usd": cost, "total_tokens": total}


def find(relation: Relation, unique_id: str) -> Found:
    """Return where the log of this id, or else the call, stands; raise Refusal if there is none."""
    for row in relation.ask("places", {"log_id": unique_id}):
        return msgspec.convert(row, Found)
    for time in _times_of(unique_id):
        rows = _one(relation, time, unique_id, _PLACE)
        if rows:
            return msgspec.convert(rows[0], Found)
    raise Refusal(404, "log_not_found", f"there is no log {unique_id!r} (a log appears within a second)")


def _times_of(call_id: str) -> list[Range]:
    """Return when a call of this id may have been: around the time in it, then any time; no time, if it is no id of ours."""
    found = _UUID.fullmatch(call_id)
    if found is None:
        return []
    if found[1] != _WITH_TIME:
        return [Range()]
    made_us = int(call_id[:8] + call_id[9:13], 16) * 1000
    return [Range(max(0, made_us - HOUR_US), min(made_us + HOUR_US, END_OF_TIME_US)), Range()]


def told(relation: Relation, found: Found) -> dict[str, Any]:
    """Return a log with all that was sent of it; of a call of ours, its request and its answer."""
    time = Range(found.started_at_us, found.started_at_us + 1)
    rows = _one(relation, time, found.call_id, _columns(dict.fromkeys(COLUMNS)))
    if not rows:
        raise Refusal(404, "log_not_found", "the log has been erased")
    fields = _told(rows[0])
    bodies = relation.ask("bodies", msgspec.structs.asdict(found))
    texts = {row["kind"]: row["text"] for row in bodies}
    if fields["log_method"] == "logging_api" and fields["capture"] == "full":
        for text in texts.values():
            fields = {**_document(text), **fields}
        return fields
    return {
        **fields,
        "full_request": _readable(texts.get("request")),
        "full_response": _readable(texts.get("answer")),
    }


def _one(relation: Relation, time: Range, call_id: str, columns: str) -> list[Row]:
    return relation.ask(
        "list",
        {**relation.parameters(time), "limit": 1, "offset": 0, "call_id": call_id},
        columns=columns,
        rows=relation.rows(time),
        condition="logs.call_id = {call_id:String}",
        order="logs.started_at DESC",
    )


def _columns(names: dict[str, None]) -> str:
    """Return the fields as SQL. Their names begin with `told_`: none shall hide a column of the ledger."""
    return ", ".join(f"{COLUMNS[name].sql} AS told_{name}" for name in names)


def _told(row: Row) -> dict[str, Any]:
    """Return a row's fields as JSON has them."""
    return {
        name: _value(COLUMNS[name], value)
        for name, value in ((name.removeprefix("told_"), value) for name, value in row.items())
    }


def _value(column: Column, value: Any) -> Any:  # noqa: ANN401  # as the column's kind says
    if column.kind == "time":
        return iso(value)
    if column.kind == "flag":
        return bool(value)
    return list(value) if column.kind == "list" else value


def _add_previews(relation: Relation, results: list[dict[str, Any]]) -> None:
    if not results:
        return
    times = sorted({row["started_at_us"] // HOUR_US * HOUR_US for row in results})
    shown = relation.previews([row["call_id"] for row in results], times)
    for row in results:
        row["prompt_text"] = shown.get((row["call_id"], "request"), "")
        row["completion_text"] = shown.get((row["call_id"], "answer"), "")


def _document(text: str) -> dict[str, Any]:
    try:
        return _objects.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}


def _readable(text: str | None) -> Any:  # noqa: ANN401  # JSON, or whatever was said
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
