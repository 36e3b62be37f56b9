"""The query API: what the ledger knows, over HTTP.

Served on a private socket behind the workers, which say in `x-tidegate-principal` who is asking;
without that header nobody is answered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from telemetry.answers import CallDetail, ErrorAnswer, Group, Page, Refusal, UserCost
from telemetry.api_page import POLICY, page
from telemetry.questions import Filters, Questions, Scope
from telemetry.store.base import Store, StoreAway, StoreError, TooExpensive

MAX_LIMIT = 1000
RETRY_AFTER_S = "2"

logger = logging.getLogger(__name__)

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Calls per page.")]
Cursor = Annotated[str, Query(description="`next_cursor` of the page before.")]
Id = Annotated[str, Query(alias="id", max_length=4096)]
Text = Annotated[str, Query(max_length=4096)]
Status = Literal["", "ok", "error", "cancelled", "interrupted"]
Day = Annotated[str, Query(description="A day, as in 2026-11-21, UTC.")]

# As classes, or FastAPI would announce a 422 that is never given.
_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorAnswer} for status in ("4XX", "5XX")}

router = APIRouter(responses=_ERRORS)


def build(store: Callable[[], Store | None], *, now_us: Callable[[], int], version: str = "") -> FastAPI:
    """Make the application; `store` returns None while it is being opened."""
    app = FastAPI(
        title="Tidegate query API",
        version=version or "0",
        description="Every call, what it cost, and what it belongs to.",
        docs_url=None,  # FastAPI's own pages load their scripts from somewhere else
        redoc_url=None,
    )
    app.state.store = store
    app.state.now_us = now_us
    app.include_router(router)
    _add_refusals(app)

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()), headers={"content-security-policy": POLICY})

    return app


def scope(x_tidegate_principal: Annotated[str, Header(include_in_schema=False)] = "") -> Scope:
    """Read who is asking; raise Refusal if nobody said so."""
    try:
        return msgspec.json.decode(x_tidegate_principal, type=Scope)
    except msgspec.MsgspecError as error:
        raise Refusal(401, "no_principal", "ask through the gateway's public port, with a key") from error


def questions(request: Request, _who: Annotated[Scope, Depends(scope)]) -> Questions:
    """Return the open ledger; raise Refusal while there is none."""
    return open_questions(request.app.state.store)


def open_questions(store: Callable[[], Store | None]) -> Questions:
    """Return the open ledger; raise Refusal while there is none."""
    opened = store()
    if opened is None:
        raise Refusal(503, "store_opening", "the ledger is being opened: ask again in a moment")
    return Questions(opened)


Scoped = Annotated[Scope, Depends(scope)]
Asked = Annotated[Questions, Depends(questions)]


@router.get("/api/calls", tags=["calls"])
def calls(
    who: Scoped,
    ask: Asked,
    *,
    event_id: Text = "",
    user_id: Text = "",
    thread_id: Text = "",
    model: Text = "",
    status: Status = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page:
    """List calls, newest first."""
    filters = Filters(event_id=event_id, user_id=user_id, thread_id=thread_id, model=model, status=status)
    return ask.calls(who, filters, limit=limit, cursor=cursor)


@router.get("/api/calls/{call_id}", tags=["calls"])
def call(who: Scoped, ask: Asked, call_id: str) -> CallDetail:
    """Tell all about one call: attempts, usage, cost, and what was said."""
    return ask.call(who, call_id)


@router.get("/api/events/{event_id}", tags=["events"])
def event(who: Scoped, ask: Asked, event_id: str, *, limit: Limit = 200, cursor: Cursor = "") -> Group:
    """List the calls of one event, oldest first, with their totals."""
    return ask.group(who, "event_id", event_id, limit=limit, cursor=cursor)


@router.get("/api/events", tags=["events"])
def event_by_query(who: Scoped, ask: Asked, *, id_: Id, limit: Limit = 200, cursor: Cursor = "") -> Group:
    """Do the same for an id that does not fit into a path."""
    return ask.group(who, "event_id", id_, limit=limit, cursor=cursor)


@router.get("/api/threads/{thread_id}", tags=["threads"])
def thread(who: Scoped, ask: Asked, thread_id: str, *, limit: Limit = 200, cursor: Cursor = "") -> Group:
    """List the calls of one thread, oldest first, with their totals."""
    return ask.group(who, "thread_id", thread_id, limit=limit, cursor=cursor)


@router.get("/api/threads", tags=["threads"])
def thread_by_query(who: Scoped, ask: Asked, *, id_: Id, limit: Limit = 200, cursor: Cursor = "") -> Group:
    """Do the same for an id that does not fit into a path."""
    return ask.group(who, "thread_id", id_, limit=limit, cursor=cursor)


def days(request: Request, from_: Annotated[Day, Query(alias="from")] = "", to: Day = "") -> tuple[str, str]:
    """Return the first and the last day asked for: this month's so far if nothing was said."""
    today = datetime.fromtimestamp(request.app.state.now_us() / 1e6, UTC).date()
    first = _day("from", from_, today.replace(day=1))
    last = _day("to", to, max(today, first))
    if first > last:
        raise Refusal(400, "bad_range", f"from {first} is after to {last}: swap them", param="from")
    return first.isoformat(), last.isoformat()


Days = Annotated[tuple[str, str], Depends(days)]


@router.get("/api/users/{user_id}/cost", tags=["users"])
def user_cost(who: Scoped, ask: Asked, user_id: str, days: Days, *, group_by: Text = "") -> UserCost:
    """Tell what a user cost; from the first of this month to today unless asked otherwise."""
    return ask.user_cost(who, user_id, days=days, group_by=_group_by(group_by))


@router.get("/api/users/cost", tags=["users"])
def user_cost_by_query(who: Scoped, ask: Asked, days: Days, *, id_: Id, group_by: Text = "") -> UserCost:
    """Do the same for an id that does not fit into a path."""
    return ask.user_cost(who, id_, days=days, group_by=_group_by(group_by))


def _day(name: str, text: str, otherwise: date) -> date:
    if not text:
        return otherwise
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refusal(
            400, "bad_date", f"{name}={text!r} is not a day: write it like 2026-11-21", param=name
        ) from error


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


def _add_refusals(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    def refusal(_request: Request, error: Refusal) -> JSONResponse:
        return error_answer(error.status, error.code, str(error), error.param)

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        return error_answer(400, "bad_parameter", f"{name}: {first['msg']}", name)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        code = "unknown_url" if error.status_code == 404 else "http_error"
        return error_answer(error.status_code, code, f"{request.method} {request.url.path}: {error.detail}")

    @app.exception_handler(StoreError)
    def store(_request: Request, error: StoreError) -> JSONResponse:
        told = refusal_of(error)
        return error_answer(told.status, told.code, str(told))


def refusal_of(error: StoreError) -> Refusal:
    """Say to whoever asked what went wrong in the store, without any of the data."""
    logger.warning("query_failed", extra={"error": error.label})
    if isinstance(error, TooExpensive):
        return Refusal(504, "query_too_expensive", "this would take too long: ask for fewer days or less")
    if isinstance(error, StoreAway):
        return Refusal(503, "store_away", "the ledger cannot be reached: nothing is lost, ask again later")
    return Refusal(500, "query_refused", "the ledger refused this query; that is our fault")


def error_answer(status: int, code: str, message: str, param: str | None = None) -> JSONResponse:
    """Return an error in the shape that OpenAI's clients know."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    headers = {"retry-after": RETRY_AFTER_S} if status == 503 else None
    content = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return JSONResponse(content, status, headers)
