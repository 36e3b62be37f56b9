"""Calls as a stage sees them, without a socket."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from gateway.asgi import Client, Headers
from gateway.exchange import Exchange, Identity
from gateway.principal import Principal
from gateway.wire.base import Wire
from gateway.wire.openai_chat import OpenAIChat

CHAT = OpenAIChat()


class Caller:
    """As much of a client as stages look at; keeps what it is sent."""

    def __init__(self) -> None:
        self.extra: Headers = []
        self.gone = self.held_up = False
        self.started = self.finished = False
        self.status = 0
        self.body = self.last = b""
        self.headers: Headers = []

    def answer(self, status: int, body: bytes, headers: Headers | None = None) -> None:
        """Take a whole answer."""
        self.begin(status, headers or [])
        self.finish(body)

    def begin(self, status: int, headers: Headers) -> None:
        """Take status and headers."""
        self.started, self.status, self.headers = True, status, headers

    def write(self, chunk: bytes) -> None:
        """Take a part."""
        self.body += chunk

    def finish(self, last: bytes = b"") -> None:
        """Take the last part."""
        self.body += last
        self.last = last
        self.finished = True


def chat(said: str = "hi", **fields: Any) -> bytes:
    """Return a chat completions request."""
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": said}], **fields})


def exchange(
    body: bytes = b"",
    *,
    wire: Wire = CHAT,
    user: str = "ada",
    environment: str = "prod",
    headers: dict[bytes, bytes] | None = None,
    **principal: Any,
) -> Exchange:
    """Return a call whose request was read."""
    body = body or chat()
    made = Exchange(
        call_id="c-1",
        wire=wire,
        headers=headers or {},
        body=body,
        client=cast("Client", Caller()),
        started_at_us=1,
        started_ns=1,
        principal=Principal(**{"key_id": "k", "project": "p", **principal}),
        identity=Identity(event_id="e", user_id=user, environment=environment),
    )
    made.peek = wire.peek(body, model="m")
    made.route = "m"
    return made


def caller(call: Exchange) -> Caller:
    """Return the client of a call made here."""
    return cast("Caller", call.client)
