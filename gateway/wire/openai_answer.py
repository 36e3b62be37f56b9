"""Reads an OpenAI answer that is one JSON document."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire import document
from gateway.wire.base import Finding
from gateway.wire.openai_usage import parse_usage

_ABSENT = msgspec.Raw(b"")


class _Choice(msgspec.Struct):
    index: Any = 0
    finish_reason: Any = None


class _Answer(msgspec.Struct):
    id: Any = ""
    model: Any = ""
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT
    service_tier: Any = ""


_decoder = msgspec.json.Decoder(_Answer)
_errors = msgspec.json.Decoder()


class DocumentReading(document.DocumentReading):
    """Reads a chat completion, or a list of embeddings."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_read)


def _read(body: bytes, complete: bool) -> Finding:  # noqa: FBT001 - as DocumentReading calls it
    try:
        said = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Finding()
    raw_usage = object_bytes(said.usage)
    reason: object = ""
    for choice in said.choices or ():
        if choice.finish_reason:
            reason = choice.finish_reason
            break
    return Finding(
        complete=complete,
        usage=parse_usage(raw_usage) if raw_usage else None,
        raw_usage=raw_usage,
        finish_reason=reason if isinstance(reason, str) else "",
        response_model=said.model if isinstance(said.model, str) else "",
        response_id=said.id if isinstance(said.id, str) else "",
        error=error_message(said.error) if said.error is not _ABSENT else "",
        service_tier=said.service_tier if isinstance(said.service_tier, str) else "",
    )


def object_bytes(raw: msgspec.Raw) -> bytes:
    """Return the JSON if it is an object, else nothing."""
    said = bytes(raw)
    return said if said.startswith(b"{") else b""


def text(value: object) -> str:
    """Return a value that should be a string, and is not always."""
    return value if isinstance(value, str) else ""


def error_message(raw: msgspec.Raw) -> str:
    """Return what an `error` member says, whatever its shape; empty for null."""
    said = bytes(raw)
    if not said or said == b"null":
        return ""
    try:
        value = _errors.decode(said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "error"
    if isinstance(value, dict):
        value = value.get("message") or value.get("code") or value.get("type")
    return value if isinstance(value, str) and value else "error"
