from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from gateway.wire.websocket_frames import (
    BINARY,
    CLOSE,
    TEXT,
    FrameReader,
    Message,
    close_code,
    close_frame,
    unmasked,
)


def written(opcode: Opcode, payload: bytes, *, last: bool = True, mask: bool = False) -> bytes:
    """A frame as another library writes it."""
    return Frame(opcode, payload, fin=last).serialize(mask=mask)


def read(data: bytes, cuts: list[int], **options: int) -> tuple[list[Message], FrameReader]:
    reader = FrameReader(**options)
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [found for a, b in itertools.pairwise(places) for found in reader.feed(data[a:b])], reader


PARTS = st.lists(st.binary(max_size=300) | st.integers(65_530, 65_540).map(bytes), min_size=1, max_size=3)
MESSAGES = st.lists(
    st.tuples(st.sampled_from([TEXT, BINARY]), PARTS, st.booleans(), st.booleans()), max_size=4
)


@given(MESSAGES, st.lists(st.integers(0, 200_000), max_size=6), st.booleans())
def test_messages_are_what_another_library_wrote_however_they_are_cut(messages, cuts, mask):
    data = b""
    for opcode, parts, ping, _ in messages:
        for index, part in enumerate(parts):
            kind = Opcode(opcode) if index == 0 else Opcode.CONT
            data += written(kind, part, last=index == len(parts) - 1, mask=mask)
            if ping:
                data += written(Opcode.PING, b"still there?", mask=mask)
    data += written(Opcode.CLOSE, Close(4000, "done").serialize(), mask=mask)

    found, reader = read(data, cuts)

    expected = [Message(opcode, b"".join(parts)) for opcode, parts, _, _ in messages]
    assert found[:-1] == expected
    assert (found[-1].opcode, close_code(found[-1].payload)) == (CLOSE, 4000)
    assert (reader.closed, reader.whole, reader.broken) == (True, True, False)


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 200))
def test_no_bytes_make_it_fail_or_hold_more_than_a_message(chunks, most):
    reader = FrameReader(most=most)

    for chunk in chunks:
        for message in reader.feed(chunk):
            assert len(message.payload) <= max(most, 125)
        assert 0 <= reader.boundary <= len(chunk)
        assert not (reader.broken and reader.whole)


def test_a_message_that_is_too_long_passes_unread_and_the_next_is_read():
    long = written(Opcode.TEXT, b"a" * 60, last=False) + written(Opcode.CONT, b"a" * 60)
    found, reader = read(long + written(Opcode.TEXT, b"b"), [], most=100)

    assert found == [Message(TEXT, b"b")]
    assert reader.whole


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1\x00",  # compressed, and nobody agreed to that
        b"\x83\x00",  # no such kind of frame
        b"\x80\x00",  # goes on with nothing
        b"\x01\x01a\x81\x01b",  # a message within another
        b"\x09\x00",  # a ping in parts
        b"\x89\x7e\x00\x80",  # a long ping
        b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
)
def test_what_is_no_frame_ends_the_reading(data):
    found, reader = read(data + b"\x81\x01c", [])

    assert (found, reader.broken, reader.whole) == ([], True, False)


def test_the_boundary_is_where_the_last_frame_of_a_chunk_ends():
    reader = FrameReader()
    first, second = written(Opcode.TEXT, b"one"), written(Opcode.TEXT, b"two")

    assert (reader.feed(first[:2]), reader.boundary, reader.whole) == ([], 0, False)
    reader.feed(first[2:] + second + first[:1])
    assert (reader.boundary, reader.whole) == (len(first) - 2 + len(second), False)


@given(st.integers(1000, 4999), st.text(max_size=200), st.sampled_from([b"", b"\1\2\3\4"]))
def test_a_close_frame_of_ours_is_read_as_it_was_meant(code, reason, mask):
    found, reader = read(close_frame(code, reason, mask=mask), [])

    assert close_code(found[0].payload) == code
    assert found[0].payload[2:] == reason.encode()[:123]
    assert reader.closed


def test_a_close_frame_without_a_code_has_the_one_for_that():
    assert close_code(b"") == 1005


@given(st.binary(max_size=100), st.binary(min_size=4, max_size=4))
def test_a_mask_taken_off_twice_is_none(payload, mask):
    assert unmasked(unmasked(payload, mask), mask) == payload
    assert unmasked(payload, mask) == bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
