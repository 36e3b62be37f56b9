"""A provider that plays OpenAI's Realtime and Gemini's Live API over real WebSockets, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

REALTIME_USAGE: dict[str, Any] = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 61, "audio_tokens": 3, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
LIVE_USAGE: dict[str, Any] = {
    "promptTokenCount": 40,
    "responseTokenCount": 25,
    "totalTokenCount": 65,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 30}, {"modality": "AUDIO", "tokenCount": 10}],
    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}],
}


class SocketProvider:
    """Says what it is told to: by the client's messages, which are commands where they are no events.

    `die` cuts the connection, `close:CODE` closes with a code, `flood:BYTES` sends so much, `echo:TEXT` says it back.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Paths and headers of the handshakes."""
        self.said: list[str | bytes] = []
        """By clients."""
        self.closed: list[int | None] = []
        """Close codes that came from clients."""
        self.open = 0
        """Sessions that are not over."""
        self.sent = 0
        """Bytes of a flood so far."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._await(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._await(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _start(self) -> None:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._handshake,
            select_subprotocol=lambda _, offered: Subprotocol("realtime") if "realtime" in offered else None,
            max_size=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        self.asked.append(
            (request.path, {name.lower(): value for name, value in request.headers.raw_items()})
        )
        if "refused" in request.path:
            answer = connection.respond(
                401, '{"error":{"message":"Incorrect key.","code":"invalid_api_key"}}'
            )
            answer.headers["retry-after"] = "7"
            return answer
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        self.open += 1
        try:
            await self._talk(connection)
        finally:
            self.closed.append(connection.close_code)
            self.open -= 1

    async def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        if "realtime" in connection.request.path:
            session = {"id": "sess_1", "object": "realtime.session", "model": "gpt-realtime"}
            await connection.send(
                _json({"type": "session.created", "event_id": "event_0", "session": session})
            )
        with suppress(ConnectionClosed):
            async for message in connection:
                self.said.append(message)
                await self._obey(connection, message)

    async def _obey(self, connection: ServerConnection, message: str | bytes) -> None:
        text = message if isinstance(message, str) else message.decode("latin-1")
        command, _, argument = text.partition(":")
        if command == "die":
            connection.transport.abort()
        elif command == "close":
            await connection.close(int(argument), "as you wish")
        elif command == "flood":
            while self.sent < int(argument):
                await connection.send(b"x" * 65536)
                self.sent += 65536
        elif command == "echo":
            await connection.send(message)
        elif '"response.create"' in text:
            await connection.send(
                [b'{"type":"response.output_audio.delta",', b'"delta":"' + b"A" * 5000 + b'"}']
            )
            await connection.send(_json(_done()))
        elif '"setup"' in text:
            await connection.send(b'{"setupComplete":{}}')
        elif '"clientContent"' in text or '"client_content"' in text:
            turn = {"serverContent": {"turnComplete": True}, "usageMetadata": LIVE_USAGE}
            await connection.send(msgspec.json.encode(turn))


def _done() -> dict[str, Any]:
    response = {
        "object": "realtime.response",
        "id": "resp_1",
        "status": "completed",
        "output": [],
        "usage": REALTIME_USAGE,
    }
    return {"type": "response.done", "event_id": "event_1", "response": response}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
