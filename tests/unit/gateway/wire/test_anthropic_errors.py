from __future__ import annotations

import msgspec
import pytest

from gateway import errors
from gateway.errors import GatewayError
from gateway.wire.anthropic_errors import render


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.BadRequest("no"), "invalid_request_error"),
        (errors.Unauthenticated("no"), "authentication_error"),
        (errors.Forbidden("no"), "permission_error"),
        (errors.UnknownModel("no"), "not_found_error"),
        (errors.MethodNotAllowed("no"), "invalid_request_error"),
        (errors.TooSlow("no"), "timeout_error"),
        (errors.TooLarge("no"), "request_too_large"),
        (errors.Unavailable("no"), "overloaded_error"),
        (errors.Unreachable("no"), "api_error"),
        (errors.BrokenAnswer("no"), "api_error"),
        (errors.UpstreamTimeout("no"), "timeout_error"),
        (GatewayError("no"), "api_error"),
    ],
)
def test_an_error_has_the_type_that_anthropic_gives_its_status(error: GatewayError, kind: str) -> None:
    said = msgspec.json.decode(render(error))

    assert said == {
        "type": "error",
        "error": {"type": kind, "message": "no", "details": {"error_code": error.code}},
        "request_id": None,
    }


def test_an_error_names_its_request() -> None:
    error = errors.BadRequest("no")
    error.request_id = "r-1"

    assert msgspec.json.decode(render(error))["request_id"] == "r-1"
