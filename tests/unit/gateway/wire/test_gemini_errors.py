from __future__ import annotations

import msgspec
import pytest

from gateway.errors import BadRequest, Forbidden, GatewayError, Unauthenticated, Unavailable, UnknownModel
from gateway.wire import gemini_errors


def said(error: GatewayError) -> dict[str, object]:
    shown: dict[str, object] = msgspec.json.decode(gemini_errors.render(error))["error"]
    return shown


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (BadRequest("no"), 400, "INVALID_ARGUMENT"),
        (Unauthenticated("no"), 401, "UNAUTHENTICATED"),
        (Forbidden("no"), 403, "PERMISSION_DENIED"),
        (UnknownModel("no"), 404, "NOT_FOUND"),
        (Unavailable("no"), 503, "UNAVAILABLE"),
        (GatewayError("no"), 500, "INTERNAL"),
    ],
)
def test_an_error_has_googles_names(error, code, status):
    shown = said(error)

    assert (shown["code"], shown["status"], shown["message"]) == (code, status, "no")


def test_our_own_code_and_the_time_to_wait_stand_in_the_details():
    details = said(Unavailable("no", retry_after_s=2.4))["details"]

    assert details == [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "UNAVAILABLE", "domain": "tidegate"},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"},
    ]
