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


@pytest.mark.parametrize(
    ("frame", "record"),
    [
        (frames.opened(frames.pack(CALL)), Opened(CALL)),
        (frames.settled(frames.pack(CALL), OUTCOME), Settled(CALL, OUTCOME)),
        (frames.body("request", PAYLOAD), Request(PAYLOAD)),
        (frames.body("answer", PAYLOAD), Answer(PAYLOAD)),
    ],
)
def test_a_frame_holds_its_record_as_msgspec_packs_it(frame: bytes, record: Frame) -> None:
    packed = msgspec.msgpack.encode(record)
    assert frame == segments.PREFIX.pack(len(packed), zlib.crc32(packed)) + packed


def test_a_record_too_long_for_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="a record of"):
        frames.opened(bytes(segments.MAX_FRAME))
