"""The pages in front of the query API; they are made when somebody opens the first one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.lists import LISTS
from telemetry.questions.memory import AskReading, nobody_reads
from telemetry.store.base import Store

_PREFIXES = ("/events/", "/calls/", "/_nicegui")
_HEADERS = {
    # Vue compiles templates in the browser and NiceGUI's page starts with an inline script.
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}

Make = Callable[[Callable[[], Store | None], Callable[[], int], AskReading], FastAPI]


class Pages:
    """Middleware: the lists, `/events/...` and `/calls/...` are pages, everything else is for the API behind."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: Callable[[], Store | None],
        now_us: Callable[[], int],
        reading: AskReading = nobody_reads,
    ) -> None:
        self._api = app
        self._store = store
        self._now_us = now_us
        self._reading = reading
        self._making = asyncio.Lock()
        self._pages: FastAPI | None = None
        self._running = AsyncExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await (await self._made())(scope, receive, send)
        elif _is_page(scope["path"]):
            await (await self._made())(scope, receive, _guarded(send))
        else:
            await self._api(scope, receive, send)

    async def _made(self) -> FastAPI:
        async with self._making:
            if self._pages is None:
                make = await asyncio.to_thread(_load)
                pages = make(self._store, self._now_us, self._reading)
                await self._running.enter_async_context(pages.router.lifespan_context(pages))
                self._pages = pages
        return self._pages

    async def _live(self, receive: Receive, send: Send) -> None:
        """Follow the process from its start to its end; only the pages have something to end."""
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self._running.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def _load() -> Make:
    from dashboards.application import application  # noqa: PLC0415 - half a second and 40 MB, for those who look

    return application


def _is_page(path: str) -> bool:
    return path in LISTS or path == "/favicon.ico" or path.startswith(_PREFIXES)


def _guarded(send: Send) -> Send:
    """Let the browser refuse whatever is not ours."""

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return guarded
