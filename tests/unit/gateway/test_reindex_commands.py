from __future__ import annotations

from memory.embed import HashedWords
from memory.opening import open_engine
from tests.unit.gateway.test_memory_commands import told
from tests.unit.memory.test_calibration import filled


def test_in_a_house_that_is_down_it_is_done_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("memory.local.embedder_here", lambda folder: HashedWords())
    filled(tmp_path / "memory", 40).close()
    status, output = told(tmp_path, "reindex")
    assert status == 0
    assert output.startswith("40 left\n")
    assert output.endswith("0 left\n40 memories are indexed.\n")
    engine = open_engine(tmp_path / "memory", lambda folder: HashedWords(), start=False)
    found = engine.check()
    engine.close()
    assert (found.points, found.not_indexed, found.without_vector) == (40, [], [])


def test_nothing_goes_on_in_a_house_that_is_down(tmp_path, capfd):
    status, _ = told(tmp_path, "progress")
    assert status == 1
