"""Errors the way Gemini's clients expect them.

Source: https://google.aip.dev/193 and https://ai.google.dev/gemini-api/docs/troubleshooting (2026-11).
"""

from __future__ import annotations

import msgspec

from gateway.errors import GatewayError

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class _Info(msgspec.Struct):
    """`google.rpc.ErrorInfo`: the error's code in the gateway's own words."""

    type: str = msgspec.field(default="type.googleapis.com/google.rpc.ErrorInfo", name="@type")
    reason: str = ""
    domain: str = "tidegate"


class _Retry(msgspec.Struct):
    type: str = msgspec.field(default="type.googleapis.com/google.rpc.RetryInfo", name="@type")
    delay: str = msgspec.field(default="", name="retryDelay")


class _Detail(msgspec.Struct):
    code: int
    message: str
    status: str
    details: list[_Info | _Retry]


class _Envelope(msgspec.Struct):
    error: _Detail


def render(error: GatewayError) -> bytes:
    """Return the JSON body of an error answer."""
    details: list[_Info | _Retry] = [_Info(reason=error.code.upper())]
    if error.retry_after_s is not None:
        details.append(_Retry(delay=f"{max(1, round(error.retry_after_s))}s"))
    status = _STATUSES.get(error.status, "UNKNOWN")
    return msgspec.json.encode(_Envelope(_Detail(error.status, str(error), status, details)))
