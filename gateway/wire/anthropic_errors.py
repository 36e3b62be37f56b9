"""Errors the way Anthropic's clients expect them.

Our own code stands where their newer clients look for one, in `details.error_code`; an unknown code is read as
the bare type. Source: https://docs.anthropic.com/en/api/errors and anthropic-sdk-python 2.12.0,
_exceptions.py (2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.errors import GatewayError

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class _Details(msgspec.Struct):
    error_code: str


class _Error(msgspec.Struct):
    type: str
    message: str
    details: _Details


class _Envelope(msgspec.Struct):
    error: _Error
    request_id: str | None
    type: str = "error"


def render(error: GatewayError) -> bytes:
    """Return the JSON body of an error answer."""
    kind = _TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "api_error")
    said = _Error(kind, str(error), _Details(error.code))
    return msgspec.json.encode(_Envelope(said, error.request_id or None))


def event(error: GatewayError) -> bytes:
    """Return the error as one more event of a stream; Anthropic's clients raise APIStatusError when they see it."""
    return b"event: error\ndata: " + render(error) + b"\n\n"
