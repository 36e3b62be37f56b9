"""The model that reads conversations, asked through the house's own public door.

So its calls are routed, retried, recorded and priced like any other, for the user and the event they are made for.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from gateway.clock import Clock
from gateway.errors import UpstreamFailed
from gateway.internal import BEHALF, Behalf
from gateway.providers.base import Headers, Origin, Outgoing
from gateway.settings import Memory, Network, Server, Timeouts
from gateway.upstream import Upstream
from memory.errors import BadAnswer, ModelAway

if TYPE_CHECKING:
    from memory.manager import Asked

PATH = "/v1/chat/completions"
_PATIENCE = Timeouts(connect_s=2, total_s=120)
_MOST_BYTES = 4 * 1024 * 1024
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1", "localhost": "127.0.0.1"}  # noqa: S104
_SAFE = "-_.:@/~"
_HOPELESS = (400, 413, 422)
"""Asked again, it would be refused again."""


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message = _Message()
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_completions = msgspec.json.Decoder(_Completion)


class HouseModel:
    """A `memory.manager.Model`. Belongs to one event loop; `token` is that of the house's own calls."""

    def __init__(self, settings: Memory, server: Server, clock: Clock, *, token: str) -> None:
        self.name = settings.model
        self.vision = settings.vision_model
        self._origin = Origin("http", _ANYWHERE.get(server.host, server.host), server.port)
        self._authorization = (b"authorization", f"Bearer {token}".encode())
        self._upstream = Upstream(clock, Network())  # no proxy stands between a house and itself

    async def ask(self, asked: Asked) -> str:
        """Return the answer's text. Raises ModelAway, BadAnswer."""
        body = msgspec.json.encode(self._request(asked))
        outgoing = Outgoing("POST", self._origin, PATH, self._headers(asked), body)
        try:
            with closing(await self._upstream.open(outgoing, _PATIENCE, stream=False)) as answer:
                found = await answer.read(_MOST_BYTES)
        except UpstreamFailed as error:
            raise ModelAway(f"the house did not answer: {error}") from error
        if answer.status in _HOPELESS:
            raise BadAnswer(f"the model's call answered {answer.status}", code=f"model_{answer.status}")
        if answer.status != 200:
            raise ModelAway(f"the model's call answered {answer.status}", code=f"model_{answer.status}")
        return _text(found)

    async def close(self) -> None:
        """Close its connections."""
        await self._upstream.close()

    def _request(self, asked: Asked) -> dict[str, object]:
        model = self.vision if asked.purpose == "memory.caption" else self.name
        request: dict[str, object] = {"model": model, "messages": asked.messages}
        if asked.schema is not None:
            named = {"name": "memory_operations", "strict": True, "schema": asked.schema}
            request["response_format"] = {"type": "json_schema", "json_schema": named}
        return request

    def _headers(self, asked: Asked) -> Headers:
        scope = asked.scope
        said = {
            "user-id": scope.user,
            "agent-id": scope.agent,
            "thread-id": asked.thread_id,
            "event-id": asked.event_id,
            "step": asked.purpose,
            "memory": "off",
            "property-purpose": "memory",
            "property-memory-job": asked.job_id,
        }
        return [
            (b"content-type", b"application/json"),
            self._authorization,
            (
                BEHALF,
                msgspec.json.encode(Behalf(quote(scope.project, _SAFE), quote(scope.environment, _SAFE))),
            ),
            *(
                (f"x-tidegate-{name}".encode(), quote(value, _SAFE).encode())
                for name, value in said.items()
                if value
            ),
        ]


def _text(body: bytes) -> str:
    try:
        choice = _completions.decode(body).choices[0]
    except (msgspec.MsgspecError, UnicodeDecodeError, IndexError) as error:
        raise BadAnswer("the model's call answered no chat completion") from error
    if choice.finish_reason == "length":
        raise BadAnswer("the model's answer is cut")
    if not choice.message.content:
        raise BadAnswer("the model's answer holds no text")
    return choice.message.content
