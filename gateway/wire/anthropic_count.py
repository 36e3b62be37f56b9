"""Anthropic's counting of tokens: `POST /v1/messages/count_tokens`; nothing is generated, nothing billed.

Source: https://docs.anthropic.com/en/docs/build-with-claude/token-counting (2026-11).
"""

from __future__ import annotations

import msgspec

from gateway.errors import GatewayError
from gateway.wire import anthropic_errors, openai_body
from gateway.wire.anthropic_answer import read_message
from gateway.wire.base import Peek, Reading
from gateway.wire.claiming import Claiming, claimed
from gateway.wire.document import DocumentReading


class _Body(Claiming):
    model: str | None = None


_bodies = msgspec.json.Decoder(_Body)


class AnthropicCount:
    """The format in which tokens are counted; it has no streams."""

    surface = "anthropic.count_tokens"
    operation = "count_tokens"
    stream_type = "text/event-stream"

    def peek(self, body: bytes, *, model: str = "") -> Peek:  # noqa: ARG002 - the body names it
        """Read what routing needs."""
        said = openai_body.decode(_bodies, body)
        claims, control = claimed(said)
        return Peek(model=openai_body.check_model(said.model), claims=claims, control=control)

    def rewrite(self, body: bytes, *, model: str, ask_usage: bool, drop: tuple[str, ...] = ()) -> bytes:  # noqa: ARG002 - no streams
        """Return the body asking for `model`."""
        return openai_body.rewrite(body, model=model, ask_usage=False, drop=drop)

    def conversation(self, body: bytes) -> None:
        """Say that there is no place for memories."""

    def reading(self, *, stream: bool, strip_usage: bool) -> Reading:  # noqa: ARG002 - no streams
        """Return a reader for one answer."""
        return DocumentReading(read_message)

    def words(self, content_type: str, body: bytes) -> str:  # noqa: ARG002 - a number says nothing
        """Return nothing."""
        return ""

    def error(self, error: GatewayError) -> bytes:
        """Render an error as Anthropic does."""
        return anthropic_errors.render(error)

    def broken(self, error: GatewayError) -> bytes:
        """Render an error as an event, should a provider ever stream a count."""
        return anthropic_errors.event(error)
