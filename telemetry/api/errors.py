"""How the query API says no: one shape for all, the one that OpenAI's clients know."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from telemetry.answers import ErrorAnswer, Refusal
from telemetry.store.base import StoreAway, StoreError, TooExpensive

RETRY_AFTER_S = "2"
_CODES = {404: "unknown_url", 405: "method_not_allowed"}

# As classes, or FastAPI would announce a 422 that is never given.
ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorAnswer} for status in ("4XX", "5XX")}
"""`responses` of a router."""

logger = logging.getLogger(__name__)


def add_refusals(app: FastAPI) -> None:
    """Let every error become an answer in that shape."""

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
        code = _CODES.get(error.status_code, "http_error")
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
