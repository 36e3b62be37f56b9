"""What every index of memories does.

The adapter for a Qdrant server is run against the client's own local mode: there is no server among the packages.
Local mode keeps no payload indexes and answers by comparing with every point.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from qdrant_client import QdrantClient

from memory.embed import HashedWords
from memory.scope import Scope, sees
from memory.sparse import terms
from memory.store.edge import EdgeIndexes
from memory.store.index import Index, Indexes, Point
from memory.store.qdrant import QdrantIndexes
from tests.contract.test_memory_ledger import SCOPES
from tests.fakes.memory_parts import ALICE
from tests.fakes.memory_store import IndexesInMemory

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
EMBEDDER = HashedWords()


def _edge(folder: Path) -> Indexes:
    return EdgeIndexes(folder)


def _server(_: Path) -> Indexes:
    return QdrantIndexes(QdrantClient(":memory:"))


@pytest.fixture(params=[_edge, _server, lambda _: IndexesInMemory()], ids=["edge", "server", "memory"])
def indexes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Indexes]:
    made: Indexes = request.param(tmp_path)
    yield made
    made.close()


@pytest.fixture
def index(indexes: Indexes) -> Iterator[Index]:
    made = indexes.make("model-1", EMBEDDER.dimensions)
    yield made
    made.close()


def point(text: str, scope: Scope = ALICE, *, embedded: bool = True) -> Point:
    vector = EMBEDDER.embed([text])[0] if embedded else None
    return Point(id=str(uuid.uuid4()), scope=scope, terms=terms(text), vector=vector)


def near(index: Index, text: str, scope: Scope = ALICE, limit: int = 10) -> list[str]:
    return [hit.id for hit in index.nearest(scope, EMBEDDER.embed([text])[0], limit)]


def match(index: Index, text: str, scope: Scope = ALICE, limit: int = 10) -> list[str]:
    return [hit.id for hit in index.matching(scope, dict.fromkeys(terms(text), 1.0), limit)]


def test_the_nearest_comes_first_with_its_cosine(index: Index) -> None:
    tea, coffee = point("green tea in the morning"), point("coffee at night")
    index.put([coffee, tea])
    hits = index.nearest(ALICE, EMBEDDER.embed(["green tea in the morning"])[0], 10)
    assert [hit.id for hit in hits] == [tea.id, coffee.id]
    assert hits[0].score == pytest.approx(1, abs=1e-5)
    assert near(index, "green tea", limit=1) == [tea.id]


def test_words_find_what_shares_them_and_rare_ones_count_more(index: Index) -> None:
    tea, dog, other = point("green tea"), point("green dog"), point("blue boat")
    index.put([tea, dog, other])
    assert sorted(match(index, "green")) == sorted([tea.id, dog.id])
    (green,), (rex,) = terms("green"), terms("dog")
    hits = index.matching(ALICE, {green: 0.1, rex: 5.0}, 10)
    assert [hit.id for hit in hits] == [dog.id, tea.id]
    assert index.matching(ALICE, {}, 10) == []


def test_a_search_never_leaves_its_scope(index: Index) -> None:
    points = [point("canary", writer) for writer in SCOPES]
    index.put(points)
    for reader in SCOPES:
        visible = sorted(one.id for one in points if sees(reader, one.scope))
        assert 0 < len(visible) < len(points)
        assert sorted(near(index, "canary", reader, 100)) == visible
        assert sorted(match(index, "canary", reader, 100)) == visible


def test_a_point_without_a_vector_is_found_by_its_words_alone(index: Index) -> None:
    one = point("green tea", embedded=False)
    index.put([one])
    assert match(index, "tea") == [one.id]
    assert near(index, "green tea") == []
    index.put([msgspec.structs.replace(one, vector=EMBEDDER.embed(["green tea"])[0])])
    assert near(index, "green tea") == [one.id]


def test_putting_again_replaces(index: Index) -> None:
    one = point("green tea")
    index.put([one])
    fresh = msgspec.structs.replace(point("blue boat"), id=one.id)
    index.put([fresh])
    assert list(index.ids()) == [one.id]
    assert match(index, "tea") == []
    assert match(index, "boat") == [one.id]


def test_dropping_removes_and_forgives(index: Index) -> None:
    one, two = point("green tea"), point("green boat")
    index.put([one, two])
    index.drop([one.id, str(uuid.uuid4())])
    index.drop([])
    assert list(index.ids()) == [two.id]
    assert match(index, "green") == [two.id]
    assert near(index, "green") == [two.id]


def test_all_ids_are_told_whoever_they_belong_to(index: Index) -> None:
    points = [point(f"number {number}", SCOPES[number % len(SCOPES)]) for number in range(2100)]
    index.put(points)
    assert sorted(index.ids()) == sorted(one.id for one in points)


def test_it_is_told_which_points_are_there(index: Index) -> None:
    one, two = point("green tea"), point("blue boat")
    index.put([one, two])
    assert index.present([one.id, str(uuid.uuid4())]) == {one.id}
    assert index.present([]) == set()


def test_collections_lie_side_by_side_and_go_one_by_one(indexes: Indexes) -> None:
    assert indexes.open("new", EMBEDDER.dimensions) is None
    old, new = (indexes.make(name, EMBEDDER.dimensions) for name in ("old", "new"))
    one, two = point("green tea"), point("blue boat")
    old.put([one])
    new.put([two])
    assert (list(old.ids()), list(new.ids())) == ([one.id], [two.id])
    old.close()
    indexes.forget("old")
    indexes.forget("old")
    assert indexes.open("old", EMBEDDER.dimensions) is None
    assert near(new, "blue boat") == [two.id]
    new.close()
    again = indexes.open("new", EMBEDDER.dimensions)
    assert again is not None
    assert list(again.ids()) == [two.id]
    again.close()


def test_what_is_made_again_is_empty(indexes: Indexes) -> None:
    made = indexes.make("m", EMBEDDER.dimensions)
    made.put([point("green tea")])
    made.close()
    made = indexes.make("m", EMBEDDER.dimensions)
    assert list(made.ids()) == []
    made.close()
