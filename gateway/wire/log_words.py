"""The words of a log that somebody sent: what was asked last, or what was answered."""

from __future__ import annotations

from typing import Any

import msgspec

_ASKED = ("prompt_messages", "messages", "input", "full_request")
_ANSWERED = ("output", "completion_message", "completion_messages", "full_response")

_objects = msgspec.json.Decoder(dict[str, Any])


def words(content_type: str, body: bytes) -> str:  # noqa: ARG001  # as every format's
    """Return the words, as far as the log makes sense."""
    try:
        said = _objects.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return next((found for name in (*_ASKED, *_ANSWERED) if (found := _text(said.get(name)))), "")


def _text(value: object) -> str:
    """Return a text, the content of a message, or that of the last message in a list."""
    if isinstance(value, list):
        return next((found for each in reversed(value) if (found := _text(each))), "")
    if isinstance(value, dict):
        return _text(value.get("content") or value.get("text"))
    return value if isinstance(value, str) else ""
