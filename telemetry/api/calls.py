"""Routes for calls: a list of them, one of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from telemetry.answers import CallDetail, Page, Refusal
from telemetry.api.asking import Asked, Cursor, Limit, Scoped, Strict
from telemetry.api.errors import ERRORS
from telemetry.api.narrowing import Narrowed
from telemetry.api.ranges import Ever
from telemetry.questions import Range
from telemetry.questions.calls import Sort
from telemetry.questions.scope import DAY_US

MAX_RANKED_DAYS = 31

router = APIRouter(responses=ERRORS, tags=["calls"])

Sorted = Annotated[
    Sort,
    Query(
        description="`slowest` and `most_expensive` look at the last 7 days unless `from` says otherwise, and at"
        f" no more than {MAX_RANKED_DAYS}; `most_expensive` leaves out calls whose cost nobody knows."
    ),
]


@router.get("/api/calls", dependencies=[Strict])
def calls(
    who: Scoped,
    ask: Asked,
    filters: Narrowed,
    within: Ever,
    *,
    sort: Sorted = "newest",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page:
    """List calls: newest first, or as `sort` says."""
    if sort in ("slowest", "most_expensive"):
        within = bounded(within, ask.last_us())
    return ask.calls(who, filters, within=within, sort=sort, limit=limit, cursor=cursor)


@router.get("/api/calls/{call_id}")
def call(who: Scoped, ask: Asked, call_id: str) -> CallDetail:
    """Tell all about one call: attempts, usage, cost, and what was said."""
    return ask.call(who, call_id)


def bounded(within: Range, last_us: int) -> Range:
    """Give the range an end and a beginning that is not too far from it; raise Refusal for one that is."""
    to_us = min(within.to_us, last_us + 1)
    from_us = within.from_us or max(0, to_us - 7 * DAY_US)
    if to_us - from_us > MAX_RANKED_DAYS * DAY_US:
        remedy = f"ask for at most {MAX_RANKED_DAYS} days: move from= or to="
        raise Refusal(
            400, "range_too_long", f"to go through all these days would take long: {remedy}", param="from"
        )
    return Range(from_us, max(from_us, to_us))
