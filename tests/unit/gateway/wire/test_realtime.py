from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from gateway.wire.realtime import RAW_BYTES, RealtimeReading, live_usage, realtime_usage
from telemetry.records import Usage
from tests.fakes.sockets import LIVE_USAGE, REALTIME_USAGE


def text(said: Any) -> bytes:
    return Frame(Opcode.TEXT, msgspec.json.encode(said)).serialize(mask=False)


def done(usage: Any) -> bytes:
    return text({"type": "response.done", "response": {"id": "r", "usage": usage}})


def test_the_usage_of_a_session_is_the_sum_of_its_answers():
    reading = RealtimeReading("openai")
    chunk = text({"type": "session.created", "session": {"id": "sess_1", "model": "gpt-realtime"}})
    chunk += done(REALTIME_USAGE) + done(REALTIME_USAGE) + done(None) + text({"type": "response.done"})

    assert reading.feed(chunk) == chunk
    found = reading.finding()
    assert found.usage == Usage(
        input_uncached=116, cache_read=128, input_audio=20, output_text=60, output_audio=182
    )
    assert (found.response_id, found.response_model) == ("sess_1", "gpt-realtime")
    assert len(msgspec.json.decode(found.raw_usage)) == 2
    assert (found.complete, found.finish_reason, found.usage_due) == (False, "", "untold")


def test_geminis_usage_is_in_words_of_its_own():
    reading = RealtimeReading("gemini")
    setup = Frame(Opcode.TEXT, b'{"setup":{"model":"models/gemini-live"}}').serialize(mask=True)
    reading.heard(setup)
    told = msgspec.json.encode({"serverContent": {}, "usageMetadata": LIVE_USAGE})
    reading.feed(Frame(Opcode.BINARY, told).serialize(mask=False))

    assert (reading.model, reading.finding().response_model) == ("gemini-live", "gemini-live")
    assert reading.finding().usage == Usage(input_uncached=30, input_audio=10, output_audio=25)


@pytest.mark.parametrize("side", ["heard", "feed"])
def test_the_first_close_says_how_it_ended(side):
    reading = RealtimeReading("openai")
    for code in (4001, 1000):
        getattr(reading, side)(Frame(Opcode.CLOSE, Close(code, "").serialize()).serialize(mask=False))

    assert (reading.finding().finish_reason, reading.finding().complete) == ("close_4001", True)


def test_raw_usage_is_kept_up_to_a_bound_and_still_summed():
    reading = RealtimeReading("openai")
    long = {**REALTIME_USAGE, "note": "x" * (RAW_BYTES // 2)}
    for _ in range(3):
        reading.feed(done(long))

    assert len(reading.finding().raw_usage) < RAW_BYTES
    usage = reading.finding().usage
    assert usage is not None
    assert usage.output_audio == 3 * 91


@given(st.binary(max_size=300))
def test_no_message_makes_it_fail(said):
    for family in ("openai", "gemini"):
        reading = RealtimeReading(family)
        for payload in (said, b'{"response":{"usage":%b},"usageMetadata":%b}"response.done"' % (said, said)):
            reading.feed(Frame(Opcode.TEXT, payload).serialize(mask=False))
            reading.heard(Frame(Opcode.TEXT, payload).serialize(mask=True))
        reading.feed(said)
        reading.finding()


@given(st.integers(-5, 500), st.integers(-5, 500), st.integers(-5, 500), st.integers(-5, 500))
def test_details_never_exceed_their_total(total, cached, audio, spoken):
    usage = realtime_usage(
        msgspec.json.encode(
            {
                "input_tokens": total,
                "output_tokens": total,
                "input_token_details": {"cached_tokens": cached, "audio_tokens": audio},
                "output_token_details": {"audio_tokens": spoken},
            }
        )
    )

    assert (usage is None) is (total < 0)
    if usage is not None:
        assert (usage.input_total, usage.output_total) == (total, total)
        assert min(getattr(usage, name) for name in Usage.__struct_fields__) >= 0


@pytest.mark.parametrize("raw", [b"[]", b"\xff", b'{"input_tokens":"x"}', b'{"input_tokens":1e300}'])
def test_what_is_no_usage_is_none(raw):
    assert realtime_usage(raw) is None
    assert live_usage(raw) is None
