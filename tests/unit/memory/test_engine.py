from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memory.engine import MAX_GIVEN, Engine, key_of
from memory.errors import BadMemory, IndexAway
from memory.given import Statement
from memory.records import Recall
from memory.shelf import Shelf
from tests.fakes.memory_parts import ALICE, BOB, KEY, Moody, SetClock, said
from tests.fakes.memory_store import IndexesInMemory, IndexInMemory, PassingLedger
from tests.unit.memory.test_apply import op


class House:
    """An engine over fakes, with its parts at hand."""

    def __init__(self, **options: Any) -> None:
        self.clock = SetClock()
        self.ledger = PassingLedger(self.clock)
        self.index = IndexInMemory()
        self.embedder = Moody()
        self.indexes = IndexesInMemory(self.index)
        shelf = Shelf(self.ledger.collections, self.indexes, self.embedder, clock=self.clock)
        self.engine = Engine(self.ledger, shelf, key=KEY, clock=self.clock, **options)

    def remember(self, *texts: str) -> list[str]:
        return [one for one, _, _ in self.engine.add(ALICE, [Statement(text) for text in texts])]

    def recall(self, query: str, **options: Any) -> Recall:
        return self.engine.recall(ALICE, query, **{"budget": 900, **options})


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.engine.close()


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.002)


def test_what_was_added_is_recalled_at_once(house):
    (one,) = house.remember("My dog is called Rex")
    found = house.recall("how is my dog called?")
    assert (found.status, found.reason, found.ids) == ("injected", "", (one,))
    assert "My dog is called Rex" in found.block
    assert found.fates == {one: "chosen"}
    assert 0 < found.scores[0] <= 1
    assert 0 < found.tokens <= 900


def test_an_unrelated_question_gets_nothing_and_the_reason(house):
    house.remember("My dog is called Rex")
    found = house.recall("capital of France?")
    assert (found.status, found.reason, found.block, found.ids) == ("empty", "nothing_relevant", "", ())


def test_a_scope_without_memories_costs_no_embedding(house):
    house.remember("My dog is called Rex")
    house.embedder.asked.clear()
    assert house.engine.recall(BOB, "dog", budget=900).reason == "no_memories"
    assert house.embedder.asked == []


@pytest.mark.parametrize("query", ["", "  ", "?!"])
def test_a_question_without_words_gets_nothing(house, query):
    house.remember("My dog is called Rex")
    assert house.recall(query).status == "empty"


def test_what_the_model_reads_anyway_is_not_injected(house):
    (one,) = house.remember("My dog is called Rex")
    found = house.recall("dog called?", window=["hello", "my dog is called REX."])
    assert (found.status, found.fates) == ("empty", {one: "in_window"})


def test_a_long_turn_is_recognised_in_the_window_although_it_was_cut(house):
    text = "my dog Rex " * 300
    house.engine.start()
    house.engine.capture([said(text)])
    until(lambda: house.engine.backlog() == 0, "it is indexed")
    assert set(house.recall("dog Rex", window=[text]).fates.values()) == {"in_window"}


def test_a_failing_embedder_keeps_memories_and_words_still_find_them(house):
    house.embedder.away = True
    house.engine.capture([said("My dog is called Rex")])
    (one,) = house.remember("I like green tea")
    found = house.recall("green tea?")
    assert (found.status, found.reason, found.ids) == ("injected", "embedder_unavailable", (one,))
    assert house.recall("nothing").reason == "embedder_unavailable"
    assert house.engine.backlog() == 2


def test_what_an_absent_embedder_left_is_indexed_when_it_is_back(house):
    house.embedder.away = True
    house.engine.start()
    house.engine.capture([said("My dog is called Rex")])
    until(lambda: house.ledger.pending(9, fingerprint=house.embedder.fingerprint) == [], "it was tried")
    assert house.engine.backlog() == 1
    house.embedder.away = False
    house.clock.us += 2_000_000
    house.engine.add(BOB, [Statement("wake up")])
    house.engine.capture([said("My dog is called Rex", "and green tea", call_id="next")])
    until(lambda: house.engine.backlog() == 0, "everything is indexed")
    assert {point.vector is None for point in house.index.points.values()} == {False}


def test_an_absent_index_is_a_status_for_recall_and_an_error_for_search(house):
    house.remember("My dog is called Rex")
    house.index.away = True
    found = house.recall("dog")
    assert (found.status, found.reason) == ("error", "index_unavailable")
    with pytest.raises(IndexAway):
        house.engine.search(ALICE, "dog", limit=5, threshold=0)
    house.engine.capture([said("I like tea")])
    assert len(house.ledger.page(ALICE, limit=9)) == 2
    house.index.away = False


def test_a_bug_in_the_way_is_a_status_too(house, caplog):
    house.remember("My dog is called Rex")
    house.ledger.candidates = lambda *_, **__: 1 / 0
    found = house.recall("dog")
    assert (found.status, found.reason) == ("error", "memory_error")
    assert "memory_recall_failed" in caplog.text


def test_capture_stores_each_turn_once_however_often_it_comes(house):
    lines = [f"turn number {number}" for number in range(100)]
    calls = [said(*lines[:end], call_id=f"c{end}", thread_id="t") for end in range(1, 101)]
    first = house.engine.capture(calls)
    again = house.engine.capture(calls)
    assert (len(first.added), first.known) == (100, 4950)
    assert (again.added, again.known, again.calls) == ((), 5050, 100)


def test_a_call_without_users_words_adds_nothing(house):
    assert house.engine.capture([said()]).added == ()


def test_secrets_go_before_anything_is_stored() -> None:
    house = House(redact=lambda text: text.replace("sk-1", "[secret]"))
    house.engine.add(
        ALICE, [Statement("my key sk-1")], metadata={"a": ["sk-1", {"sk-1": "sk-1"}], "n": 1, "x": None}
    )
    house.engine.capture([said("another sk-1")])
    stored = house.ledger.page(ALICE, limit=9)
    assert "sk-1" not in repr(stored)
    assert [one.metadata for one in stored if one.metadata] == [
        {"a": ["[secret]", {"[secret]": "[secret]"}], "n": 1, "x": None}
    ]
    (one,) = [one.id for one in stored if one.metadata]
    house.engine.update(ALICE, one, "now sk-1", metadata={"k": "sk-1"})
    assert "sk-1" not in repr(house.engine.get(ALICE, one))
    house.engine.close()


@pytest.mark.parametrize("text", ["", "  \n", "x" * (MAX_GIVEN + 1)])
def test_a_text_that_cannot_be_a_memory_is_refused(house, text):
    with pytest.raises(BadMemory):
        house.remember(text)


def test_an_updated_memory_is_found_by_its_new_words_only(house):
    (one,) = house.remember("My dog is called Rex")
    house.engine.update(ALICE, one, "My cat is called Tom")
    assert house.recall("cat Tom").ids == (one,)
    assert house.recall("dog Rex").ids == ()


def test_a_deleted_memory_is_gone_from_the_index_too(house):
    (one,) = house.remember("My dog is called Rex")
    assert house.engine.delete(ALICE, one)
    assert house.index.points == {}
    assert house.recall("dog").status == "empty"


def test_searching_returns_the_best_above_the_threshold(house):
    rex, tea = house.remember("My dog is called Rex", "I like green tea")
    found = house.engine.search(ALICE, "dog Rex", limit=5, threshold=0.3)
    assert [memory.id for memory, _ in found] == [rex]
    assert {memory.id for memory, _ in house.engine.search(ALICE, "dog tea", limit=5, threshold=0)} == {
        rex,
        tea,
    }
    assert len(house.engine.search(ALICE, "dog tea", limit=1, threshold=0)) == 1


def test_confirmed_memories_know_their_calls(house):
    (one,) = house.remember("My dog is called Rex")
    assert house.engine.confirm(ALICE, "call-1", [one, "unknown"]) == 1
    assert house.engine.confirm(BOB, "call-2", [one]) == 0
    assert house.ledger.uses(ALICE, one) == ["call-1"]


def test_a_long_question_is_looked_up_by_its_ends(house):
    house.remember("My dog is called Rex")
    house.embedder.asked.clear()
    house.recall("begin " + "x " * 5000 + "end")
    (asked,) = house.embedder.asked
    assert len(asked) < 410
    assert asked.startswith("begin")
    assert asked.endswith("end")


def test_a_start_heals_what_a_kill_left(house):
    (one, two) = house.remember("My dog is called Rex", "I like tea")
    del house.index.points[one]
    ghost = house.index.points.pop(two)
    house.index.points["ghost"] = ghost
    house.embedder.asked.clear()
    house.engine.start()
    until(lambda: set(house.index.points) == {one, two}, "the index is as the ledger")
    until(lambda: house.engine.backlog() == 0, "the outbox is empty")
    assert house.embedder.asked == []  # the ledger has the vectors


def test_a_key_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    key = key_of(tmp_path / "memory")
    assert len(key) == 32
    assert key_of(tmp_path / "memory") == key != key_of(tmp_path / "other")
    assert (tmp_path / "memory/capture.key").stat().st_mode & 0o077 == 0


def test_operations_are_carried_out_and_show_as_relations(house):
    told = op("Mia works at Acme", 5, triple=("Mia", "works_at", "Acme"))
    nothing = op("Mia works at Globex", 6, evidence=())
    (change,) = house.engine.apply(ALICE, [told, nothing], "batch")
    assert (change.event, change.text) == ("ADD", "Mia works at Acme")
    assert [one.event for one in house.engine.apply(ALICE, [told], "batch")] == ["NONE"]
    (edge,) = house.ledger.edges(ALICE, [change.memory_id])
    assert (edge.source, edge.target) == ("Mia", "Acme")


def test_operations_are_carried_out_without_an_embedder_too(house):
    house.embedder.away = True
    (change,) = house.engine.apply(ALICE, [op("I like tea")], "batch")
    assert change.event == "ADD"


def test_a_check_tells_what_ledger_and_index_do_not_agree_about(house):
    (kept, lost) = house.remember("I like tea", "I like coffee")
    found = house.engine.check()
    assert (found.memories, found.points) == (2, 2)
    assert found.not_indexed == found.unwanted == found.without_vector == []
    house.index.points["ghost"] = house.index.points.pop(lost)
    found = house.engine.check()
    assert (found.not_indexed, found.unwanted) == ([lost], ["ghost"])
    left: list[int] = []
    assert house.engine.reindex_now(left.append) == 2
    assert (left[0], left[-1]) == (2, 0)
    (index,) = house.indexes.collections.values()
    assert set(index.points) == {kept, lost}
    found = house.engine.check()
    assert found.not_indexed == found.unwanted == found.without_vector == []
