"""What the hub's answers to a capture mean for what was brought."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.processes.capture import to_hub
from gateway.processes.remembering import CAPTURE
from telemetry.store.base import StoreRefused
from tests.fakes.provider import Provider, Script


def test_only_a_200_says_that_it_is_safe_and_only_a_422_that_it_never_will_be(tmp_path: Path) -> None:
    socket = tmp_path / "hub.sock"
    hand_over = to_hub(socket)
    with pytest.raises(OSError, match="No such file"):
        hand_over(b"x")
    answers = [Script(status=status, close=True) for status in (200, 422, 503, 404, 500)]
    answers.append(Script(raw=b"this is not HTTP\r\n\r\n", hang_up=True))
    with Provider(answers, path=str(socket)).in_thread() as hub:
        hand_over(b"said")
        with pytest.raises(StoreRefused):
            hand_over(b"said")
        for _ in answers[2:]:
            with pytest.raises(OSError, match="answer"):
                hand_over(b"said")
    assert {(request.method, request.path, request.body) for request in hub.requests} == {
        ("POST", CAPTURE, b"said")
    }
    assert len(hub.requests) == len(answers)
