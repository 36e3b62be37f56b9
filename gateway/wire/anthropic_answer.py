"""Reads an Anthropic answer that is one JSON document."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire.anthropic_usage import parse_usage, service_tier
from gateway.wire.base import Finding
from gateway.wire.openai_answer import error_message, object_bytes, text

_ABSENT = msgspec.Raw(b"")


class _Message(msgspec.Struct):
    id: Any = ""
    model: Any = ""
    stop_reason: Any = None
    usage: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT


_messages = msgspec.json.Decoder(_Message)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_message(body: bytes, complete: bool) -> Finding:  # noqa: FBT001 - as DocumentReading calls it
    """Read a message, or the count of tokens, which is no usage."""
    try:
        said = _messages.decode(body)
    except _UNREADABLE:
        return Finding()
    raw_usage = object_bytes(said.usage)
    return Finding(
        complete=complete,
        usage=parse_usage(raw_usage) if raw_usage else None,
        raw_usage=raw_usage,
        finish_reason=text(said.stop_reason),
        response_model=text(said.model),
        response_id=text(said.id),
        error=error_message(said.error),
        service_tier=service_tier(raw_usage),
    )
