"""A segment ends with a whole frame, whatever the disk does."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from telemetry import segments
from telemetry.segment_writer import RESERVE_STEP, Reserve, SegmentWriter, sweep


def make(folder: Path, segment_bytes: int = 1000) -> SegmentWriter:
    return SegmentWriter(folder, "w", segment_bytes=segment_bytes, now_ns=lambda: 7_999)


def contents(folder: Path) -> list[bytes]:
    return [segment.path.read_bytes() for segment in segments.writers(folder)["w"]]


def free(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_a_segment_begins_with_its_header_and_is_locked(tmp_path: Path) -> None:
    writer = make(tmp_path / "deep" / "journal")
    (segment,) = segments.writers(tmp_path / "deep" / "journal")["w"]
    assert segment.path.read_bytes() == segments.header("w", 0, 7)
    assert not free(segment.path)
    writer.close()
    assert free(segment.path)


def test_a_full_segment_is_followed_by_the_next_and_the_lock_goes_over(tmp_path: Path) -> None:
    writer = make(tmp_path, segment_bytes=100)
    for n in range(5):
        writer.append(bytes([n]) * 40)
    assert [len(data) - len(segments.header("w", 0, 7)) for data in contents(tmp_path)] == [40] * 5
    assert not segments.is_dead(segments.writers(tmp_path)["w"])
    assert writer.total == sum(map(len, contents(tmp_path)))
    _, retired, new_names = writer.unsynced()
    assert (len(retired), new_names) == (4, True)
    assert writer.unsynced()[1:] == ([], False)
    for descriptor in retired:
        os.close(descriptor)
    writer.close()
    assert segments.is_dead(segments.writers(tmp_path)["w"])


def test_a_frame_longer_than_a_segment_gets_one_of_its_own(tmp_path: Path) -> None:
    writer = make(tmp_path, segment_bytes=100)
    for _ in range(2):
        writer.append(bytes(500))
    assert len(contents(tmp_path)) == 2
    writer.close()


def test_after_a_short_write_nothing_of_the_frame_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make(tmp_path)
    writer.append(b"first")
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
        with pytest.raises(OSError, match="short write") as caught:
            writer.append(b"second")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.strerror == "No space left on device (short write)"
    writer.append(b"third")
    assert contents(tmp_path) == [segments.header("w", 0, 7) + b"firstthird"]
    writer.close()


def test_a_later_segment_is_cut_back_to_its_own_last_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make(tmp_path, segment_bytes=100)
    writer.append(bytes(90))
    writer.append(b"second")
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
        with pytest.raises(OSError, match="short write"):
            writer.append(b"third")
    writer.append(b"fourth")
    assert contents(tmp_path)[1] == segments.header("w", 1, 7) + b"secondfourth"
    assert writer.total == sum(map(len, contents(tmp_path)))
    writer.close()


def test_half_a_frame_that_cannot_be_cut_off_is_the_end_of_its_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make(tmp_path)
    write = os.write

    def refuse(descriptor: int, size: int) -> None:
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(OSError, match="short write"):
            writer.append(b"second")
    writer.append(b"third")
    assert contents(tmp_path) == [
        segments.header("w", 0, 7) + b"sec",
        segments.header("w", 1, 7) + b"third",
    ]
    writer.close()


def test_on_a_disk_that_is_full_from_the_start_the_first_segment_comes_with_the_first_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: 3)
        writer = make(tmp_path)
        with pytest.raises(OSError, match="short write") as caught:
            writer.append(b"first")
    assert caught.value.errno == errno.ENOSPC
    assert segments.writers(tmp_path) == {}
    os.fdatasync(writer.unsynced()[0])
    writer.append(b"second")
    assert contents(tmp_path) == [segments.header("w", 0, 7) + b"second"]
    for descriptor in writer.unsynced()[1]:
        os.close(descriptor)
    writer.close()


def test_a_disk_that_fails_otherwise_is_no_place_for_a_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(OSError, match="no"):
            make(tmp_path)


def test_when_no_new_segment_can_be_made_the_full_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make(tmp_path, segment_bytes=60)
    writer.append(bytes(40))
    with monkeypatch.context() as patch:

        def refuse(descriptor: int, operation: int) -> None:
            raise OSError(errno.ENOLCK, "no")

        patch.setattr(fcntl, "flock", refuse)
        writer.append(bytes(40))
        writer.spoil()
        with pytest.raises(OSError, match="no"):
            writer.append(bytes(40))
    assert len(contents(tmp_path)) == 1
    assert not list(tmp_path.glob("*.new"))
    writer.append(bytes(40))
    assert len(contents(tmp_path)) == 2
    writer.close()


def test_the_reserve_is_given_up_in_steps_and_filled_again(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, "w", 2 * RESERVE_STEP + 10)
    path = tmp_path / "w.reserve"
    reserve.fill()
    assert path.stat().st_blocks * 512 >= 2 * RESERVE_STEP + 10
    assert [reserve.give_up_some() for _ in range(4)] == [True, True, True, False]
    assert path.stat().st_size == 0
    reserve.fill()
    assert path.stat().st_size == 2 * RESERVE_STEP + 10
    assert reserve.room_beside()
    reserve.close()
    assert not path.exists()


def test_reserves_of_the_dead_are_swept_and_those_of_the_living_stay(tmp_path: Path) -> None:
    writer = make(tmp_path)
    for name in ("w", "gone"):
        (tmp_path / f"{name}.reserve").write_bytes(b"x")
    sweep(tmp_path)
    assert [path.stem for path in tmp_path.glob("*.reserve")] == ["w"]
    writer.close()
    sweep(tmp_path)
    assert not list(tmp_path.glob("*.reserve"))


def test_a_segment_that_is_old_and_holds_something_is_followed_by_the_next(tmp_path: Path) -> None:
    seconds = [0]
    writer = SegmentWriter(tmp_path, "w", segment_bytes=1000, now_ns=lambda: seconds[0] * 1_000_000_000)
    seconds[0] = 100
    assert not writer.renew(60)  # it holds nothing
    writer.append(b"frame")
    assert not writer.renew(101)
    assert writer.renew(100)
    writer.append(b"next")
    first, second = contents(tmp_path)
    assert (first[-5:], second[-4:]) == (b"frame", b"next")
    assert not writer.renew(60)
    header = segments.header_of(segments.writers(tmp_path)["w"][1].path)
    assert header is not None
    assert (header.seq, header.started_at_us) == (1, 100_000_000)
    writer.close()
    assert not writer.renew(0)
