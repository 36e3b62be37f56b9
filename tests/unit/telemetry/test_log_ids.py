"""The same log twice: once in the ledger, whatever came between."""

from __future__ import annotations

import uuid
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.delivery import StoreConsumer
from telemetry.follower import Follower
from telemetry.log_ids import call_id_of
from telemetry.records import Answer, Frame, Request, Settled
from telemetry.store.base import StoreAway
from tests.fakes.ledger import BASE_US, SegmentWriter, call, outcome, payload
from tests.fakes.memory_ledger import MemoryLedger


def log(log_id: str, at: int = 0, *, project: str = "p1", body: bytes = b"{}") -> list[Frame]:
    """A log as it is journalled each time it is sent, `at` seconds after the hour."""
    who: dict[str, object] = {
        "call_id": call_id_of(project, "prod", log_id),
        "project": project,
        "log_id": log_id,
        "started_at_us": BASE_US + at * 1_000_000,
    }
    said = msgspec.structs.replace(payload(1, body, **who), log_id=log_id)
    return [Settled(call(1, **who, kind="log"), outcome()), Request(said), Answer(said)]


class House:
    """A journal and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = MemoryLedger()
        self.writer = SegmentWriter(folder, "logs-1")
        self.restart()

    def restart(self) -> None:
        self.follower = Follower("store", self.folder, now_us=lambda: BASE_US)
        self.consumer = StoreConsumer(
            self.store, self.folder / "dead-letters", origin="here", now_us=lambda: BASE_US, token_life_s=0
        )

    def step(self) -> None:
        work = self.follower.next()
        assert work is not None
        self.consumer.deliver(work)
        self.follower.commit(work)

    def spans(self) -> list[tuple[str, int]]:
        return [
            (row["log_id"], round(row["started_at"].timestamp()) - BASE_US // 1_000_000)
            for row in self.store.tables["spans"]
        ]

    def bodies(self) -> list[tuple[str, bytes]]:
        return [(row["kind"], row["body"]) for row in self.store.tables["span_payloads"]]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_in_one_batch_the_first_counts_with_its_own_bodies(house: House) -> None:
    house.writer.write(*log("a", 1, body=b"first"), *log("a", 2, body=b"second"), *log("b", 3, body=b"b"))
    house.step()
    assert house.spans() == [("a", 1), ("b", 3)]
    assert house.bodies() == [
        ("request", b"first"),
        ("answer", b"first"),
        ("request", b"b"),
        ("answer", b"b"),
    ]


def test_in_a_later_batch_nothing_of_it_is_added(house: House) -> None:
    house.writer.write(*log("a", 1, body=b"first"))
    house.step()
    house.restart()
    house.writer.write(*log("a", 2, body=b"second"), *log("a", 1, body=b"third"))
    house.step()
    assert house.spans() == [("a", 1)]
    assert house.bodies() == [("request", b"first"), ("answer", b"first")]


def test_bodies_that_come_a_batch_later_are_those_of_the_log_that_counted(house: House) -> None:
    first, second = log("a", 1, body=b"first"), log("a", 2, body=b"second")
    house.writer.write(first[0], second[0])
    house.step()
    house.writer.write(*second[1:], *first[1:])
    house.step()
    assert house.spans() == [("a", 1)]
    assert house.bodies() == [("request", b"first"), ("answer", b"first")]


@pytest.mark.parametrize("failure", ["lose_answers", "swallow"])
def test_a_batch_that_is_tried_again_adds_what_is_missing_and_no_more(house: House, failure: str) -> None:
    house.writer.write(*log("a", 1), *log("a", 2), *log("b", 3))
    setattr(house.store, failure, 1)
    with pytest.raises(StoreAway):
        house.step()
    house.restart()
    house.step()
    assert house.spans() == [("a", 1), ("b", 3)]
    assert len(house.bodies()) == 4


def test_the_same_id_in_another_project_is_another_log(house: House) -> None:
    house.writer.write(*log("a", 1), *log("a", 2, project="p2"))
    house.step()
    assert house.spans() == [("a", 1), ("a", 2)]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=3, max_size=3))
def test_a_call_id_is_a_uuid_that_says_nothing_of_its_log(parts: list[str]) -> None:
    made = call_id_of(*parts)
    assert made == call_id_of(*parts)
    assert uuid.UUID(made).version == 8
    assert made != call_id_of(parts[0], parts[1], parts[2] + "x")
    assert made != call_id_of(parts[0] + "x", parts[1], parts[2])
