"""Anthropic's messages: `POST /v1/messages`.

Source: https://docs.anthropic.com/en/api/messages (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.wire import anthropic_errors, anthropic_words, openai_body
from gateway.wire.anthropic_answer import read_message
from gateway.wire.anthropic_memory import MessagesConversation
from gateway.wire.anthropic_stream import StreamReading
from gateway.wire.base import Conversation, Peek, Reading
from gateway.wire.claiming import Claiming, claimed
from gateway.wire.document import DocumentReading

_ABSENT = msgspec.Raw(b"")


class _Body(Claiming):
    model: str | None = None
    messages: msgspec.Raw = _ABSENT
    stream: bool | None = None
    tools: msgspec.Raw = _ABSENT
    thinking: msgspec.Raw = _ABSENT
    output_config: msgspec.Raw = _ABSENT
    max_tokens: Any = None
    temperature: Any = None
    top_p: Any = None
    top_k: Any = None
    service_tier: Any = None
    speed: Any = None
    inference_geo: Any = None


class _Thinking(msgspec.Struct):
    type: Any = None
    budget_tokens: Any = None


class _OutputConfig(msgspec.Struct):
    effort: Any = None


_bodies = msgspec.json.Decoder(_Body)
_thinkings = msgspec.json.Decoder(_Thinking)
_output_configs = msgspec.json.Decoder(_OutputConfig)
_lists = msgspec.json.Decoder(list[msgspec.Raw])
_SCALARS = openai_body.Settings(
    "max_tokens", "temperature", "top_p", "top_k", "service_tier", "speed", "inference_geo"
)


class AnthropicMessages:
    """The messages format."""

    surface = "anthropic.messages"
    operation = "chat"
    stream_type = "text/event-stream"

    def peek(self, body: bytes, *, model: str = "") -> Peek:  # noqa: ARG002 - the body names it
        """Read what routing and recording need; only what no provider could understand is refused."""
        said = openai_body.decode(_bodies, body)
        named = openai_body.check_model(said.model)
        if said.messages is _ABSENT:
            raise openai_body.missing("messages")
        claims, control = claimed(said)
        return Peek(
            model=named,
            stream=bool(said.stream),
            parameters=_parameters(said),
            claims=claims,
            control=control,
        )

    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:  # noqa: ARG002 - it is always told
        """Return the body asking for `model`."""
        return openai_body.rewrite(body, model=model, ask_usage=False, drop=drop)

    def conversation(self, body: bytes) -> Conversation | None:
        """Read what the user says."""
        return MessagesConversation(body)

    def reading(self, *, stream: bool, strip_usage: bool) -> Reading:  # noqa: ARG002 - it is always told
        """Return a reader for one answer."""
        return StreamReading() if stream else DocumentReading(read_message)

    def words(self, content_type: str, body: bytes) -> str:
        """Return what an answer says."""
        return anthropic_words.words(content_type, body, thoughts=True)

    def error(self, error: GatewayError) -> bytes:
        """Render an error as Anthropic does."""
        return anthropic_errors.render(error)

    def broken(self, error: GatewayError) -> bytes:
        """Render an error as the last event of a stream that has begun."""
        return anthropic_errors.event(error)


def _parameters(said: _Body) -> dict[str, openai_body.Small]:
    parameters = _SCALARS.of(said)
    if said.thinking is not _ABSENT or said.output_config is not _ABSENT or said.tools is not _ABSENT:
        shapes = _shapes(said).items()
        parameters |= {name: kept for name, value in shapes if (kept := openai_body.small(value)) is not None}
    return parameters


def _shapes(said: _Body) -> dict[str, object]:
    """Return how the model is to think, and the number of tools."""
    found: dict[str, object] = {}
    try:
        if said.thinking is not _ABSENT:
            thinking = _thinkings.decode(said.thinking)
            found["thinking"], found["thinking_budget_tokens"] = thinking.type, thinking.budget_tokens
        if said.output_config is not _ABSENT:
            found["effort"] = _output_configs.decode(said.output_config).effort
        if said.tools is not _ABSENT:
            found["tools"] = len(_lists.decode(said.tools))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # null, or of a type that the provider will refuse
    return found
