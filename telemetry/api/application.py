"""The query API as an application."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

from telemetry.api import calls, exports, groups, memory, search, sums
from telemetry.api.errors import add_refusals
from telemetry.api_page import POLICY, page
from telemetry.questions.memory import AskReading, nobody_reads
from telemetry.store.base import Store


def build(
    store: Callable[[], Store | None],
    *,
    now_us: Callable[[], int],
    version: str = "",
    reading: AskReading = nobody_reads,
) -> FastAPI:
    """Make the application; `store` returns None while it is being opened, `reading` asks the memory itself."""
    app = FastAPI(
        title="Tidegate query API",
        version=version or "0",
        description="Every call, what it cost, and what it belongs to.",
        docs_url=None,  # FastAPI's own pages load their scripts from somewhere else
        redoc_url=None,
    )
    app.state.store = store
    app.state.now_us = now_us
    app.state.reading = reading
    parts = (exports, calls, groups, sums, memory, search)  # a path that is a name before one that is an id
    add_routes(app, *(part.router for part in parts))
    add_refusals(app)

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()), headers={"content-security-policy": POLICY})

    return app


def add_routes(app: FastAPI, *routers: APIRouter) -> None:
    """Serve what these routers serve. `include_router` would build every route anew, in the first request."""
    for router in routers:
        app.router.routes.extend(router.routes)
