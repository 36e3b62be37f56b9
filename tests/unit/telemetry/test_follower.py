"""Following a journal: what is planned, what is carried, what is forgotten."""

from __future__ import annotations

import os
import random
from pathlib import Path

import msgspec
import pytest

from telemetry import segments
from telemetry.follower import Follower, Work, reclaim
from telemetry.records import Opened, Settled
from tests.fakes.ledger import SegmentWriter, call, framed, settled, whole


class Time:
    def __init__(self) -> None:
        self.us = 1_000_000

    def __call__(self) -> int:
        return self.us


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def follower(tmp_path: Path, now: Time) -> Follower:
    return Follower("store", tmp_path, now_us=now)


def ids(work: Work) -> list[str]:
    return [item.frame.call.call_id for item in work.items if isinstance(item.frame, Settled)]


def test_frames_come_once_and_in_order(tmp_path: Path, follower: Follower) -> None:
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(settled(1), settled(2))
    first = follower.next()
    assert first is not None
    follower.commit(first)
    writer.write(settled(3))
    second = follower.next()
    assert second is not None
    follower.commit(second)
    assert (ids(first), ids(second)) == ([call(1).call_id, call(2).call_id], [call(3).call_id])
    assert follower.next() is None


def test_a_batch_that_was_not_committed_is_rebuilt_to_the_byte(
    tmp_path: Path, follower: Follower, now: Time
) -> None:
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(Opened(call(1)), *whole(2))
    planned = follower.next()
    assert planned is not None
    assert planned.fresh
    writer.write(settled(3))
    SegmentWriter(tmp_path, "w0").write(settled(4))
    again = Follower("store", tmp_path, now_us=now).next()
    assert again is not None
    assert not again.fresh
    assert again.plan == planned.plan
    assert again.items == planned.items
    assert again.after == planned.after


def test_a_kill_between_checkpoint_and_plan_delivers_nothing_twice(
    tmp_path: Path, follower: Follower, now: Time
) -> None:
    SegmentWriter(tmp_path, "w1").write(settled(1))
    work = follower.next()
    assert work is not None
    plan = (tmp_path / "store.plan").read_bytes()
    follower.commit(work)
    (tmp_path / "store.plan").write_bytes(plan)  # as if the kill came before it was removed
    again = Follower("store", tmp_path, now_us=now)
    assert again.next() is None
    assert not (tmp_path / "store.plan").exists()


def test_a_call_of_a_dead_writer_that_nobody_settled_is_interrupted(
    tmp_path: Path, follower: Follower
) -> None:
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(Opened(call(1)), *whole(2))
    alive = follower.next()
    assert alive is not None
    assert alive.interrupted == []
    follower.commit(alive)
    writer.write(Opened(call(3)))
    writer.write_raw(framed(b"half a frame")[:9])
    writer.die()
    dead = follower.next()
    assert dead is not None
    assert [opened.call.call_id for opened in dead.interrupted] == [call(1).call_id, call(3).call_id]
    follower.commit(dead)
    assert follower.next() is None
    counts = follower.checkpoint.counts
    assert (counts.opened, counts.settled, counts.interrupted) == (3, 1, 2)
    assert follower.checkpoint.open == {}
    assert follower.backlog() == 0


def test_interrupted_calls_are_the_same_after_a_restart(
    tmp_path: Path, follower: Follower, now: Time
) -> None:
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(Opened(call(1)), Opened(call(2)))
    writer.die()
    planned = follower.next()
    again = Follower("store", tmp_path, now_us=now).next()
    assert planned is not None
    assert again is not None
    assert again.interrupted == planned.interrupted
    assert len(again.interrupted) == 2


def test_open_calls_of_a_writer_without_any_file_are_interrupted(tmp_path: Path, follower: Follower) -> None:
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(Opened(call(1)), settled(2))
    work = follower.next()
    assert work is not None
    follower.commit(work)
    writer.die()
    writer.path.unlink()
    lost = follower.next()
    assert lost is not None
    assert [opened.call.call_id for opened in lost.interrupted] == [call(1).call_id]


def test_rolled_segments_are_read_to_their_end_and_then_the_next(tmp_path: Path, follower: Follower) -> None:
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(settled(1))
    writer.write_raw(b"\x10\x00\x00\x00torn")
    writer.roll()
    writer.write(settled(2))
    work = follower.next()
    assert work is not None
    assert ids(work) == [call(1).call_id, call(2).call_id]
    assert work.damage == []


def test_a_batch_has_a_limit_and_the_next_goes_on_there(tmp_path: Path, now: Time) -> None:
    follower = Follower("store", tmp_path, now_us=now, max_rows=3)
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(*(settled(number) for number in range(8)))
    SegmentWriter(tmp_path, "w2").write(*(settled(number) for number in range(10, 12)))
    sizes = []
    seen: list[str] = []
    while (work := follower.next()) is not None:
        sizes.append(len(work.items))
        seen += ids(work)
        follower.commit(work)
    assert max(sizes) == 3
    assert sorted(seen) == sorted(call(number).call_id for number in [*range(8), 10, 11])


def test_a_busy_writer_does_not_starve_the_other(tmp_path: Path, now: Time) -> None:
    follower = Follower("store", tmp_path, now_us=now, max_rows=2)
    busy = SegmentWriter(tmp_path, "a")
    busy.write(*(settled(number) for number in range(50)))
    SegmentWriter(tmp_path, "z").write(settled(99))
    for _ in range(3):
        work = follower.next()
        assert work is not None
        follower.commit(work)
        if call(99).call_id in ids(work):
            return
    pytest.fail("the quiet writer was not read")


def test_a_stretch_that_is_no_frame_is_reported_with_its_place(tmp_path: Path, follower: Follower) -> None:
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(settled(1))
    place = writer.path.stat().st_size
    writer.write_raw(framed(b"\xc1 not msgpack"))
    writer.write(settled(2))
    work = follower.next()
    assert work is not None
    assert ids(work) == [call(1).call_id, call(2).call_id]
    assert [(damage.writer, damage.seq, damage.bad.offset) for damage in work.damage] == [("w1", 1, place)]
    assert work.after.counts.bad == 1


def test_segments_are_deleted_when_every_follower_was_done_long_enough(tmp_path: Path, now: Time) -> None:
    one, two = (Follower(name, tmp_path, now_us=now) for name in ("store", "capture"))
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(settled(1))
    writer.roll()
    writer.write(settled(2))
    finish(one)
    now.us += 600_000_000
    assert list(reclaim([one, two], keep_s=600, now_us=now.us)) == []  # the other has not even begun
    finish(two)
    assert list(reclaim([one, two], keep_s=600, now_us=now.us + 599_000_000)) == []
    gone = list(reclaim([one, two], keep_s=600, now_us=now.us + 600_000_000))
    assert [path.name for path in gone] == [segments.name("w1", 1)]
    writer.die()
    finish(one)
    finish(two)
    list(reclaim([one, two], keep_s=0, now_us=now.us))
    assert segments.writers(tmp_path) == {}
    assert one.checkpoint.positions == {}
    assert one.checkpoint.done == {}


def test_segments_are_done_although_other_writers_never_pause(tmp_path: Path, follower: Follower) -> None:
    quiet = SegmentWriter(tmp_path, "quiet")
    quiet.write(settled(1))
    quiet.die()
    busy = SegmentWriter(tmp_path, "busy")
    for number in range(2, 5):
        busy.write(settled(number))
        work = follower.next()
        assert work is not None
        follower.commit(work)
    assert segments.name("quiet", 1) in follower.checkpoint.done


def test_the_backlog_is_what_is_not_delivered(tmp_path: Path, follower: Follower) -> None:
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(settled(1))
    assert follower.backlog() == writer.path.stat().st_size
    finish(follower)
    assert follower.backlog() == 0


def test_the_backlog_follows_segments_that_grow_that_come_and_that_go(
    tmp_path: Path, follower: Follower
) -> None:
    one = SegmentWriter(tmp_path, "w1")
    os.utime(tmp_path, ns=(1, 1))  # so that every change is in another tick of the clock
    empty = follower.backlog()
    one.write(settled(1))
    assert follower.backlog() == one.path.stat().st_size > empty
    two = SegmentWriter(tmp_path, "w2")
    two.write(settled(2))
    assert follower.backlog() == one.path.stat().st_size + two.path.stat().st_size
    os.utime(tmp_path, ns=(1, 1))
    two.path.unlink()
    assert follower.backlog() == one.path.stat().st_size
    os.utime(tmp_path, ns=(1, 1))
    first = one.path.stat().st_size
    one.roll()
    one.write(settled(3))
    assert follower.backlog() == first + one.path.stat().st_size
    finish(follower)
    assert follower.backlog() == 0


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_kills_every_frame_is_committed_once(tmp_path: Path, now: Time, seed: int) -> None:
    source = random.Random(seed)
    expected: set[str] = set()
    opened: set[str] = set()
    got: list[str] = []
    writers: list[SegmentWriter] = []
    number = made = 0
    follower = Follower("store", tmp_path, now_us=now, max_rows=source.randrange(1, 9))
    for _ in range(60):
        action = source.randrange(6)
        if action == 0 or not writers:
            made += 1
            writers.append(SegmentWriter(tmp_path, f"w{made}"))
        elif action in {1, 2}:
            number += 1
            frames = whole(number)[: source.randrange(1, 5)]
            source.choice(writers).write(*frames)
            (expected if len(frames) > 2 else opened).add(call(number).call_id)
        elif action == 3:
            source.choice(writers).roll()
        elif action == 4 and source.random() < 0.3:
            writers.pop(source.randrange(len(writers))).die()
        else:
            work = follower.next()
            if source.random() < 0.4:  # killed before the commit
                follower = Follower("store", tmp_path, now_us=now, max_rows=source.randrange(1, 9))
            elif work is not None:
                follower.commit(work)
                got += ids(work) + [one.call.call_id for one in work.interrupted]
    for writer in writers:
        writer.die()
    while (work := follower.next()) is not None:
        follower.commit(work)
        got += ids(work) + [one.call.call_id for one in work.interrupted]
    assert sorted(got) == sorted(expected | opened)
    counts = follower.checkpoint.counts
    assert counts.opened == counts.settled + counts.interrupted == len(got)


def test_a_checkpoint_holds_calls_whole(tmp_path: Path, follower: Follower, now: Time) -> None:
    SegmentWriter(tmp_path, "w1").write(Opened(call(1)), settled(2))
    finish(follower)
    again = Follower("store", tmp_path, now_us=now)
    assert again.checkpoint.open["w1"][call(1).call_id] == Opened(call(1))
    assert msgspec.json.decode((tmp_path / "store.checkpoint").read_bytes())


def finish(follower: Follower) -> None:
    while (work := follower.next()) is not None:
        follower.commit(work)
