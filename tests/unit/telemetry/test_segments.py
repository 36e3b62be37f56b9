"""Frames are read as they were written, and nothing else ever is."""

from __future__ import annotations

import fcntl
import os
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry import segments
from telemetry.records import Answer, Call, Frame, Opened, Outcome, Payload, Request, Settled

WHOLE = 1 << 30


def call(call_id: str) -> Call:
    return Call(call_id=call_id, started_at_us=1, surface="openai.chat")


def payload(body: bytes) -> Payload:
    return Payload(call_id="c", project="p", environment="e", started_at_us=1, surface="s", body=body)


def framed(frame: Frame) -> bytes:
    told = msgspec.msgpack.encode(frame)
    return segments.PREFIX.pack(len(told), zlib.crc32(told)) + told


HEADER = segments.header("w", 0, 5)
FRAMES: list[Frame] = [
    Opened(call("a")),
    Request(payload(b"hello")),
    Settled(call("a"), Outcome(status="ok")),
    Answer(payload(b"bye")),
]
PIECES = [framed(frame) for frame in FRAMES]
SEGMENT = HEADER + b"".join(PIECES)
ENDS = [len(HEADER) + sum(map(len, PIECES[: n + 1])) for n in range(len(PIECES))]

FRAME = st.one_of(
    st.builds(lambda text: Opened(call(text)), st.text(max_size=20)),
    st.builds(lambda body: Request(payload(body)), st.binary(max_size=200)),
    st.builds(lambda text: Settled(call(text), Outcome(status="error", error_message=text)), st.text()),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / segments.name("w", 0)


def read(path: Path, data: bytes, offset: int = 0, limit_bytes: int = WHOLE) -> segments.Batch:
    path.write_bytes(data)
    return segments.read(path, offset, limit_bytes=limit_bytes)


def test_frames_come_back_with_their_end_offsets(path: Path) -> None:
    batch = read(path, SEGMENT)
    assert batch.frames == list(zip(ENDS, FRAMES, strict=True))
    assert (batch.next_offset, batch.torn, batch.bad) == (len(SEGMENT), False, [])


@pytest.mark.parametrize("limit_bytes", [1, 8, 60, 200, WHOLE])
def test_reading_in_batches_of_any_size_gives_the_same_frames(path: Path, limit_bytes: int) -> None:
    path.write_bytes(SEGMENT)
    offset, frames = 0, []
    while offset < len(SEGMENT):
        batch = segments.read(path, offset, limit_bytes=limit_bytes)
        assert batch.frames
        assert not batch.torn
        frames += batch.frames
        offset = batch.next_offset
    assert frames == list(zip(ENDS, FRAMES, strict=True))


def test_a_small_limit_reads_no_more_than_it_must(path: Path) -> None:
    assert len(read(path, SEGMENT, limit_bytes=1).frames) == 1


def test_a_file_cut_at_any_byte_holds_the_frames_before_the_cut(path: Path) -> None:
    for length in range(len(SEGMENT)):
        batch = read(path, SEGMENT[:length])
        whole = [end for end in ENDS if end <= length]
        assert [end for end, _ in batch.frames] == whole
        assert [frame for _, frame in batch.frames] == FRAMES[: len(whole)]
        assert batch.torn == (length > 0 and length not in (len(HEADER), *ENDS))
        assert not batch.bad


def test_a_changed_byte_never_makes_a_wrong_frame(path: Path) -> None:
    for position in range(len(SEGMENT)):
        for change in (0x01, 0x80, 0xFF):
            data = bytearray(SEGMENT)
            data[position] ^= change
            batch = read(path, bytes(data))
            assert all(frame in FRAMES for _, frame in batch.frames)
            if position >= len(HEADER):
                hit = next(n for n, end in enumerate(ENDS) if position < end)
                before = [frame for frame in batch.frames if frame[0] < ENDS[hit]]
                assert before == list(zip(ENDS, FRAMES, strict=True))[:hit]
                assert (ENDS[hit], FRAMES[hit]) not in batch.frames


def test_a_damaged_payload_is_skipped_and_told(path: Path) -> None:
    data = bytearray(SEGMENT)
    data[ENDS[0] + segments.PREFIX.size + 3] ^= 0xFF
    batch = read(path, bytes(data))
    assert [frame for _, frame in batch.frames] == [FRAMES[0], *FRAMES[2:]]
    assert batch.next_offset == len(SEGMENT)
    assert not batch.torn
    (bad,) = batch.bad
    assert (bad.offset, bad.raw) == (ENDS[0], bytes(data[ENDS[0] + 8 : ENDS[1]]))


def test_a_damaged_payload_is_skipped_even_where_a_batch_would_end(path: Path) -> None:
    data = bytearray(SEGMENT)
    data[ENDS[0] + segments.PREFIX.size + 3] ^= 0xFF
    batch = read(path, bytes(data), ENDS[0], limit_bytes=len(PIECES[1]))
    assert batch.frames[0] == (ENDS[2], FRAMES[2])
    assert [bad.offset for bad in batch.bad] == [ENDS[0]]


def test_damage_in_the_last_frame_is_a_torn_tail(path: Path) -> None:
    batch = read(path, SEGMENT[:-1] + b"\xff")
    assert (batch.next_offset, batch.torn, batch.bad) == (ENDS[2], True, [])


def test_a_tail_of_zeros_is_torn_although_the_crc32_of_nothing_is_zero(path: Path) -> None:
    batch = read(path, SEGMENT + bytes(4096))
    assert (len(batch.frames), batch.next_offset, batch.torn) == (4, len(SEGMENT), True)


def test_a_frame_forged_in_a_body_is_not_found_behind_a_torn_one(path: Path) -> None:
    forged = framed(Settled(call("forged"), Outcome(status="ok")))
    torn = framed(Request(payload(forged * 3 + bytes(100))))[:-50]
    batch = read(path, SEGMENT + torn)
    assert (len(batch.frames), batch.torn) == (4, True)


def test_whole_frames_of_an_unknown_kind_are_told_with_their_bytes(path: Path) -> None:
    later = msgspec.msgpack.encode({"frame": "from the future", "x": 1})
    odd = segments.PREFIX.pack(len(later), zlib.crc32(later)) + later
    batch = read(path, SEGMENT + odd + PIECES[0])
    assert len(batch.frames) == 5
    assert [(bad.offset, bad.raw) for bad in batch.bad] == [(len(SEGMENT), later)]


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_anything_that_is_no_frame_but_has_a_good_crc_is_told_not_raised(
    tmp_path_factory: pytest.TempPathFactory, told: bytes
) -> None:
    piece = segments.PREFIX.pack(len(told), zlib.crc32(told)) + told
    batch = read(tmp_path_factory.mktemp("any") / "x", HEADER + piece)
    assert len(batch.frames) + len(batch.bad) == (1 if told else 0)


@given(st.lists(FRAME, max_size=8), st.binary(max_size=60), st.data())
@settings(deadline=None)
def test_any_frames_survive_any_tail(
    tmp_path_factory: pytest.TempPathFactory, frames: list[Frame], tail: bytes, data: st.DataObject
) -> None:
    pieces = [framed(frame) for frame in frames]
    whole = HEADER + b"".join(pieces)
    limit_bytes = data.draw(st.integers(min_value=1, max_value=len(whole) + 100))
    path = tmp_path_factory.mktemp("any") / "x"
    path.write_bytes(whole + tail)
    offset, found = 0, []
    for _ in range(len(frames) + 2):
        batch = segments.read(path, offset, limit_bytes=limit_bytes)
        found += [frame for _, frame in batch.frames]
        if batch.next_offset == offset:
            break
        offset = batch.next_offset
    assert found == frames


@pytest.mark.parametrize("data", [b"GIF89a..........", b"TGJ1\xff\xff\xff\xff" + bytes(100), b"TGJ"])
def test_what_is_no_segment_gives_no_frames(path: Path, data: bytes) -> None:
    batch = read(path, data)
    assert (batch.frames, batch.next_offset, batch.torn) == ([], 0, True)


def test_a_format_of_another_version_is_refused(path: Path) -> None:
    told = msgspec.msgpack.encode(segments.Header("w", 0, 1, version=2))
    batch = read(path, b"TGJ1" + len(told).to_bytes(4, "little") + told + PIECES[0])
    assert batch.frames == []
    assert batch.bad[0].reason == "version 2 of the format"


def test_an_empty_file_is_not_torn(path: Path) -> None:
    assert read(path, b"") == segments.Batch([], 0, torn=False, bad=[])


def test_segments_are_listed_by_writer_in_order(tmp_path: Path) -> None:
    for name in (
        "b-00000002.seg",
        "b-00000010.seg",
        "a-b-00000000.seg",
        "b-00000001.new",
        "b.reserve",
        "x.seg",
    ):
        (tmp_path / name).write_bytes(b"12345")
    found = segments.writers(tmp_path)
    assert {writer: [s.seq for s in own] for writer, own in found.items()} == {"b": [2, 10], "a-b": [0]}
    assert found["b"][0] == segments.SegmentFile(tmp_path / "b-00000002.seg", "b", 2, 5)


def test_a_folder_that_is_not_there_has_no_writers(tmp_path: Path) -> None:
    assert segments.writers(tmp_path / "none") == {}


def test_a_writer_lives_as_long_as_its_newest_segment_is_locked(tmp_path: Path) -> None:
    for seq in (0, 1):
        (tmp_path / segments.name("w", seq)).write_bytes(HEADER)
    own = segments.writers(tmp_path)["w"]
    holder = os.open(own[1].path, os.O_WRONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    assert not segments.is_dead(own)
    os.close(holder)
    assert segments.is_dead(own)
    assert segments.is_dead(own)


def test_a_free_lock_means_nothing_once_a_newer_segment_is_there(tmp_path: Path) -> None:
    (tmp_path / segments.name("w", 0)).write_bytes(HEADER)
    stale = segments.writers(tmp_path)["w"]
    (tmp_path / segments.name("w", 1)).write_bytes(HEADER)
    assert not segments.is_dead(stale)
    stale[0].path.unlink()
    assert not segments.is_dead(stale)


def test_two_who_ask_at_once_do_not_take_each_other_for_the_writer(tmp_path: Path) -> None:
    (tmp_path / segments.name("w", 0)).write_bytes(HEADER)
    other = os.open(tmp_path / segments.name("w", 0), os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_SH)
    try:
        assert segments.is_dead(segments.writers(tmp_path)["w"])
    finally:
        os.close(other)


def test_a_header_tells_who_wrote_the_segment_and_when(tmp_path: Path) -> None:
    path = tmp_path / "w-00000003.seg"
    path.write_bytes(segments.header("w", 3, 77))
    assert segments.header_of(path) == segments.Header("w", 3, 77)
    for damaged in (b"", b"TGJ1", b"something else entirely", segments.header("w", 3, 77)[:-1]):
        path.write_bytes(damaged)
        assert segments.header_of(path) is None
    path.write_bytes(segments.header("w", 3, 77)[:8] + b"\xc1" * (len(segments.header("w", 3, 77)) - 8))
    assert segments.header_of(path) is None
