"""A new collection of the index takes the old one's place while everything goes on, whatever ledger and index are used."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from memory.embed import HashedWords
from memory.given import Statement
from memory.scope import Scope
from memory.store.edge import EdgeIndexes
from memory.store.index import Indexes
from memory.store.qdrant import QdrantIndexes
from memory.store.sqlite_connections import SqliteConnections
from tests.fakes.memory_databases import Database
from tests.fakes.memory_parts import ALICE, BOB
from tests.fakes.memory_store import IndexesInMemory
from tests.fakes.reindexed import Few, Killed, Reindexed

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
STEPS = 220


@pytest.fixture(params=["edge", "server"])
def indexes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Indexes]:
    edge = request.param == "edge"
    made: Indexes = EdgeIndexes(tmp_path / "index") if edge else QdrantIndexes(QdrantClient(":memory:"))
    yield made
    made.close()


class Story:
    """Random things that happen to a memory, and what must hold after each of them."""

    def __init__(self, house: Reindexed, seed: int) -> None:
        self.house = house
        self.chance = random.Random(seed)
        self.there: list[tuple[Scope, str]] = []
        self.erased: set[str] = set()
        self.said = 0

    def add(self) -> None:
        """Remember one to five things."""
        scope = self.chance.choice((ALICE, BOB))
        words = [f"number {self.said + place} of many things" for place in range(self.chance.randint(1, 5))]
        self.said += len(words)
        added = self.house.engine.add(scope, [Statement(text) for text in words])
        self.there += [(scope, one) for one, _, _ in added]

    def say(self) -> None:
        """Capture something, to be indexed later."""
        self.said += 1
        (one,) = self.house.ledger.add(BOB, [self.house.engine._draft(f"said {self.said}", "user", 1, {})])
        self.there.append((BOB, one[0]))

    def change(self) -> None:
        """Give one another text."""
        if self.there:
            scope, one = self.chance.choice(self.there)
            self.said += 1
            self.house.engine.update(scope, one, f"changed to {self.said}")

    def erase(self) -> None:
        """Delete one."""
        if self.there:
            scope, one = self.there.pop(self.chance.randrange(len(self.there)))
            self.house.engine.delete(scope, one)
            self.erased.add(one)

    def erase_all(self) -> None:
        """Delete all of a user."""
        if self.chance.random() < 0.1:
            self.house.engine.delete_all(ALICE)
            self.there = [(scope, one) for scope, one in self.there if scope != ALICE]

    def turn(self) -> None:
        """Change the settings, or ask for the same again."""
        self.house.known = self.chance.random() < 0.7
        if self.chance.random() < 0.5:
            self.house.engine.reindex()
        else:
            self.house.change(HashedWords() if isinstance(self.house.embedder, Few) else Few())

    def step(self) -> None:
        """Have something happen, or the house killed in the middle of it."""
        house = self.house
        house.clock.us += 20_000_000
        does: list[tuple[Callable[[], object], int]] = [
            (self.add, 5), (self.say, 3), (self.change, 3), (self.erase, 3), (self.erase_all, 1),
            (self.turn, 1), (house.index, 3), (house.build, 16),
        ]  # fmt: skip
        (what,) = self.chance.choices([one for one, _ in does], [weight for _, weight in does])
        if self.chance.random() < 0.12:
            house.fuse.left = self.chance.randint(1, 12)
        try:
            what()
        except Killed:
            house.kill()
        house.fuse.left = 0
        self.holds()

    def holds(self) -> None:
        """Check that nothing is resurrected, and that what answers is whole."""
        ledger = self.house.ledger
        waiting = self.house.waiting()
        for opened in self.house.shelf.told:
            present = set(opened.index.ids())
            assert not self.erased & present - waiting
            if opened.whole:
                assert ledger.shown(fingerprint="").keys() - waiting <= present


def ends_well(house: Reindexed) -> None:
    house.kill()
    house.rest()
    found = house.engine.check()
    assert found.not_indexed == found.unwanted == found.without_vector == []
    assert house.waiting() == set()
    (kept,) = house.ledger.collections.rows()
    assert (kept.state, kept.fingerprint) == ("serving", house.embedder.fingerprint)
    assert house.indexes.names == {kept.name}
    for fingerprint in (HashedWords.fingerprint, Few.fingerprint):
        mine = fingerprint == kept.fingerprint
        assert house.count("vectors", fingerprint) == (found.memories if mine else 0)
        assert mine or house.count("vector_sums", fingerprint) == 0
    for scope in (ALICE, BOB):
        numbers = house.ledger.statistics(scope, [], fingerprint=kept.fingerprint)
        assert numbers.vectors == numbers.documents


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_meanwhile_ledger_and_index_agree_in_the_end(
    memory_database: Database, seed: int
) -> None:
    story = Story(Reindexed(memory_database.open(), IndexesInMemory()), seed)
    for _ in range(STEPS):
        story.step()
    ends_well(story.house)
    assert story.house.engine.check().memories > 0


def test_both_indexes_are_built_anew_among_kills(tmp_path: Path, indexes: Indexes) -> None:
    connections = SqliteConnections(tmp_path / "memory.sqlite3")
    story = Story(Reindexed(connections, indexes), 20261122)
    for _ in range(STEPS):
        story.step()
    ends_well(story.house)
    story.house.shelf.close()
    connections.close()


@pytest.mark.parametrize("seed", range(3))
def test_several_hubs_over_one_ledger_and_index_agree(memory_database: Database, seed: int) -> None:
    indexes, connections = IndexesInMemory(), memory_database.open()
    stories = [Story(Reindexed(connections, indexes, shared=True), seed * 2 + hub) for hub in range(2)]
    chance = random.Random(seed)
    for step in range(STEPS):
        story = chance.choice(stories)
        story.house.clock.us += 20_000_000
        if step % 50 == 25:
            for one in stories:  # the new settings; the other hub goes by them when it begins again
                one.house.embedder = (Few, HashedWords)[step // 50 % 2]()
            story.house.kill()
        chance.choice(
            [story.add, story.say, story.change, story.erase, story.house.index, *[story.house.build] * 2]
        )()
    for story in stories:
        story.house.rest()
    found = stories[0].house.engine.check()
    assert found.not_indexed == found.unwanted == found.without_vector == []
    assert stories[0].house.waiting() == set()
    (kept,) = stories[0].house.ledger.collections.rows()
    assert (kept.state, list(indexes.collections)) == ("serving", [kept.name])
    assert found.memories > 20
