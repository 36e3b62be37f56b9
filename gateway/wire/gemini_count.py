"""Gemini's counting of tokens: `:countTokens`; nothing is generated, nothing billed.

Source: https://ai.google.dev/api/tokens (2026-11).
"""

from __future__ import annotations

import msgspec

from gateway.errors import GatewayError
from gateway.wire import gemini_body, gemini_errors, openai_body
from gateway.wire.base import Peek, Reading
from gateway.wire.claiming import Claiming, claimed
from gateway.wire.gemini_answer import DocumentReading


class _Body(Claiming):
    pass


_bodies = msgspec.json.Decoder(_Body)


class GeminiCount:
    """The format in which tokens are counted; it has no streams."""

    surface = "gemini.count"
    operation = "count_tokens"
    stream_type = "text/event-stream"

    def peek(self, body: bytes, *, model: str = "") -> Peek:
        """Read what recording needs."""
        claims, control = claimed(openai_body.decode(_bodies, body))
        return Peek(model=model, claims=claims, control=control)

    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:  # noqa: ARG002 - no streams
        """Return the body for `model`."""
        return gemini_body.rewrite(body, model=model, drop=drop)

    def conversation(self, body: bytes) -> None:
        """Say that there is no place for memories."""

    def reading(self, *, stream: bool, strip_usage: bool) -> Reading:  # noqa: ARG002 - no streams
        """Return a reader for one answer."""
        return DocumentReading()

    def words(self, content_type: str, body: bytes) -> str:  # noqa: ARG002 - a number says nothing
        """Return nothing."""
        return ""

    def error(self, error: GatewayError) -> bytes:
        """Render an error as Gemini does."""
        return gemini_errors.render(error)

    def broken(self, error: GatewayError) -> bytes:
        """Render an error as an event, should a provider ever stream a count."""
        return b"data: " + gemini_errors.render(error) + b"\r\n\r\n"
