from __future__ import annotations

import itertools
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.aws_event_stream import Damaged, Frame, Frames
from tests.fakes.clouds import frame, frames_by_aws

STREAM = frame("messageStart", b'{"role":"assistant"}') + frame("messageStop", b"{}") + frame("empty", b"")


def read(*chunks: bytes) -> list[Frame]:
    frames = Frames()
    return [found for chunk in chunks for found in frames.feed(chunk)]


def test_frames_are_what_awss_own_library_reads():
    theirs = [(headers[":event-type"], payload) for headers, payload in frames_by_aws(STREAM)]

    assert [(f.name, f.payload) for f in read(STREAM)] == theirs
    assert len(theirs) == 3


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_however_the_bytes_arrive_the_frames_are_the_same(places):
    cuts = [0, *sorted(places), len(STREAM)]

    assert read(*(STREAM[a:b] for a, b in itertools.pairwise(cuts))) == read(STREAM)


def test_byte_by_byte():
    assert read(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == read(STREAM)


def test_exceptions_and_errors_say_which_they_are():
    said = read(
        frame("throttlingException", b'{"message":"slow"}', kind="exception"),
        frame("Broken", b"it broke", kind="error"),
    )

    assert [(f.kind, f.name, f.payload) for f in said] == [
        ("exception", "throttlingException", b'{"message":"slow"}'),
        ("error", "Broken", b"it broke"),
    ]


@given(st.integers(0, len(STREAM) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(place, change):
    broken = bytearray(STREAM)
    broken[place] ^= change
    frames = Frames()

    try:
        found = frames.feed(bytes(broken))
    except Damaged:
        return
    assert found == read(STREAM)[: len(found)]
    assert len(found) < 3, "a frame that is larger than what came is waited for"


def test_a_cut_stream_leaves_a_rest():
    frames = Frames()

    frames.feed(STREAM[:-1])

    assert not frames.between
    assert [f.name for f in frames.feed(STREAM[-1:])] == ["empty"]
    assert frames.between


@pytest.mark.parametrize("total", [0, 15, 1 << 31])
def test_impossible_lengths_are_refused(total):
    start = struct.pack(">II", total, 0)

    with pytest.raises(Damaged):
        read(start + struct.pack(">I", zlib.crc32(start)) + b"1234")


@pytest.mark.parametrize("block", [b"\x05ab", b"\x01a\x63", b"\x01a\x07\x00\x09x", b"\x01\xff\x00", b"\x01a"])
def test_headers_that_make_no_sense_are_refused(block):
    start = struct.pack(">II", 16 + len(block), len(block))
    head = start + struct.pack(">I", zlib.crc32(start)) + block

    with pytest.raises(Damaged):
        read(head + struct.pack(">I", zlib.crc32(head)))


def test_headers_of_every_type_are_passed_over():
    kinds = {
        0: b"",
        1: b"",
        2: b"1",
        3: b"12",
        4: b"1234",
        5: b"1" * 8,
        6: b"\x00\x02ab",
        8: b"1" * 8,
        9: b"1" * 16,
    }
    block = b"".join(b"\x01k" + bytes([kind]) + value for kind, value in kinds.items())
    block += b"\x0b:event-type\x07\x00\x01x"
    start = struct.pack(">II", 16 + len(block), len(block))
    head = start + struct.pack(">I", zlib.crc32(start)) + block

    assert read(head + struct.pack(">I", zlib.crc32(head))) == [Frame("event", "x", b"")]
