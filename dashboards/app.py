"""The pages as one ASGI application, put in front of the query API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Request
from nicegui import ui
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.components.frame import LISTS
from dashboards.pages import call, calls, costs, errors, event, events, people, steps
from dashboards.reader import Reader, reader_for
from telemetry.store.base import Store

_FOLDER = Path(__file__).parent
_PREFIXES = ("/events/", "/calls/", "/_nicegui")
_HEADERS = {
    # Vue compiles templates in the browser and NiceGUI's page starts with an inline script.
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class Pages:
    """Middleware: the lists, `/events/...` and `/calls/...` are pages, everything else is for the API behind."""

    def __init__(self, app: ASGIApp, *, store: Callable[[], Store | None], now_us: Callable[[], int]) -> None:
        self._api = app
        self._pages = _application(reader_for(store, now_us))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; of the process's start and end only NiceGUI wants to hear."""
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
        elif _is_page(scope["path"]):
            await self._pages(scope, receive, _guarded(send))
        else:
            await self._api(scope, receive, send)


def _is_page(path: str) -> bool:
    return path in LISTS or path == "/favicon.ico" or path.startswith(_PREFIXES)


def _guarded(send: Send) -> Send:
    """Let the browser refuse whatever is not ours."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return guarded


def _application(readers: Callable[[Request], Reader]) -> FastAPI:
    for page in (events, event, calls, call, costs, people, errors, steps):
        page.add(readers)
    app = FastAPI(openapi_url=None)
    ui.add_css((_FOLDER / "style.css").read_text(), shared=True)
    ui.run_with(
        app,
        title="Tidegate",
        favicon=_FOLDER / "icon.svg",
        dark=None,
        tailwind=False,
        binding_refresh_interval=None,
        gzip_middleware_factory=None,  # it would compress in the loop; browsers keep these files for a year
        show_welcome_message=False,
    )
    return app
