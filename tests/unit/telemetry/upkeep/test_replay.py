"""Bringing frames in again: what is there stays, what is missing comes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from telemetry.delivery import StoreConsumer
from telemetry.follower import Follower
from telemetry.records import Opened
from telemetry.upkeep.messages import Replayed
from telemetry.upkeep.replay import UnknownSegment, files_of, replay_letters, replay_segments
from tests.fakes.ledger import SegmentWriter, call, settled, whole
from tests.fakes.memory_ledger import MemoryLedger


class House:
    """A journal whose calls were delivered, and a store that may lose them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = MemoryLedger()
        self.writer = SegmentWriter(folder, "w1")
        self.follower = Follower("store", folder, now_us=lambda: 1)
        self.consumer = StoreConsumer(
            self.store, folder / "dead-letters", origin="here", now_us=lambda: 10**16
        )

    def deliver(self) -> None:
        while (work := self.follower.next()) is not None:
            self.consumer.deliver(work)
            self.follower.commit(work)

    def replay(self, *names: str) -> Replayed:
        files = files_of(self.folder, names)
        return replay_segments(files, self.folder, self.follower.checkpoint, self.consumer)

    def lose(self) -> None:
        self.store.tables = {"spans": [], "span_payloads": []}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "journal")


def ids(*numbers: int) -> list[str]:
    return [call(number).call_id for number in numbers]


def test_what_the_store_lost_comes_back_once_however_often_it_is_replayed(house: House) -> None:
    house.writer.write(*whole(1), *whole(2))
    house.deliver()
    house.lose()
    for _ in range(2):
        done = house.replay("w1-00000001.seg")
        assert (done.segments, done.spans, done.payloads, done.dead) == (1, 2, 4, 0)
        assert house.store.ids("spans") == ids(1, 2)
        assert house.store.ids("span_payloads") == ids(1, 1, 2, 2)


def test_what_the_collector_was_not_given_yet_is_left_to_it(house: House) -> None:
    house.writer.write(*whole(1))
    house.deliver()
    house.writer.write(*whole(2))
    house.writer.roll()
    house.writer.write(*whole(3))
    house.replay("w1-00000001.seg", "w1-00000002.seg")
    house.deliver()
    assert house.store.ids("spans") == ids(1, 2, 3)


def test_a_call_is_interrupted_only_if_no_segment_settles_it(house: House) -> None:
    house.writer.write(Opened(call(1)), Opened(call(2)), Opened(call(3)))
    house.writer.roll()
    house.writer.write(settled(1))
    house.deliver()
    house.replay("w1-00000001.seg")
    assert house.store.ids("spans") == ids(1)  # 2 and 3 are open
    house.writer.die()
    house.deliver()
    house.lose()
    house.replay("w1-00000001.seg")
    assert house.store.ids("spans") == ids(2, 3)
    assert {row["status"] for row in house.store.tables["spans"]} == {"interrupted"}


def test_a_copy_of_a_segment_that_is_gone_can_be_replayed(house: House, tmp_path: Path) -> None:
    house.writer.write(*whole(1))
    house.writer.die()
    house.deliver()
    copy = tmp_path / house.writer.path.name
    shutil.move(house.writer.path, copy)
    house.follower.forget({copy.name})
    house.lose()
    house.replay(str(copy))
    assert house.store.ids("spans") == ids(1)


def test_a_segment_that_is_not_there_is_named(house: House) -> None:
    with pytest.raises(UnknownSegment, match="w9"):
        house.replay("w9-00000001.seg")


def test_dead_letters_go_once_their_cause_is_mended(house: House) -> None:
    house.store.refuse = set(ids(1))
    house.writer.write(*whole(1), *whole(2))
    house.deliver()
    letters = house.folder / "dead-letters"
    assert len(list(letters.iterdir())) == 3
    again = replay_letters(house.folder, {"store": house.consumer})
    assert (again.dead, again.letters_settled, again.letters_left) == (3, 0, 3)
    house.store.refuse = set()
    mended = replay_letters(house.folder, {"store": house.consumer})
    assert (mended.dead, mended.letters_settled, mended.letters_left) == (0, 3, 0)
    assert house.store.ids("spans") == ids(1, 2)
    assert list(letters.iterdir()) == []


def test_letters_of_nobody_who_is_here_and_of_no_frame_stay(house: House) -> None:
    house.store.refuse = set(ids(1))
    house.writer.write(settled(1))
    house.writer.write_raw(b"\x05\0\0\0\0\0\0\0wrong")
    house.writer.write(settled(2))
    house.deliver()
    assert replay_letters(house.folder, {}).letters_left == 2
    house.store.refuse = set()
    assert replay_letters(house.folder, {"store": house.consumer}).letters_left == 1


def test_an_interrupted_call_that_was_buried_comes_back_as_one(house: House) -> None:
    house.store.refuse = set(ids(1))
    house.writer.write(Opened(call(1)))
    house.writer.die()
    house.deliver()
    house.store.refuse = set()
    assert replay_letters(house.folder, {"store": house.consumer}).letters_settled == 1
    (row,) = house.store.tables["spans"]
    assert (row["call_id"], row["status"]) == (ids(1)[0], "interrupted")
