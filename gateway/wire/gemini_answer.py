"""What one `GenerateContentResponse` says, be it a whole answer or an event of a stream.

Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire import document
from gateway.wire.base import Finding
from gateway.wire.gemini_usage import parse_usage, service_tier

_ABSENT = msgspec.Raw(b"")
_REASONS = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
"""Vertex may send enum values as numbers (recorded 2025-08); from 6 on, they differ between its API and this one."""
_UNNAMED = 100
_NO_REASON = ("", "FINISH_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED")


class Candidate(msgspec.Struct, rename="camel"):
    """One of the alternatives."""

    index: Any = 0
    finish_reason: Any = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: Any = None


class Response(msgspec.Struct, rename="camel"):
    """An answer or an event."""

    candidates: list[Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: msgspec.Raw = _ABSENT
    model_version: Any = None
    response_id: Any = None
    error: msgspec.Raw = _ABSENT

    @property
    def blocked(self) -> str:
        """Why the prompt was not answered at all; empty if it was."""
        return reason(self.prompt_feedback.block_reason) if self.prompt_feedback else ""

    @property
    def model(self) -> str:
        """The model that answered."""
        return self.model_version.removeprefix("models/") if isinstance(self.model_version, str) else ""

    @property
    def id(self) -> str:
        """The provider's name for this answer."""
        return self.response_id if isinstance(self.response_id, str) else ""

    @property
    def usage(self) -> bytes:
        """The usage object as JSON, if there is one."""
        said = bytes(self.usage_metadata)
        return said if said.startswith(b"{") else b""

    @property
    def failure(self) -> str:
        """The message of an error that came in place of an answer."""
        return _message(bytes(self.error))


_responses = msgspec.json.Decoder(Response)
_values = msgspec.json.Decoder()


def decode(data: bytes) -> Response | None:
    """Read a response; None if this is not one."""
    try:
        return _responses.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def reason(value: object) -> str:
    """Return the name of a reason to finish or to block; empty if it is none."""
    if isinstance(value, int):
        return _REASONS.get(value) or (str(value) if 0 < value < _UNNAMED else "")
    return value if isinstance(value, str) and value not in _NO_REASON else ""


class DocumentReading(document.DocumentReading):
    """Reads an answer that is one document: a completion, embeddings, or a number of tokens."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_read)


def _read(body: bytes, complete: bool) -> Finding:  # noqa: FBT001 - as DocumentReading calls it
    said = decode(body)
    if said is None:
        return Finding()
    first = next((c for c in said.candidates or () if c.index in (0, None)), None)
    usage = said.usage
    return Finding(
        complete=complete,
        usage=parse_usage(usage) if usage else None,
        raw_usage=usage,
        finish_reason=(reason(first.finish_reason) if first else "") or said.blocked,
        response_model=said.model,
        response_id=said.id,
        error=said.failure,
        service_tier=service_tier(usage),
    )


def _message(error: bytes) -> str:
    if not error or error == b"null":
        return ""
    try:
        value = _values.decode(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "error"
    if isinstance(value, dict):
        value = value.get("message") or value.get("status")
    return value if isinstance(value, str) and value else "error"
