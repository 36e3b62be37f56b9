"""Errors the way OpenAI's clients expect them.

Source: https://platform.openai.com/docs/guides/error-codes (2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.errors import GatewayError, Refused

_TYPES: Mapping[int, str] = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
"""Of refusals that another API gave, and so without a type of OpenAI's."""


class _Detail(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _Envelope(msgspec.Struct):
    error: _Detail


def render(error: GatewayError) -> bytes:
    """Return the JSON body of an error answer."""
    return msgspec.json.encode(_Envelope(_detail(error)))


def event(error: GatewayError) -> bytes:
    """Return the error as one more event of a stream; OpenAI's clients raise APIError when they see it."""
    return b"data: " + render(error) + b"\n\n"


def typed_event(error: GatewayError) -> bytes:
    """Return the error as one more event of a stream of typed events.

    Its fields stand where OpenAI documents them, and once more under `error`, where its Python client looks. It has
    no `sequence_number`: whoever asks for the rest of the stream shall count from the provider's last one.
    """
    detail = _detail(error)
    said = {"type": "error", "code": detail.code, "message": detail.message, "param": detail.param}
    return b"event: error\ndata: " + msgspec.json.encode({**said, "error": detail}) + b"\n\n"


def _detail(error: GatewayError) -> _Detail:
    kind = error.type
    if isinstance(error, Refused) and error.status < 500:
        kind = _TYPES.get(error.status, "invalid_request_error")
    return _Detail(message=str(error), type=kind, param=error.param or None, code=error.code or None)
