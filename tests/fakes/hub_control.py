"""The hub's administration without its processes: the real parts over a real file, asked as its HTTP server asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from argon2 import PasswordHasher

from gateway.control.passwords import Passwords
from gateway.link import CallFailed
from gateway.link_server import LinkServer
from gateway.places import Places
from gateway.principal import Principal, Scope
from gateway.processes.control import Control
from gateway.settings import Settings
from gateway.transport import Transport
from gateway.upstream import Upstream
from tests.fakes.keys import SECOND, HandClock


class Hub:
    """A hub's `Control`, and a clock that goes on by a second with each request."""

    def __init__(
        self, folder: Path, settings: Settings | None = None, transport: Transport | None = None
    ) -> None:
        settings = settings or Settings()
        self.clock = HandClock()
        self.places = Places(data=folder / "data", run=folder / "run")
        self.link = LinkServer({}, clock=self.clock)
        upstream = transport or Upstream(self.clock, settings.network)
        cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.control = Control(self.places, settings, self.link, self.clock, upstream, cheap)

    async def ask(
        self, method: str, target: str, body: object = None, *, by: Principal | None = None
    ) -> tuple[int, Any]:
        """Ask as `by`, else as the house itself; return status and answer."""
        self.clock.us += SECOND
        url = urlsplit(target)
        packed = body if isinstance(body, bytes) else msgspec.json.encode(body) if body is not None else b""
        scope = {
            "method": method,
            "path": url.path,
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "headers": [(b"x-tidegate-principal", msgspec.json.encode(by))] if by else [],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": packed, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.control.api(scope, receive, send)
        return sent[0]["status"], msgspec.json.decode(sent[1]["body"])

    async def call(self, method: str, params: object, *, timeout_s: float = 1) -> object:
        """Ask as a worker does over the link: what goes over it is only data."""
        self.clock.us += SECOND
        packed = msgspec.msgpack.decode(msgspec.msgpack.encode(params))
        answer = await self.link.handlers[method](packed)
        return msgspec.msgpack.decode(msgspec.msgpack.encode(answer))

    async def refused(self, method: str, params: object) -> str:
        """Return the code of what a worker is refused with; empty if it is not."""
        try:
            await self.call(method, params)
        except CallFailed as failed:
            return failed.code
        return ""

    async def close(self) -> None:
        """Let go of the file."""
        await self.control.close()


Make = Callable[[Settings], Hub]


def admin(project: str, *scopes: Scope) -> Principal:
    """Return who administrates one project, or who `scopes` say."""
    return Principal(key_id=f"admin-of-{project}", project=project, scopes=scopes or ("admin",))
