from __future__ import annotations

from pathlib import Path

from memory.upkeep.undoing import passes, undo
from tests.fakes.upkeep_child import open_tidied


def test_a_pass_is_listed_and_put_back_beside_a_house_that_is_running(tmp_path: Path) -> None:
    house = open_tidied(tmp_path)
    for at_us, word in enumerate(("just", "really"), 1):
        house.add(f"user {word} likes green tea", occurred_at_us=at_us)
    run = house.go(house.merge)
    assert [(one.id, one.state, one.changed) for one in passes(tmp_path)] == [(run, "done", 1)]
    assert undo(tmp_path, "upkeep:merge:none") is None
    assert undo(tmp_path, run) == 1
    assert len(house.texts()) == 2
    assert passes(tmp_path)[0].state == "undone"
