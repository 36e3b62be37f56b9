"""Reads an OpenAI answer that is one JSON document."""

from __future__ import annotations

from typing import Any

import msgspec

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


_decoder = msgspec.json.Decoder(_Answer)
_errors = msgspec.json.Decoder()


class DocumentReading:
    """Keeps references to the pieces as they pass and reads them once, at the end."""

    __slots__ = ("_finding", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._finding: Finding | None = None

    @property
    def began(self) -> bool:
        """Whether any byte of the document has been seen."""
        return bool(self._pieces)

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is."""
        if chunk:
            self._pieces.append(chunk)
        return chunk

    def end(self) -> bytes:
        """Read the document; hold nothing back."""
        self._finding = _read(self._pieces, complete=True)
        return b""

    def finding(self) -> Finding:
        """Say what the document says; `complete` only if it parses and the answer was ended."""
        return self._finding or _read(self._pieces, complete=False)


def _read(pieces: list[bytes], *, complete: bool) -> Finding:
    try:
        said = _decoder.decode(pieces[0] if len(pieces) == 1 else b"".join(pieces))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Finding()
    raw_usage = object_bytes(said.usage) if said.usage is not _ABSENT else b""
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
