"""OpenAI's embeddings: `POST /v1/embeddings`.

Source: https://platform.openai.com/docs/api-reference/embeddings/create (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.wire import openai_body, openai_errors, openai_words
from gateway.wire.base import Peek, Reading
from gateway.wire.claiming import Claiming, claimed
from gateway.wire.openai_answer import DocumentReading

_ABSENT = msgspec.Raw(b"")


class _Body(Claiming):
    model: str | None = None
    input: msgspec.Raw = _ABSENT
    dimensions: Any = None
    encoding_format: Any = None


_SCALARS = openai_body.Settings("dimensions", "encoding_format")
_bodies = msgspec.json.Decoder(_Body)


class OpenAIEmbeddings:
    """The embeddings format; it has no streams."""

    surface = "openai.embeddings"
    operation = "embeddings"
    stream_type = "text/event-stream"

    def peek(self, body: bytes, *, model: str = "") -> Peek:  # noqa: ARG002 - the body names it
        """Read what routing and recording need."""
        said = openai_body.decode(_bodies, body)
        named = openai_body.check_model(said.model)
        if said.input is _ABSENT:
            raise openai_body.missing("input")
        parameters = _SCALARS.of(said)
        claims, control = claimed(said)
        return Peek(model=named, parameters=parameters, claims=claims, control=control)

    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:  # noqa: ARG002 - no streams
        """Return the body asking for `model`."""
        return openai_body.rewrite(body, model=model, ask_usage=False, drop=drop)

    def conversation(self, body: bytes) -> None:
        """Say that there is no place for memories."""

    def reading(self, *, stream: bool, strip_usage: bool) -> Reading:  # noqa: ARG002 - no streams
        """Return a reader for one answer."""
        return DocumentReading()

    def words(self, content_type: str, body: bytes) -> str:
        """Return what an answer says."""
        return openai_words.words(content_type, body)

    def error(self, error: GatewayError) -> bytes:
        """Render an error as OpenAI does."""
        return openai_errors.render(error)

    def broken(self, error: GatewayError) -> bytes:
        """Render an error as an event, should a provider ever stream embeddings."""
        return openai_errors.event(error)
