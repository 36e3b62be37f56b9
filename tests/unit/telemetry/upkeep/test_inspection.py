"""What can be said of a journal by looking at its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from telemetry.follower import Follower, checkpoint_of
from telemetry.records import Opened, Request
from telemetry.upkeep.inspection import Check, Reader, state
from tests.fakes.ledger import SegmentWriter, call, framed, payload, settled, whole


@pytest.fixture
def writer(tmp_path: Path) -> SegmentWriter:
    return SegmentWriter(tmp_path, "w1")


def deliver(folder: Path) -> None:
    """Give the consumer everything there is."""
    follower = Follower("store", folder, now_us=lambda: 1)
    while (work := follower.next()) is not None:
        follower.commit(work)


def checks(folder: Path) -> dict[str, Check]:
    return {check.name: check for check in Reader(folder, checkpoint_of(folder, "store")).checks()}


def wrong(folder: Path) -> dict[str, str]:
    return {name: check.found for name, check in checks(folder).items() if not check.ok}


def test_segments_say_who_writes_them_and_who_still_needs_them(tmp_path: Path, writer: SegmentWriter) -> None:
    writer.write(*whole(1), Opened(call(2)))
    writer.roll()
    writer.write(*whole(3))
    deliver(tmp_path)
    writer.write(Request(payload(4, b"{}")))
    (tmp_path / "dead-letters").mkdir()
    (tmp_path / "dead-letters" / "one.msgpack").write_bytes(b"")
    told = state(tmp_path, ("store", "memory"), quota=7)
    assert [(one.seq, one.alive, one.pending) for one in told.segments] == [
        (1, False, ("memory",)),
        (2, True, ("store", "memory")),
    ]
    store, memory = told.consumers
    assert (store.open_calls, store.counts.opened, store.counts.settled) == (1, 3, 2)
    assert 0 < store.lag_bytes < memory.lag_bytes == told.size
    assert store.lag_bytes == Follower("store", tmp_path, now_us=lambda: 1).backlog()
    assert (told.dead_letters, told.quota) == (1, 7)


def test_nothing_is_there_before_the_first_start(tmp_path: Path) -> None:
    told = state(tmp_path / "none", ("store",), quota=0)
    assert (told.segments, told.dead_letters) == ([], 0)
    assert not (tmp_path / "none").exists()
    assert wrong(tmp_path / "none") == {}


def test_a_journal_in_order_has_nothing_wrong(tmp_path: Path, writer: SegmentWriter) -> None:
    writer.write(*whole(1), Opened(call(2)))
    writer.roll()
    writer.write(settled(2), *whole(3), settled(4, kind="log"), settled(4, kind="log"))
    deliver(tmp_path)
    found = checks(tmp_path)
    assert all(check.ok for check in found.values()), found
    assert found["frames readable"].found.startswith("12 frames")
    assert (
        found["opened = settled + interrupted + open"].found == "3 opened, 3 settled + 0 interrupted + 0 open"
    )


def test_a_frame_whose_crc_does_not_fit_is_named(tmp_path: Path, writer: SegmentWriter) -> None:
    writer.write(*whole(1))
    place = writer.path.stat().st_size + 20
    writer.write(*whole(2))
    with writer.path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
    assert "crc32" in wrong(tmp_path)["frames readable"]


def test_half_a_frame_at_the_end_is_told_and_is_no_fault(tmp_path: Path, writer: SegmentWriter) -> None:
    writer.write(*whole(1))
    writer.write_raw(framed(b"x" * 100)[:50])
    writer.die()
    found = checks(tmp_path)["frames readable"]
    assert found.ok
    assert "half frames at the end of w1-00000001.seg" in found.found


def test_a_missing_segment_a_lost_end_and_a_wrong_order_are_named(
    tmp_path: Path, writer: SegmentWriter
) -> None:
    writer.write(*whole(1))
    writer.roll()
    writer.roll()
    writer.write(*whole(2), settled(2), Opened(call(2)))
    deliver(tmp_path)
    (tmp_path / "w1-00000002.seg").unlink()
    os.truncate(writer.path, writer.path.stat().st_size - 3)
    found = wrong(tmp_path)
    assert found.keys() == {"segments in sequence", "frames in order", "offsets within the segments"}
    assert found["segments in sequence"] == "w1-00000002.seg is missing"
    assert "settled once more" in found["frames in order"]
