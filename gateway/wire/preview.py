"""What a list shows of a recorded body, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.wire import (
    anthropic_words,
    gemini_words,
    log_words,
    openai_response_words,
    openai_words,
    passthrough_words,
)

ENOUGH_CHARS = 300
READ_BYTES = 64 * 1024
"""A longer stream is not read further for a preview."""

_WORDS: Mapping[str, Callable[[str, bytes], str]] = {
    "openai": openai_words.words,
    "openai.responses": openai_response_words.words,
    "anthropic": anthropic_words.words,
    "gemini": gemini_words.words,
    "log": log_words.words,
    **dict.fromkeys(
        ("openai.passthrough", "anthropic.passthrough", "gemini.passthrough"), passthrough_words.words
    ),
}
"""By a surface, or its first word."""


def preview(surface: str, content_type: str, body: bytes) -> str:
    """Return at most `ENOUGH_CHARS` characters; of a body that makes no sense, its beginning."""
    words = _WORDS.get(surface) or _WORDS.get(surface.partition(".")[0], openai_words.words)
    shown = words(content_type, body[:READ_BYTES] if content_type.startswith("text/event-stream") else body)
    return (shown or body[: ENOUGH_CHARS * 4].decode(errors="replace"))[:ENOUGH_CHARS]
