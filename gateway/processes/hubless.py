"""The hub's administration while there is no hub: the same parts over the same store, for one request."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from gateway.clock import SystemClock
from gateway.link_server import LinkServer
from gateway.places import Places
from gateway.processes.control import Control
from gateway.settings import Settings
from gateway.upstream import Upstream


def administer(
    settings: Settings, places: Places, method: str, target: str, body: bytes | None
) -> tuple[int, bytes]:
    """Return status and body of the answer, as `unix_http.ask` does. Workers hear of it from the next hub."""
    return asyncio.run(_answer(settings, places, method, target, body or b""))


async def _answer(
    settings: Settings, places: Places, method: str, target: str, body: bytes
) -> tuple[int, bytes]:
    clock = SystemClock()
    link = LinkServer({}, clock=clock)
    control = Control(places, settings, link, clock, Upstream(clock, settings.network))
    url = urlsplit(target)
    scope = {
        "method": method,
        "path": url.path,
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "headers": [],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    try:
        await control.api(scope, receive, send)
    finally:
        await control.close()
    return sent[0]["status"], sent[1]["body"]
