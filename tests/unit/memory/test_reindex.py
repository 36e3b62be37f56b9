from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from typing_extensions import override

from memory.embed import HashedWords
from memory.given import Statement
from memory.records import Vector
from memory.reindex import Builder
from memory.shelf import Shelf
from memory.sparse import terms
from memory.store.sqlite_connections import SqliteConnections
from tests.fakes.memory_parts import ALICE, Moody
from tests.fakes.memory_store import IndexesInMemory
from tests.fakes.reindexed import Few, Interrupted, Reindexed

OLD, NEW = HashedWords.fingerprint, Few.fingerprint


class House(Reindexed):
    """With its collections at hand."""

    def __init__(self, folder: Path) -> None:
        self.stores = IndexesInMemory()
        super().__init__(SqliteConnections(folder / "memory.sqlite3"), self.stores)

    def remember(self, *texts: str) -> list[str]:
        """Add them; return their ids."""
        return [one for one, _, _ in self.engine.add(ALICE, [Statement(text) for text in texts])]

    def many(self, count: int) -> list[str]:
        """Add as many."""
        return self.remember(*(f"number {number} of many things" for number in range(count)))

    def points(self, name: str) -> set[str]:
        """Return what a collection has."""
        return set(self.stores.collections[name].points)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.shelf.close()
    made.ledger._connections._connections.close()  # type: ignore[attr-defined]


def slices(house: House, count: int) -> None:
    for _ in range(count):
        assert house.build()


def test_the_old_collection_answers_by_its_own_embedder_until_the_new_one_is_whole(house: House) -> None:
    (dog,) = house.remember("My dog is called Rex")
    house.many(40)
    house.change(Few())
    slices(house, 2)
    progress = house.engine.reindexing()
    assert progress is not None
    assert (progress["seen"], progress["left"], progress["answered_by"]) == (32, 9, OLD)
    found = house.engine.recall(ALICE, "how is my dog called?", budget=500)
    assert (found.ids, found.reason) == ((dog,), "")
    house.rest()
    assert house.engine.reindexing() is None
    assert set(house.stores.collections) == {NEW}
    assert house.count("vectors", OLD) == house.count("vector_sums", OLD) == 0
    found = house.engine.recall(ALICE, "how is my dog called?", budget=500)
    assert (found.ids, found.reason) == ((dog,), "")


def test_what_an_embedder_made_that_is_gone_is_found_by_its_words(house: House) -> None:
    (dog,) = house.remember("My dog is called Rex")
    house.known = False
    house.change(Few())
    (cat,) = house.remember("My cat is called Tom")
    for question, one in (("how is my dog called?", dog), ("how is my cat called?", cat)):
        found = house.engine.recall(ALICE, question, budget=500)
        assert (found.ids[0], found.reason) == (one, "embedder_unavailable")


def test_a_lost_collection_is_built_anew_while_the_latest_memories_answer(house: House) -> None:
    house.many(40)
    (dog,) = house.remember("My dog is called Rex")
    house.stores.collections.clear()
    house.kill()
    progress = house.engine.reindexing()
    assert progress is not None
    assert (progress["left"], progress["answered_by"]) == (41, "")
    found = house.engine.recall(ALICE, "how is my dog called?", budget=500)
    assert (found.ids, found.reason) == ((dog,), "index_incomplete")
    house.rest()
    assert house.engine.recall(ALICE, "how is my dog called?", budget=500).reason == ""
    assert len(house.points(f"{OLD}.2")) == 41


def test_a_few_lost_points_are_put_back_and_many_make_a_new_collection(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.indexer._HEALED", 2)
    ids = house.many(5)
    for lost in (2, 3):
        for one in ids[:lost]:
            del house.stores.collections[OLD].points[one]
        house.kill()
        house.rest()
        assert {2: [OLD], 3: [f"{OLD}.2"]}[lost] == list(house.stores.collections)
        assert len(house.points(*house.stores.collections)) == 5


def test_each_write_goes_to_both_and_an_erasure_leaves_both_at_once(house: House) -> None:
    ids = house.many(20)
    house.change(Few())
    slices(house, 1)
    (new,) = house.remember("My dog is called Rex")
    assert new in house.points(OLD)
    assert new in house.points(NEW)
    assert house.count("vectors", OLD) == 21
    for one in (new, ids[0], ids[-1]):
        assert house.engine.delete(ALICE, one)
        assert not {one} & (house.points(OLD) | house.points(NEW))


@pytest.mark.parametrize("change", ["erased", "changed"])
def test_what_changes_while_the_builder_embeds_it_is_not_put_back(house: House, change: str) -> None:
    (dog, _) = house.remember("My dog is called Rex", "I like tea")
    embedder = Interrupted()
    house.change(embedder)
    happening: dict[str, Callable[[], object]] = {
        "erased": lambda: house.engine.delete(ALICE, dog),
        "changed": lambda: house.engine.update(ALICE, dog, "My cat is called Tom"),
    }
    embedder.happens.append(happening[change])
    assert house.build()
    found = {
        hit.id for hit in house.stores.collections[NEW].matching(ALICE, dict.fromkeys(terms("dog"), 1.0), 9)
    }
    assert found == set()
    assert (dog in house.points(NEW)) == (change == "changed")
    house.rest()
    assert house.engine.check().without_vector == []


def test_the_last_look_drops_what_nobody_wants_and_puts_in_what_is_missing(house: House) -> None:
    ids = house.many(40)
    house.change(Few())
    slices(house, 3)
    new = house.stores.collections[NEW].points
    new["ghost"] = new.pop(ids[20])
    house.rest()
    assert house.points(NEW) == {*ids}


def test_after_a_kill_it_goes_on_where_it_was(house: House) -> None:
    house.many(50)
    embedder = Moody()
    embedder.fingerprint = NEW
    house.change(embedder)
    slices(house, 2)
    house.kill()
    house.rest()
    assert len(embedder.asked) == 50


def test_vectors_that_are_known_are_not_made_again(house: House) -> None:
    house.change(Moody())
    house.many(20)
    assert isinstance(house.embedder, Moody)
    house.embedder.asked.clear()
    house.engine.reindex()
    house.engine.reindex()  # is under way already
    house.rest()
    assert house.embedder.asked == []
    assert list(house.stores.collections) == [f"{OLD}.2"]
    assert house.count("vectors", OLD) == 20


def test_settings_that_come_back_end_the_building(house: House) -> None:
    ids = house.many(40)
    house.change(Few())
    slices(house, 2)
    house.change(HashedWords())
    assert house.engine.reindexing() is None
    house.rest()
    assert house.points(OLD) == {*ids}
    assert list(house.stores.collections) == [OLD]
    assert house.count("vectors", NEW) == house.count("vector_sums", NEW) == 0


def test_without_its_embedder_the_building_waits_and_says_so(house: House) -> None:
    house.many(3)
    embedder = Moody()
    embedder.fingerprint, embedder.away = NEW, True
    house.change(embedder)
    assert not house.build()
    progress = house.engine.reindexing()
    assert progress is not None
    assert (progress["left"], progress["waits_for"]) == (3, "embedder_unavailable")
    embedder.away = False
    assert not house.build()  # not yet
    house.engine.reindex()  # or a second later
    assert house.build()
    assert house.engine.reindexing()["waits_for"] == ""  # type: ignore[index]


class Surprised(HashedWords):
    """While it embeds a question, another collection takes the place of the one that is going to be asked."""

    surprise: Callable[[], None] = staticmethod(lambda: None)

    @override
    def embed(self, texts: Sequence[str]) -> list[Vector]:
        found = super().embed(texts)
        self.surprise()
        return found


def test_a_search_under_way_at_the_cut_over_asks_the_new_collection(house: House) -> None:
    embedder = Surprised()
    house.change(embedder)
    (dog,) = house.remember("My dog is called Rex")
    before = house.stores.collections[OLD]

    def cut_over() -> None:
        embedder.surprise = lambda: None
        house.engine.reindex()
        house.rest()
        before.away = True

    embedder.surprise = cut_over
    found = house.engine.recall(ALICE, "how is my dog called?", budget=500)
    assert (found.status, found.ids) == ("injected", (dog,))


def test_a_hub_that_does_not_know_of_the_new_collection_yet_tells_it_all_the_same(house: House) -> None:
    """As two hubs over one ledger: this one has looked before the other began."""
    (dog,) = house.remember("My dog is called Rex")
    other = Shelf(house.ledger.collections, house.stores, Few(), former=house._former, clock=house.clock)
    other.begin()
    builder = Builder(other, house.clock)
    while builder.left():
        assert builder.slice()
    house.engine.update(ALICE, dog, "My cat is called Tom")
    assert house.stores.collections[NEW].points[dog].terms == terms("My cat is called Tom")
    assert house.waiting() == set()


def test_only_one_of_several_hubs_builds_until_it_has_been_silent_for_long(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.many(60)
    monkeypatch.setattr(house.ledger._connections, "shared", True)
    house.change(Few())
    one, other = Builder(house.shelf, house.clock), Builder(house.shelf, house.clock)
    assert one.slice()
    assert not other.slice()
    house.clock.us += 61_000_000
    assert other.slice()
    assert not one.slice()
    assert other.left() == 28
