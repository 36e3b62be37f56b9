"""Routes for what calls belong to: events, threads, and what a user cost."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from telemetry.answers import Events, Group, Refusal, UserCost
from telemetry.api.asking import AnyId, Asked, Cursor, Id, Limit, Scoped, Strict, Text
from telemetry.api.errors import ERRORS
from telemetry.api.ranges import Days, Ever
from telemetry.questions import EventFilters

router = APIRouter(responses=ERRORS)

Status = Literal["", "ok", "error", "cancelled", "interrupted"]
Words = Annotated[
    str,
    Query(max_length=4096, description="In its id, an error message, or the beginning of what was said."),
]


@router.get("/api/events/{event_id}", tags=["events"])
def event(who: Scoped, ask: Asked, event_id: str, *, limit: Limit = 200, cursor: Cursor = "") -> Group:
    """List the calls of one event, oldest first, with their totals."""
    return ask.group(who, "event_id", event_id, limit=limit, cursor=cursor)


@router.get("/api/events", tags=["events"], dependencies=[Strict])
def events(
    request: Request,
    who: Scoped,
    ask: Asked,
    within: Ever,
    *,
    id_: AnyId = "",
    status: Status = "",
    model: Text = "",
    user_id: Text = "",
    thread_id: Text = "",
    text: Words = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Group | Events:
    """List events, the one that was active last first; or the calls of the one with this id.

    An event is listed if one of its calls matches everything; its sums are of all its calls.
    """
    if id_:
        return ask.group(who, "event_id", id_, limit=limit, cursor=cursor)
    filters = EventFilters(
        status=status,
        model=model,
        user_id=user_id,
        thread_id=thread_id,
        text=text,
        from_us=within.from_us,
        to_us=within.to_us - 1,
    )
    return ask.events(who, filters, limit=limit, cursor=cursor, now_us=request.app.state.now_us())


@router.get("/api/threads/{thread_id}", tags=["threads"])
def thread(who: Scoped, ask: Asked, thread_id: str, *, limit: Limit = 200, cursor: Cursor = "") -> Group:
    """List the calls of one thread, oldest first, with their totals."""
    return ask.group(who, "thread_id", thread_id, limit=limit, cursor=cursor)


@router.get("/api/users/{user_id}/cost", tags=["users"])
def user_cost(who: Scoped, ask: Asked, user_id: str, days: Days, *, group_by: Text = "") -> UserCost:
    """Tell what a user cost; from the first of this month to today unless asked otherwise."""
    return ask.user_cost(who, user_id, days=days, group_by=_group_by(group_by))


@router.get("/api/users/cost", tags=["users"])
def user_cost_by_query(who: Scoped, ask: Asked, days: Days, *, id_: Id, group_by: Text = "") -> UserCost:
    """Do the same for an id that does not fit into a path."""
    return ask.user_cost(who, id_, days=days, group_by=_group_by(group_by))


def _group_by(text: str) -> list[Literal["day", "model"]]:
    wanted: list[Literal["day", "model"]] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name == "day":
            wanted.append("day")
        elif name == "model":
            wanted.append("model")
        else:
            raise Refusal(
                400, "bad_group_by", f"group_by={name!r}: day, model or day,model", param="group_by"
            )
    return wanted
