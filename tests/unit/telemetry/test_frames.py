"""The frames are those that msgspec makes, and say how long they are and whether they are whole."""

from __future__ import annotations

import zlib

import msgspec
import pytest

from telemetry import frames, segments
from telemetry.records import Answer, Attempt, Call, Frame, Opened, Outcome, Payload, Request, Settled

CALL = Call(call_id="c", started_at_us=1, surface="openai.chat", tags=("a", "b"), properties={"k": "v"})
OUTCOME = Outcome(
    status="error",
    http_status=500,
    attempts=(Attempt(deployment="d", provider="p", model="m"),),
    raw_usage=b"{}",
)
PAYLOAD = Payload(
    call_id="c", project="p", environment="e", started_at_us=1, surface="s", body=b"high tide", bytes_total=9
)


@pytest.mark.parametrize("frame", [Opened(CALL), Settled(CALL, OUTCOME), Request(PAYLOAD), Answer(PAYLOAD)])
def test_a_frame_says_how_long_it_is_and_holds_its_record_as_msgspec_packs_it(frame: Frame) -> None:
    record = msgspec.msgpack.encode(frame)
    assert frames.pack(frame) == segments.PREFIX.pack(len(record), zlib.crc32(record)) + record


@pytest.mark.parametrize(("kind", "frame"), [("request", Request(PAYLOAD)), ("answer", Answer(PAYLOAD))])
def test_a_body_becomes_the_frame_of_its_kind(kind: frames.Kind, frame: Frame) -> None:
    assert frames.BODIES[kind](PAYLOAD) == frame


def test_a_record_too_long_for_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="a record of"):
        frames.pack(Opened(msgspec.structs.replace(CALL, model="m" * segments.MAX_FRAME)))
