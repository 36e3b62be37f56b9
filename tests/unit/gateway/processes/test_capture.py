"""What the hub's answers to a capture mean for what was brought."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.processes.capture import reading, reading_of, to_hub
from gateway.processes.remembering import CAPTURE, WORKED
from gateway.recollection import Span
from memory.jobs import Worked
from telemetry.questions import Range, Scope
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


WORK = Worked(
    jobs=10,
    states={"done": 6, "dead": 2, "waiting": 1, "working": 1},
    outcomes={"extracted": 4, "no_cue": 2},
    failing=1,
    refused=4,
    proposed=20,
    grounded=19,
    events={"ADD": 5, "NONE": 2, "MERGE": 1},
    took_us=[1.0, 2.0, 3.0, 4.0],
)


def test_what_the_memory_tells_of_its_jobs_becomes_shares() -> None:
    told = reading(WORK)
    assert (told.done, told.open, told.dead, told.failing) == (6, 2, 2, 1)
    assert (told.failure_rate, told.valid_rate, told.grounded_rate) == (0.25, 0.5, 0.95)
    assert (told.facts, told.duplicates, told.dedup_rate) == (8, 3, 0.375)
    assert (told.write_us.p50, told.write_us.p99) == (1, 4)
    nothing = reading(
        Worked(
            jobs=0,
            states={},
            outcomes={},
            failing=0,
            refused=0,
            proposed=0,
            grounded=0,
            events={},
            took_us=[],
        )
    )
    assert (nothing.failure_rate, nothing.dedup_rate, nothing.valid_rate) == (None, None, None)
    assert nothing.write_us.p50 is None


def test_a_memory_that_does_not_answer_is_no_reading(tmp_path: Path) -> None:
    socket = tmp_path / "hub.sock"
    ask = reading_of(socket)
    who, within = Scope(project="p", environment="prod", open=True), Range(3, 9)
    assert ask(who, within) is None
    answers = [Script(status=200, body=msgspec.json.encode(WORK), close=True), Script(status=503, close=True)]
    with Provider(answers, path=str(socket)).in_thread() as hub:
        assert ask(who, within) == reading(WORK)
        assert ask(who, within) is None
    assert hub.requests[0].path == WORKED
    assert msgspec.json.decode(hub.requests[0].body, type=Span) == Span(
        project="p", environment="prod", everybodys=True, from_us=3, to_us=9
    )
