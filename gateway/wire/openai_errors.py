"""Errors the way OpenAI's clients expect them.

Source: https://platform.openai.com/docs/guides/error-codes (2026-11).
"""

from __future__ import annotations

import msgspec

from gateway.errors import GatewayError


class _Detail(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _Envelope(msgspec.Struct):
    error: _Detail


def render(error: GatewayError) -> bytes:
    """Return the JSON body of an error answer."""
    detail = _Detail(message=str(error), type=error.type, param=error.param or None, code=error.code or None)
    return msgspec.json.encode(_Envelope(detail))


def event(error: GatewayError) -> bytes:
    """Return the error as one more event of a stream; OpenAI's clients raise APIError when they see it."""
    return b"data: " + render(error) + b"\n\n"


def typed_event(error: GatewayError) -> bytes:
    """Return the error as one more event of a stream of typed events.

    Its fields stand where OpenAI documents them, and once more under `error`, where its Python client looks. It has
    no `sequence_number`: whoever asks for the rest of the stream shall count from the provider's last one.
    """
    detail = _Detail(message=str(error), type=error.type, param=error.param or None, code=error.code or None)
    said = {"type": "error", "code": detail.code, "message": detail.message, "param": detail.param}
    return b"event: error\ndata: " + msgspec.json.encode({**said, "error": detail}) + b"\n\n"
