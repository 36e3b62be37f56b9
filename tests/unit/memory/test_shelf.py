from __future__ import annotations

import numpy as np
import pytest

from memory.embed import HashedWords
from memory.errors import EmbedderAway, IndexAway
from memory.shelf import Gone, Shelf
from memory.store.sqlite import SqlLedger
from tests.fakes.memory_parts import ALICE, SetClock, draft
from tests.fakes.memory_store import IndexesInMemory, PassingLedger
from tests.fakes.reindexed import Few


def embedded(ledger: SqlLedger, fingerprint: str, dimensions: int) -> None:
    """Have vectors as a version without collections left them."""
    jobs = ledger.pending(100, fingerprint=fingerprint)
    vector = np.ones(dimensions, dtype=np.float32)
    ledger.indexed([(job, vector) for job in jobs], fingerprint=fingerprint)


def states(ledger: SqlLedger) -> dict[str, tuple[str, int]]:
    return {row.fingerprint: (row.state, row.dimensions) for row in ledger.collections.rows()}


def test_the_first_collection_is_made_at_once():
    ledger, indexes = PassingLedger(SetClock()), IndexesInMemory()
    shelf = Shelf(ledger.collections, indexes, HashedWords())
    assert shelf.answering.whole
    assert list(indexes.collections) == [HashedWords.fingerprint]


def test_a_ledger_of_before_is_served_by_whose_vectors_are_most_and_the_others_go():
    ledger = PassingLedger(SetClock())
    ledger.add(ALICE, [draft("tea"), draft("dog")])
    embedded(ledger, Few.fingerprint, 64)
    ledger.add(ALICE, [draft("boat")])
    embedded(ledger, "old/one:1", 3)
    shelf = Shelf(ledger.collections, IndexesInMemory(), HashedWords())
    assert states(ledger) == {Few.fingerprint: ("serving", 64), "old/one:1": ("leaving", 3)}
    assert {row.name for row in ledger.collections.rows()} == {Few.fingerprint, "old_one_1"}
    assert shelf.serving is None  # its collection is not there
    with pytest.raises(IndexAway):
        _ = shelf.answering


def test_a_collection_of_the_same_embedder_has_another_name():
    ledger, indexes = PassingLedger(SetClock()), IndexesInMemory()
    shelf = Shelf(ledger.collections, indexes, HashedWords())
    shelf.begin()
    name = HashedWords.fingerprint
    assert [one.kept.name for one in shelf.told] == [f"{name}.2", name]
    assert shelf.told[0].embedder is shelf.told[1].embedder


def test_a_half_built_collection_that_is_lost_is_begun_again():
    clock = SetClock()
    ledger, indexes = PassingLedger(clock), IndexesInMemory()
    shelf = Shelf(ledger.collections, indexes, HashedWords(), clock=clock)
    ledger.add(ALICE, [draft("tea")])
    shelf.begin()
    assert shelf.building is not None
    name = shelf.building.kept.name
    ledger.collections.move(name, 7)
    indexes.forget(name)
    again = Shelf(ledger.collections, indexes, HashedWords(), clock=clock)
    assert again.building is not None
    assert again.building.kept.place == 0
    assert ledger.collections.rows()[1].place == 0


def test_nobody_embeds_for_an_embedder_that_is_gone():
    with pytest.raises(EmbedderAway):
        Gone("m", 3).embed(["tea"])
