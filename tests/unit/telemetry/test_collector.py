"""When batches are taken, what is told about them, and what happens when the store is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry.collector import Collector, Pacer, Pipe
from telemetry.delivery import Delivered, StoreConsumer
from telemetry.follower import MAX_BYTES, Follower, Work
from telemetry.records import Opened
from telemetry.segments import writers
from telemetry.store.base import StoreAway
from tests.fakes.ledger import SegmentWriter, call, whole
from tests.fakes.memory_ledger import MemoryLedger

MS = 1_000_000


def now_us() -> int:
    return 5_000_000


def pipe_over(store: MemoryLedger, journal: Path) -> Pipe:
    follower = Follower("store", journal, now_us=now_us)
    return Pipe(follower, StoreConsumer(store, journal / "dead", origin="here", now_us=now_us), now_us=now_us)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def settled_pacer() -> tuple[Pacer, int]:
    pacer = Pacer()
    start = 10_000 * MS
    pacer.took(0, start)
    return pacer, start


def test_a_lone_frame_is_taken_as_soon_as_it_is_quiet() -> None:
    pacer, start = settled_pacer()
    assert not pacer.due(100, start)
    assert not pacer.due(100, start + 49 * MS)
    assert pacer.due(100, start + 50 * MS)


def test_a_stream_of_frames_is_taken_every_half_second() -> None:
    pacer, start = settled_pacer()
    due = [ms for ms in range(0, 600, 20) if pacer.due(100 + ms, start + ms * MS)]
    assert due[0] == 500


def test_a_full_batch_waits_for_nothing() -> None:
    pacer, start = settled_pacer()
    assert pacer.due(MAX_BYTES, start)


def test_without_news_it_looks_once_a_second_for_the_dead() -> None:
    pacer, start = settled_pacer()
    assert not pacer.due(0, start + 999 * MS)
    assert pacer.due(0, start + 1000 * MS)


def test_half_a_frame_that_never_grows_keeps_nobody_busy() -> None:
    pacer, start = settled_pacer()
    pacer.took(7, start)
    assert not pacer.due(7, start + 900 * MS)


def test_a_status_says_what_came_in_and_what_is_open(tmp_path: Path) -> None:
    pipe = pipe_over(MemoryLedger(), tmp_path)
    SegmentWriter(tmp_path, "w1").write(*whole(1), Opened(call(2)))
    assert pipe.step()
    assert not pipe.step()
    status = pipe.status()
    assert (status.spans, status.payloads, status.batches, status.open_calls) == (1, 2, 1, 1)
    assert (status.lag_bytes, status.last_success_us, status.last_error) == (0, now_us(), "")
    assert (status.counts.opened, status.counts.settled) == (2, 1)


def test_a_failure_is_told_until_it_is_over(tmp_path: Path) -> None:
    store = MemoryLedger()
    pipe = pipe_over(store, tmp_path)
    SegmentWriter(tmp_path, "w1").write(*whole(1))
    store.away = True
    with pytest.raises(StoreAway):
        pipe.step()
    status = pipe.status()
    assert (status.failures, status.last_error, status.last_success_us) == (1, "StoreAway", 0)
    assert status.lag_bytes > 0
    store.away = False
    assert pipe.step()
    assert pipe.status().last_error == ""


def test_running_it_delivers_and_survives_a_store_that_was_away(tmp_path: Path) -> None:
    store = MemoryLedger()
    store.away = True
    pipe = pipe_over(store, tmp_path)
    collector = Collector([pipe], keep_consumed_s=600, now_us=now_us)
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(*whole(1))
    collector.start()
    try:
        until(lambda: pipe.status().failures > 0)
        store.away = False
        until(lambda: store.ids() == [call(1).call_id])
        writer.write(*whole(2))
        until(lambda: len(store.ids("span_payloads")) == 4)
        assert collector.alive
    finally:
        assert collector.stop()
    assert not collector.alive


def test_what_was_delivered_is_deleted_after_its_time_or_when_room_is_short(tmp_path: Path) -> None:
    pipe = pipe_over(MemoryLedger(), tmp_path)
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(*whole(1))
    writer.roll()
    while pipe.step():
        pass
    patient = Collector([pipe], keep_consumed_s=600, now_us=now_us, quota_bytes=10**9)
    assert patient.sweep() == []
    tight = Collector([pipe], keep_consumed_s=600, now_us=now_us, quota_bytes=1000)
    assert [path.name for path in tight.sweep()] == ["w1-00000001.seg"]
    assert [file.seq for file in writers(tmp_path)["w1"]] == [2]


class Hanging:
    """A consumer that takes nothing until it is let go."""

    def __init__(self) -> None:
        self.waiting = threading.Event()
        self.go_on = threading.Event()

    def deliver(self, work: Work) -> Delivered:
        self.waiting.set()
        assert self.go_on.wait(10)
        return Delivered()


def written_and_delivered(tmp_path: Path) -> Pipe:
    """A pipe to a store that has all there is: one whole segment and a new one."""
    pipe = pipe_over(MemoryLedger(), tmp_path)
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(*whole(1))
    writer.roll()
    while pipe.step():
        pass
    return pipe


def test_a_segment_stays_until_others_are_done_with_it_as_well(tmp_path: Path) -> None:
    pipe = written_and_delivered(tmp_path)
    slow = Hanging()
    slow.go_on.set()
    other = Pipe(Follower("memory", tmp_path, now_us=now_us), slow, now_us=now_us)
    collector = Collector([pipe], beside=[other], keep_consumed_s=0, now_us=now_us)
    assert collector.sweep() == []
    while other.step():
        pass
    assert [path.name for path in collector.sweep()] == ["w1-00000001.seg"]


def test_near_the_quota_others_are_not_waited_for_and_go_on_behind_the_gap(tmp_path: Path) -> None:
    pipe = written_and_delivered(tmp_path)
    slow = Hanging()
    slow.go_on.set()
    other = Pipe(Follower("memory", tmp_path, now_us=now_us), slow, now_us=now_us)
    other.follower.next()  # planned, and never delivered
    collector = Collector([pipe], beside=[other], keep_consumed_s=600, now_us=now_us, quota_bytes=1000)
    assert [path.name for path in collector.sweep()] == ["w1-00000001.seg"]
    while other.step():
        pass
    assert other.follower.backlog() == 0


def test_a_consumer_that_hangs_holds_up_neither_the_others_nor_for_long_a_sweep(tmp_path: Path) -> None:
    store = MemoryLedger()
    pipe, hanging = pipe_over(store, tmp_path), Hanging()
    other = Pipe(Follower("memory", tmp_path, now_us=now_us), hanging, now_us=now_us)
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(*whole(1))
    beside = Collector([other], now_us=now_us)
    collector = Collector([pipe], beside=[other], keep_consumed_s=0, now_us=now_us)
    beside.start()
    assert hanging.waiting.wait(10)
    sweep = threading.Thread(target=collector.sweep)
    sweep.start()
    collector.start()
    try:
        writer.write(*whole(2))
        until(lambda: len(store.ids()) == 2)
        assert sweep.is_alive()
    finally:
        hanging.go_on.set()
        sweep.join(10)
        assert collector.stop()
        assert beside.stop()
