"""The route that finds words in what was said."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from telemetry.answers import Refusal
from telemetry.api.asking import Asked, Cursor, Limit, Scoped, Strict
from telemetry.api.errors import ERRORS
from telemetry.api.narrowing import Narrowed
from telemetry.api.ranges import Week
from telemetry.figures import Hits
from telemetry.questions.scope import DAY_US

MAX_DAYS = 31

router = APIRouter(responses=ERRORS, tags=["search"], dependencies=[Strict])

Words = Annotated[
    str,
    Query(
        max_length=1024, description="Words that must all occur in one request or answer, whole, in any case."
    ),
]


@router.get("/api/search")
def search(
    who: Scoped,
    ask: Asked,
    filters: Narrowed,
    within: Week,
    *,
    q: Words,
    limit: Limit = 20,
    cursor: Cursor = "",
) -> Hits:
    """Find words in requests and answers, newest first, the last seven days' unless asked otherwise.

    Of an answer that was streamed in pieces of words only the first 300 characters are searched as text.
    """
    if within.to_us - within.from_us > MAX_DAYS * DAY_US:
        told = f"a search goes through at most {MAX_DAYS} days: move from= or to="
        raise Refusal(400, "range_too_long", told, param="from")
    return ask.search(who, q, filters, within, limit=limit, cursor=cursor)
