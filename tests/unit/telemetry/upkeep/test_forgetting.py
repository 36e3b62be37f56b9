"""What is still in the journal, or comes again, does not bring an erased user back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from telemetry.collector import Consumer
from telemetry.delivery import Delivered, StoreConsumer
from telemetry.follower import Follower, Work
from telemetry.records import Answer, Opened, Payload, Request
from telemetry.store.base import Parameter, Row
from telemetry.upkeep.forgetting import ForgettingLedger, ForgettingMemory
from telemetry.upkeep.forgotten import Forgotten, Person
from tests.fakes.ledger import SegmentWriter, call, payload, settled, whole
from tests.fakes.memory_ledger import MemoryLedger

ADA: dict[str, Any] = {"user_id": "ada", "thread_id": "ada's"}


class Ledger(MemoryLedger):
    """Knows whose calls are those of erased users."""

    @override
    def lookup(self, sql: str, parameters: Any) -> list[Row]:
        if "user_id = 'erased'" not in sql:
            return super().lookup(sql, parameters)
        ids: Parameter = parameters["ids"]
        assert isinstance(ids, list)
        rows = self.tables["spans"]
        return [row for row in rows if row["user_id"] == "erased" and row["call_id"] in ids]


class House:
    """A journal, a ledger, and the list between them."""

    def __init__(self, folder: Path, max_rows: int) -> None:
        self.store = Ledger()
        self.writer = SegmentWriter(folder, "w1")
        self.follower = Follower("store", folder, now_us=lambda: 1, max_rows=max_rows)
        self.forgotten = Forgotten(folder / "forgotten.json", folder / "key")
        inner = StoreConsumer(self.store, folder / "dead-letters", origin="here", now_us=lambda: 1)
        self.consumer = ForgettingLedger(inner, self.forgotten, self.store)

    def forget(self) -> None:
        self.forgotten.add(Person(project="p1", environment="prod", user="ada"), 1)

    def deliver(self) -> None:
        while (work := self.follower.next()) is not None:
            self.consumer.deliver(work)
            self.follower.commit(work)

    def users(self) -> list[tuple[str, str]]:
        return [(row["user_id"], row["thread_id"]) for row in self.store.tables["spans"]]


@pytest.fixture(params=[1, 2, 10_000], ids="in batches of {}".format)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    return House(tmp_path, request.param)


def test_who_is_not_on_the_list_comes_in_as_before(house: House) -> None:
    house.writer.write(*whole(1, **ADA))
    house.deliver()
    assert house.users() == [("ada", "ada's")]
    assert len(house.store.ids("span_payloads")) == 2


def test_who_is_on_it_comes_in_without_a_name_or_a_word(house: House) -> None:
    house.forget()
    house.writer.write(*whole(1, **ADA), *whole(2, user_id="bea", thread_id="bea's"))
    house.deliver()
    assert house.users() == [("erased", ""), ("bea", "bea's")]
    assert house.store.ids("span_payloads") == [call(2).call_id] * 2
    assert [row["cost_nano_usd"] for row in house.store.tables["spans"]] == [12_345] * 2


def test_a_body_that_comes_long_after_its_call_or_long_before_its_end_stays_out(house: House) -> None:
    house.forget()
    house.writer.write(Opened(call(1, **ADA)), Request(payload(1, b"{}", **ADA)))
    house.deliver()
    house.writer.write(settled(1, **ADA))
    house.deliver()
    house.writer.write(Answer(payload(1, b"{}", **ADA)))
    house.deliver()
    assert house.users() == [("erased", "")]
    assert house.store.ids("span_payloads") == []


def test_an_interrupted_call_has_no_name_either(house: House) -> None:
    house.forget()
    house.writer.write(Opened(call(1, **ADA)))
    house.writer.die()
    house.deliver()
    assert house.users() == [("erased", "")]


def test_the_memory_is_told_nothing_of_who_is_on_the_list(tmp_path: Path) -> None:
    heard: list[str] = []

    class Memory(Consumer):
        @override
        def deliver(self, work: Work) -> Delivered:
            heard.extend(item.frame.payload.user_id for item in work.items if isinstance(item.frame, Request))
            return Delivered()

    def said(user: str) -> Payload:
        return msgspec.structs.replace(payload(1, b"{}"), remember=True, user_id=user)

    forgotten = Forgotten(tmp_path / "forgotten.json", tmp_path / "key")
    forgotten.add(Person(project="p1", environment="prod", user="ada"), 1)
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(Request(said("ada")), Request(said("bea")), Answer(said("ada")))
    work = Follower("memory", tmp_path, now_us=lambda: 1).next()
    assert work is not None
    ForgettingMemory(Memory(), forgotten).deliver(work)
    assert heard == ["bea"]
