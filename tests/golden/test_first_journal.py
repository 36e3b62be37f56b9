"""The format of the journal is frozen: what its first version wrote is read, and would be written, as it was.

`first-journal.seg` was written by that version, with something in every field it had.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from telemetry import frames, segments
from telemetry.records import (
    Answer,
    Attempt,
    Call,
    Cost,
    Frame,
    Opened,
    Outcome,
    Payload,
    Request,
    Settled,
    Usage,
)

FIRST = Path(__file__).with_name("first-journal.seg")
CALL = Call(
    call_id="019a9f00-0000-7000-8000-000000000001",
    started_at_us=1763683200000000,
    surface="openai.chat",
    operation="chat",
    project="shop",
    environment="prod",
    key_id="backend",
    user_id="ada",
    agent_id="pilot",
    event_id="run-7",
    event_id_made=True,
    thread_id="t-1",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    parent_span_id="b7ad6b7169203331",
    step="synthesis",
    tags=("a", "b"),
    properties={"ship": "Albatross"},
    model="smart",
    route="smart",
    stream=True,
    parameters={"n": 1, "top_p": 0.5, "store": True, "user": "ada"},
    request_bytes=42,
    gateway="0.1.0",
)
ATTEMPT = Attempt(
    deployment="openai/gpt-5",
    provider="openai",
    model="gpt-5",
    started_us=1,
    connected_us=2,
    first_byte_us=3,
    ended_us=4,
    reused=True,
    http_status=200,
    request_id="req_1",
    error_type="T",
    error_message="M",
    sent_sha256="ab" * 32,
)
OUTCOME = Outcome(
    status="ok",
    http_status=200,
    error_type="E",
    error_code="e",
    error_message="said",
    provider="openai",
    deployment="openai/gpt-5",
    response_model="gpt-5-2025",
    response_id="chatcmpl-1",
    finish_reason="stop",
    attempts=(ATTEMPT,),
    first_byte_us=5,
    first_token_us=6,
    total_us=7,
    overhead_us=8,
    usage=Usage(
        input_uncached=1,
        cache_read=2,
        cache_write_5m=3,
        cache_write_1h=4,
        input_audio=5,
        input_image=6,
        output_text=7,
        output_reasoning=8,
        output_audio=9,
    ),
    usage_source="provider",
    raw_usage=b'{"prompt_tokens":1}',
    cost=Cost(
        total_nano_usd=1234,
        lines={"input_uncached": 1000, "output_text": 234},
        price_row="openai/gpt-5",
        price_version="v1",
        reason="because",
    ),
    response_bytes=99,
    capture="cut",
)
ASKED = Payload(
    call_id=CALL.call_id,
    project="shop",
    environment="prod",
    started_at_us=CALL.started_at_us,
    surface="openai.chat",
    content_type="application/json",
    body=b"high tide",
    bytes_total=9,
    sha256="cd" * 32,
    redactions=1,
)
FRAMES: list[Frame] = [
    Opened(CALL),
    Request(ASKED),
    Settled(CALL, OUTCOME),
    Answer(msgspec.structs.replace(ASKED, body=b"low\xfftide")),
]


def test_what_the_first_version_wrote_is_read_as_it_was_meant() -> None:
    batch = segments.read(FIRST, 0, limit_bytes=1 << 20)

    assert [frame for _, frame in batch.frames] == FRAMES
    assert (batch.bad, batch.torn) == ([], False)


def test_the_same_is_written_under_the_same_names_today() -> None:
    header = segments.header("worker-0-1", 0, CALL.started_at_us)
    ends = [end for end, _ in segments.read(FIRST, 0, limit_bytes=1 << 20).frames]
    whole = FIRST.read_bytes()

    assert whole.startswith(header)
    theirs = [whole[start:end] for start, end in pairwise([len(header), *ends])]
    assert [plain(frames.pack(frame)) for frame in FRAMES] == [plain(frame) for frame in theirs]


def plain(frame: bytes) -> Any:
    """What a reader that knows no records finds."""
    return msgspec.msgpack.decode(frame[segments.PREFIX.size :])
