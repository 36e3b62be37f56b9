"""OpenAI's chat completions: `POST /v1/chat/completions`.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.wire import openai_body, openai_errors, openai_words
from gateway.wire.base import Peek, Reading
from gateway.wire.claiming import Claiming, claimed
from gateway.wire.openai_answer import DocumentReading
from gateway.wire.openai_memory import ChatConversation
from gateway.wire.openai_stream import StreamReading

_ABSENT = msgspec.Raw(b"")


class _Body(Claiming):
    model: str | None = None
    messages: msgspec.Raw = _ABSENT
    stream: bool | None = None
    stream_options: msgspec.Raw = _ABSENT
    response_format: msgspec.Raw = _ABSENT
    tools: msgspec.Raw = _ABSENT
    temperature: Any = None
    top_p: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    n: Any = None
    seed: Any = None
    reasoning_effort: Any = None
    service_tier: Any = None


class _Format(msgspec.Struct):
    type: Any = None


_bodies = msgspec.json.Decoder(_Body)
_formats = msgspec.json.Decoder(_Format)
_lists = msgspec.json.Decoder(list[msgspec.Raw])


class OpenAIChat:
    """The chat completions format."""

    surface = "openai.chat"
    operation = "chat"
    stream_type = "text/event-stream"

    def peek(self, body: bytes, *, model: str = "") -> Peek:  # noqa: ARG002 - the body names it
        """Read what routing and recording need; only what no provider could understand is refused."""
        said = openai_body.decode(_bodies, body)
        named = openai_body.check_model(said.model)
        if said.messages is _ABSENT:
            raise openai_body.missing("messages")
        claims, control = claimed(said)
        parameters = _SCALARS.of(said)
        if said.response_format is not _ABSENT or said.tools is not _ABSENT:
            _add_shapes(said, parameters)
        return Peek(
            model=named,
            stream=bool(said.stream),
            wants_usage=bool(said.stream) and openai_body.wants_usage(said.stream_options),
            parameters=parameters,
            claims=claims,
            control=control,
        )

    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:
        """Return the body asking for `model` (and for usage in its stream)."""
        return openai_body.rewrite(body, model=model, ask_usage=ask_usage, drop=drop)

    def conversation(self, body: bytes) -> ChatConversation:
        """Read what the user says."""
        return ChatConversation(body)

    def reading(self, *, stream: bool, strip_usage: bool) -> Reading:
        """Return a reader for one answer."""
        return StreamReading(strip_usage=strip_usage) if stream else DocumentReading()

    def words(self, content_type: str, body: bytes) -> str:
        """Return what an answer says."""
        return openai_words.words(content_type, body)

    def error(self, error: GatewayError) -> bytes:
        """Render an error as OpenAI does."""
        return openai_errors.render(error)

    def broken(self, error: GatewayError) -> bytes:
        """Render an error as the last event of a stream that has begun."""
        return openai_errors.event(error)


_SCALARS = openai_body.Settings(
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "seed",
    "reasoning_effort",
    "service_tier",
)


def _add_shapes(said: _Body, parameters: dict[str, openai_body.Small]) -> None:
    """Add the kind of the response format and the number of tools."""
    try:
        if said.response_format is not _ABSENT:
            kind = openai_body.small(_formats.decode(said.response_format).type)
            if kind is not None:
                parameters["response_format"] = kind
        if said.tools is not _ABSENT:
            parameters["tools"] = len(_lists.decode(said.tools))
    except msgspec.DecodeError:
        return  # null, or of a type that the provider will refuse
