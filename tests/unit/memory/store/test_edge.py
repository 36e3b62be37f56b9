from __future__ import annotations

import numpy as np
import pytest

from memory.errors import IndexAway, StoreBusy
from memory.store.edge import EdgeIndex
from memory.store.index import Point
from tests.fakes.memory_parts import ALICE

VECTOR = np.array([1, 0, 0], dtype=np.float32)
ID = "00000000-0000-4000-8000-000000000001"


def test_the_engine_is_locked_by_us_as_it_does_not_lock_itself(tmp_path):
    index = EdgeIndex(tmp_path, fingerprint="m", dimensions=3)
    with pytest.raises(StoreBusy):
        EdgeIndex(tmp_path, fingerprint="m", dimensions=3)
    index.close()
    index.close()
    EdgeIndex(tmp_path, fingerprint="m", dimensions=3).close()


def test_each_embedder_has_a_folder_of_its_own(tmp_path):
    index = EdgeIndex(tmp_path, fingerprint="model/a:1", dimensions=3)
    index.put([Point(id=ID, scope=ALICE, terms={1: 1}, vector=VECTOR)])
    index.close()
    other = EdgeIndex(tmp_path, fingerprint="model/b", dimensions=2)
    assert list(other.ids()) == []
    other.close()
    again = EdgeIndex(tmp_path, fingerprint="model/a:1", dimensions=3)
    assert list(again.ids()) == [ID]
    again.close()
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"model_a_1", "model_b"}


def test_what_the_engine_refuses_is_an_index_away(tmp_path):
    index = EdgeIndex(tmp_path, fingerprint="m", dimensions=3)
    with pytest.raises(IndexAway):
        index.nearest(ALICE, np.array([1], dtype=np.float32), 5)
    with pytest.raises(IndexAway):
        index.put([Point(id="no uuid", scope=ALICE, terms={}, vector=VECTOR)])
    index.close()


def test_an_index_that_cannot_be_read_begins_anew(tmp_path, caplog):
    index = EdgeIndex(tmp_path, fingerprint="m", dimensions=3)
    index.put([Point(id=ID, scope=ALICE, terms={1: 1}, vector=VECTOR)])
    index.close()
    for path in (tmp_path / "m").rglob("*.json"):
        path.write_bytes(b"not json")
    fresh = EdgeIndex(tmp_path, fingerprint="m", dimensions=3)
    assert list(fresh.ids()) == []
    assert "memory_index_unreadable" in caplog.text
    fresh.close()


def test_a_folder_that_cannot_be_made_is_not_left_locked(tmp_path):
    (tmp_path / "m").write_text("in the way")
    for _ in range(2):
        with pytest.raises(FileExistsError):
            EdgeIndex(tmp_path, fingerprint="m", dimensions=3)
