"""Bringing batches in: once, whatever the store does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from telemetry.delivery import DeadLetter, Delivered, StoreConsumer
from telemetry.follower import Follower
from telemetry.records import Cost, Opened, Settled
from telemetry.store.base import StoreAway
from tests.fakes.ledger import SegmentWriter, call, framed, outcome, settled, whole
from tests.fakes.memory_ledger import MemoryLedger


class House:
    """A journal, a store that misbehaves, and what stands between."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.us = 1_000_000_000
        self.store = MemoryLedger()
        self.writer = SegmentWriter(folder, "w1")
        self.slept: list[float] = []
        self.restart()

    def restart(self) -> None:
        self.follower = Follower("store", self.folder, now_us=lambda: self.us)
        self.consumer = StoreConsumer(
            self.store,
            self.folder / "dead-letters",
            origin="here",
            now_us=lambda: self.us,
            token_life_s=60,
            sleep=self.slept.append,
        )

    def step(self) -> Delivered | None:
        work = self.follower.next()
        if work is None:
            return None
        delivered = self.consumer.deliver(work)
        self.follower.commit(work)
        return delivered

    def letters(self) -> list[DeadLetter]:
        return [
            msgspec.msgpack.decode(path.read_bytes(), type=DeadLetter)
            for path in sorted((self.folder / "dead-letters").glob("*"))
        ]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def numbers(*wanted: int) -> list[str]:
    return [call(number).call_id for number in wanted]


def test_a_batch_is_one_insert_for_each_table(house: House) -> None:
    house.writer.write(*whole(1), *whole(2))
    assert house.step() == Delivered(spans=2, payloads=4)
    assert [(table, rows) for table, _, rows in house.store.inserts] == [("spans", 2), ("span_payloads", 4)]
    assert len({token for _, token, _ in house.store.inserts}) == 2
    assert house.store.commands == []  # nothing to repair when all went well


def test_an_insert_whose_answer_was_lost_is_not_done_twice(house: House) -> None:
    house.writer.write(*whole(1))
    house.store.lose_answers = 1
    with pytest.raises(StoreAway):
        house.step()
    house.restart()
    house.step()
    assert house.store.ids("spans") == numbers(1)
    assert house.store.ids("span_payloads") == numbers(1, 1)


def test_a_token_without_rows_is_noticed(house: House) -> None:
    house.writer.write(*whole(1), *whole(2))
    house.store.swallow = 1
    with pytest.raises(StoreAway):
        house.step()
    house.restart()
    house.step()
    assert house.store.ids("spans") == numbers(1, 2)
    assert house.store.commands  # the views are completed as well


def test_a_plan_older_than_tokens_is_looked_up_first(house: House) -> None:
    house.writer.write(*whole(1), *whole(2))
    house.store.lose_answers = 1
    with pytest.raises(StoreAway):
        house.step()
    house.store.tokens.clear()  # the server has forgotten
    house.us += 61_000_000
    house.restart()
    house.step()
    assert house.store.ids("spans") == numbers(1, 2)
    assert house.store.ids("span_payloads") == numbers(1, 1, 2, 2)


def test_what_may_still_arrive_is_waited_for_before_it_is_inserted_again(house: House) -> None:
    house.writer.write(*whole(1))
    house.store.ghost_s = 2
    house.store.swallow = 1
    with pytest.raises(StoreAway):
        house.step()
    house.step()
    assert house.slept == [2]


def test_nothing_is_lost_while_the_store_is_away(house: House) -> None:
    house.store.away = True
    for number in range(5):
        house.writer.write(*whole(number))
        with pytest.raises(StoreAway):
            house.step()
    house.store.away = False
    while house.step() is not None:
        pass
    assert house.store.ids() == numbers(*range(5))


def test_one_bad_row_is_buried_alone_with_its_reason(house: House) -> None:
    house.writer.write(*(settled(number) for number in range(20)))
    house.store.refuse = {call(13).call_id}
    assert house.step() == Delivered(spans=20, dead=1)
    assert house.store.ids() == numbers(*(number for number in range(20) if number != 13))
    (letter,) = house.letters()
    assert letter.reason.startswith("spans: VIOLATED_CONSTRAINT")
    assert letter.frame == settled(13)
    assert letter.writer == "w1"


def test_a_value_that_fits_no_column_is_a_bad_row(house: House) -> None:
    poison = outcome(cost=Cost(total_nano_usd=2**63))
    house.writer.write(settled(1), settled(2, how=poison), settled(3))
    delivered = house.step()
    assert delivered is not None
    assert delivered.dead == 1
    assert house.store.ids() == numbers(1, 3)
    (letter,) = house.letters()
    assert "column_" in letter.reason
    assert isinstance(letter.frame, Settled)


def test_a_clock_that_tells_no_day_of_the_store_costs_its_own_call_only(house: House) -> None:
    house.writer.write(settled(1), settled(2, started_at_us=2**62), settled(3, started_at_us=-1))

    assert house.step() == Delivered(spans=1, dead=2)

    assert house.store.ids() == numbers(1)
    assert {letter.reason.split(":")[1] for letter in house.letters()} == {" no_time"}


def test_burying_is_not_repeated_after_a_kill(house: House) -> None:
    house.writer.write(settled(1), settled(2))
    house.store.refuse = {call(2).call_id}
    work = house.follower.next()
    assert work is not None
    house.consumer.deliver(work)  # and killed before the commit
    house.restart()
    house.step()
    assert house.store.ids() == numbers(1)
    assert len(house.letters()) == 1


def test_what_is_no_frame_is_buried_as_it_stands(house: House) -> None:
    house.writer.write_raw(framed(b"\xc1"))
    house.writer.write(settled(1))
    assert house.step() == Delivered(spans=1, dead=1)
    (letter,) = house.letters()
    assert letter.raw == b"\xc1"
    assert letter.frame is None


def test_a_call_that_died_with_its_writer_gets_a_row(house: House) -> None:
    house.writer.write(Opened(call(1)))
    house.writer.die()
    while house.step() is not None:
        pass
    (row,) = house.store.tables["spans"]
    assert row["status"] == "interrupted"
    assert row["event_id"] == call(1).event_id
    assert row["cost_nano_usd"] is None
    assert row["cost_reason"] == "interrupted"
