from __future__ import annotations

import msgspec

from gateway.errors import BadRequest, UpstreamTimeout
from gateway.wire.openai_errors import event, render


def test_a_parameter_that_is_not_named_is_null():
    assert msgspec.json.decode(render(BadRequest("no")))["error"]["param"] is None


def test_an_event_is_one_line_even_if_the_message_has_several():
    said = event(UpstreamTimeout("a\nb", code="upstream_timeout_idle"))

    assert said.count(b"\n") == 2
    assert msgspec.json.decode(said[6:])["error"] == {
        "message": "a\nb",
        "type": "server_error",
        "param": None,
        "code": "upstream_timeout_idle",
    }
