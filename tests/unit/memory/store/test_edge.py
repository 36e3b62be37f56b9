from __future__ import annotations

import numpy as np
import pytest

from memory.errors import IndexAway, StoreBusy
from memory.store.edge import EdgeIndex, EdgeIndexes
from memory.store.index import Point
from tests.fakes.memory_parts import ALICE

VECTOR = np.array([1, 0, 0], dtype=np.float32)
ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def indexes(tmp_path):
    made = EdgeIndexes(tmp_path)
    yield made
    made.close()


def filled(indexes: EdgeIndexes) -> EdgeIndex:
    index = indexes.make("m", 3)
    index.put([Point(id=ID, scope=ALICE, terms={1: 1}, vector=VECTOR)])
    return index


def test_the_engine_is_locked_by_us_as_it_does_not_lock_itself(tmp_path):
    indexes = EdgeIndexes(tmp_path)
    with pytest.raises(StoreBusy):
        EdgeIndexes(tmp_path)
    indexes.close()
    indexes.close()
    EdgeIndexes(tmp_path).close()


def test_what_the_engine_refuses_is_an_index_away(indexes):
    index = indexes.make("m", 3)
    with pytest.raises(IndexAway):
        index.nearest(ALICE, np.array([1], dtype=np.float32), 5)
    with pytest.raises(IndexAway):
        index.put([Point(id="no uuid", scope=ALICE, terms={}, vector=VECTOR)])
    index.close()
    with pytest.raises(IndexAway):
        index.nearest(ALICE, VECTOR, 5)


def test_an_index_that_cannot_be_read_is_as_good_as_none(indexes, tmp_path, caplog):
    filled(indexes).close()
    for path in (tmp_path / "m").rglob("*.json"):
        path.write_bytes(b"not json")
    assert indexes.open("m", 3) is None
    assert "memory_index_unreadable" in caplog.text


def test_an_index_that_was_not_made_to_the_end_is_none(indexes, tmp_path):
    filled(indexes).close()
    (tmp_path / "m.whole").unlink()
    assert indexes.open("m", 3) is None


def test_what_is_forgotten_is_off_the_disk(indexes, tmp_path):
    filled(indexes).close()
    indexes.forget("m")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
