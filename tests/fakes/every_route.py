"""Every route that some part of the house answers at, as the parts themselves say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from dashboards.lists import LISTS
from gateway.places import Places
from gateway.processes import telemetry, worker
from gateway.settings import Settings
from gateway.sign_in import PATHS
from memory import api as memory_api
from telemetry.ingest import api as ingest_api
from telemetry.logs import api as logs_api
from tests.fakes.hub_control import Hub
from tests.fakes.keys import HandClock

PAGES = Path(__file__).parents[2] / "dashboards" / "pages"
Route = tuple[str, str]
"""Method and path; `{...}` stands for a part of it."""


def telemetry_routes(folder: Path) -> Iterator[Route]:
    """Yield those of the telemetry process: the query API, logs, upkeep, metrics."""
    places = Places(data=folder / "data", run=folder / "run")
    ledger = telemetry.Ledger(places, Settings(), HandClock())
    app: FastAPI = telemetry.application(ledger, places)
    intake = telemetry.intake_of(None, places, Settings())  # type: ignore[arg-type]
    app.include_router(ingest_api.router(intake, max_body_bytes=1))
    app.include_router(logs_api.router(ledger.store, now_us=HandClock().now_us))
    yield from _of(app.routes)


def _of(routes: Sequence[Any]) -> Iterator[Route]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _of(inner.routes)
        else:
            yield from ((method, route.path) for method in sorted(route.methods or ()))


def control_routes(folder: Path) -> Iterator[Route]:
    """Yield those of the hub's administration."""
    for operation in Hub(folder).control.api.operations:
        yield operation.method, operation.path


def memory_routes() -> Iterator[Route]:
    """Yield those that the memory API's own description lists."""
    listed = r"^    (GET|POST|PUT|PATCH|DELETE) +(/\S+)"
    yield from re.findall(listed, memory_api.__doc__ or "", re.MULTILINE)


def page_routes() -> Iterator[Route]:
    """Yield those of the pages."""
    for path in LISTS:
        yield "GET", path
    for file in sorted(PAGES.glob("*.py")):
        for path in re.findall(r'@ui\.page\(\s*f?"([^"]+)"', file.read_text()):
            yield "GET", path
    yield from (("GET", path) for path in ("/favicon.ico", "/_nicegui/3/x.js", "/_nicegui_ws/socket.io/"))


def worker_routes() -> Iterator[Route]:
    """Yield those that a worker answers itself, but for the calls of models."""
    for path in (*set(PATHS) - {"/sign-in"}, *worker.MODELS, *worker.GEMINI_MODELS, worker.ROUTES_API):
        yield "GET", path
    yield from (("GET", f"{path}/some/model") for path in worker.MODELS + worker.GEMINI_MODELS)
    yield from (("GET", path) for path in ("/health/live", "/health/ready"))
    yield from (("POST", path) for path in ("/sign-in", "/sign-out", "/account"))


def every_route(folder: Path) -> list[Route]:
    """Return them all, once each, in a fixed order."""
    found = {
        *telemetry_routes(folder),
        *control_routes(folder),
        *memory_routes(),
        *page_routes(),
        *worker_routes(),
    }
    return sorted(found)


def filled(path: str, value: str = "x") -> str:
    """Return the path with something in each of its places."""
    return re.sub(r"\{[^}]*\}", value, path)
