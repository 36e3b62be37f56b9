"""Gemini's embeddings: `:embedContent` and `:batchEmbedContents`.

Source: https://ai.google.dev/api/embeddings (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.wire import gemini_body, gemini_errors, gemini_words, openai_body
from gateway.wire.base import Peek, Reading
from gateway.wire.claiming import Claiming, claimed
from gateway.wire.gemini_answer import DocumentReading

_ABSENT = msgspec.Raw(b"")


class _Body(Claiming):
    content: msgspec.Raw = _ABSENT
    requests: msgspec.Raw = _ABSENT
    dimensions: Any = msgspec.field(default=None, name="outputDimensionality")
    task_type: Any = msgspec.field(default=None, name="taskType")


_bodies = msgspec.json.Decoder(_Body)
_lists = msgspec.json.Decoder(list[msgspec.Raw])


class GeminiEmbed:
    """The format of embeddings, one or a batch of them; it has no streams."""

    operation = "embeddings"
    stream_type = "text/event-stream"

    def __init__(self, *, batch: bool = False) -> None:
        self.surface = "gemini.batch_embed" if batch else "gemini.embed"
        self._wanted = "requests" if batch else "content"

    def peek(self, body: bytes, *, model: str = "") -> Peek:
        """Read what recording needs."""
        said = openai_body.decode(_bodies, body)
        if getattr(said, self._wanted) is _ABSENT:
            raise gemini_body.missing(self._wanted)
        claims, control = claimed(said)
        return Peek(model=model, parameters=_parameters(said), claims=claims, control=control)

    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:  # noqa: ARG002 - no streams
        """Return the body for `model`."""
        return gemini_body.rewrite(body, model=model, drop=drop)

    def conversation(self, body: bytes) -> None:
        """Say that there is no place for memories."""

    def reading(self, *, stream: bool, strip_usage: bool) -> Reading:  # noqa: ARG002 - no streams
        """Return a reader for one answer."""
        return DocumentReading()

    def words(self, content_type: str, body: bytes) -> str:
        """Return what a body says."""
        return gemini_words.words(content_type, body)

    def error(self, error: GatewayError) -> bytes:
        """Render an error as Gemini does."""
        return gemini_errors.render(error)

    def broken(self, error: GatewayError) -> bytes:
        """Render an error as an event, should a provider ever stream embeddings."""
        return b"data: " + gemini_errors.render(error) + b"\r\n\r\n"


def _parameters(said: _Body) -> dict[str, bool | int | float | str]:
    parameters: dict[str, bool | int | float | str] = {}
    for name, value in (("outputDimensionality", said.dimensions), ("taskType", said.task_type)):
        if (kept := openai_body.small(value)) is not None:
            parameters[name] = kept
    try:
        if said.requests is not _ABSENT:
            parameters["requests"] = len(_lists.decode(said.requests))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # of a type that the provider will refuse
    return parameters
