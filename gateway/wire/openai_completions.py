"""OpenAI's legacy completions: `POST /v1/completions`.

Source: https://platform.openai.com/docs/api-reference/completions/create (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.wire import openai_body, openai_errors, openai_words
from gateway.wire.base import Peek, Reading
from gateway.wire.claiming import Claiming, claimed
from gateway.wire.openai_answer import DocumentReading
from gateway.wire.openai_stream import StreamReading

_ABSENT = msgspec.Raw(b"")
_SCALARS = openai_body.Settings(
    "temperature", "top_p", "max_tokens", "n", "best_of", "seed", "echo", "logprobs"
)


class _Body(Claiming):
    model: str | None = None
    stream: bool | None = None
    stream_options: msgspec.Raw = _ABSENT
    temperature: Any = None
    top_p: Any = None
    max_tokens: Any = None
    n: Any = None
    best_of: Any = None
    seed: Any = None
    echo: Any = None
    logprobs: Any = None


_bodies = msgspec.json.Decoder(_Body)


class OpenAICompletions:
    """The legacy completions format; its streams are those of chat completions, with `text` for `delta`."""

    surface = "openai.completions"
    operation = "text_completion"
    stream_type = "text/event-stream"

    def peek(self, body: bytes, *, model: str = "") -> Peek:  # noqa: ARG002 - the body names it
        """Read what routing and recording need; a request without a prompt is one for a new document."""
        said = openai_body.decode(_bodies, body)
        named = openai_body.check_model(said.model)
        claims, control = claimed(said)
        return Peek(
            model=named,
            stream=bool(said.stream),
            wants_usage=bool(said.stream) and openai_body.wants_usage(said.stream_options),
            parameters=_SCALARS.of(said),
            claims=claims,
            control=control,
        )

    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:
        """Return the body asking for `model` (and for usage in its stream)."""
        return openai_body.rewrite(body, model=model, ask_usage=ask_usage, drop=drop)

    def conversation(self, body: bytes) -> None:
        """Say that there is no place for memories."""

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
