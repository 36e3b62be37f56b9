"""What requests and answers say that are only passed on, for lists and previews."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire import sse

_SAID = ("text", "prompt", "input", "query", "instructions")
"""Of a transcription, of pictures and videos, of speech and moderations, of rerank, and of how to speak."""

_objects = msgspec.json.Decoder(dict[str, Any])
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def words(content_type: str, body: bytes) -> str:
    """Return the words of a body; of one that is no JSON object, the text as it is."""
    if content_type.startswith("text/event-stream"):
        return "".join(_delta(event) for event in _events(body))
    if not body.lstrip(b" \t\r\n").startswith(b"{"):
        return body.decode(errors="replace") if content_type.startswith("text/") else ""
    try:
        said = _objects.decode(body)
    except _UNREADABLE:
        return ""
    return "\n".join(_text(said[name]) for name in _SAID if _text(said.get(name)))


def _text(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _events(body: bytes) -> list[bytes]:
    events, at = [], 0
    while at < len(body):
        end = sse.end_of(body, at)
        events.append(sse.data_of(body[at:end]))
        at = end
    return events


def _delta(event: bytes) -> str:
    try:
        said = _objects.decode(event)
    except _UNREADABLE:
        return ""
    return _text(said.get("delta"))
