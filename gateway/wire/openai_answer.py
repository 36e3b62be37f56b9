"""Reads an OpenAI answer that is one JSON document."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from gateway.wire.base import Finding
from gateway.wire.openai_usage import parse_usage

_INFLATED_LIMIT = 64 << 20


class _Choice(msgspec.Struct):
    index: Any = 0
    finish_reason: Any = None


class _Answer(msgspec.Struct):
    id: Any = ""
    model: Any = ""
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")


_decoder = msgspec.json.Decoder(_Answer)
_errors = msgspec.json.Decoder()


class DocumentReading:
    """Keeps references to the pieces as they pass and reads them once, at the end."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._ended = False

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
        """Hold nothing back."""
        self._ended = True
        return b""

    def finding(self) -> Finding:
        """Read the document; `complete` only if it parses and the answer was ended."""
        document = inflated(self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces))
        try:
            said = _decoder.decode(document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Finding()
        raw_usage = object_bytes(said.usage)
        return Finding(
            complete=self._ended,
            usage=parse_usage(raw_usage) if raw_usage else None,
            raw_usage=raw_usage,
            finish_reason=next((text(c.finish_reason) for c in said.choices or () if c.finish_reason), ""),
            response_model=text(said.model),
            response_id=text(said.id),
            error=error_message(said.error),
        )


def inflated(document: bytes) -> bytes:
    """Undo gzip or deflate, which JSON never looks like; an empty document if that fails."""
    if not document.startswith((b"\x1f\x8b", b"\x78")):
        return document
    try:
        return zlib.decompressobj(wbits=47).decompress(document, _INFLATED_LIMIT)
    except zlib.error:
        return b""


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
