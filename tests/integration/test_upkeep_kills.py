"""kill -9 in the middle of the background work: nothing is lost, nothing is done twice, and all of it can be put back."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.upkeep_child import PAIRS, fill, open_tidied

ROOT = Path(__file__).parents[2]


def kill_once(folder: Path, chance: random.Random) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.upkeep_child", str(folder)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    for _ in range(chance.randint(1, PAIRS // 2)):
        assert child.stdout.readline(), child.wait()
    time.sleep(chance.uniform(0, 0.005))  # somewhere inside a slice
    child.kill()
    child.stdout.close()
    child.wait()


def storm(folder: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    tidied = open_tidied(folder)
    fill(tidied)
    before = tidied.view()
    tidied.ledger.close()
    for _ in range(kills):
        kill_once(folder, chance)
    tidied = open_tidied(folder)
    tidied.go(tidied.merge)
    tidied.go(tidied.decay)
    facts = [row for row in tidied.view().values() if row[3] == "fact"]
    assert [len(row[-1]) for row in facts if not row[-4]] == [2] * PAIRS
    proofs = [proof for row in facts for proof in row[-1]]
    assert len(proofs) == len({proof[1:] for proof in proofs}) == 2 * PAIRS
    assert tidied.store.counts()["merge"] == PAIRS
    assert tidied.store.counts()["decay"] >= 20
    for run in tidied.store.runs(limit=1000):
        tidied.store.undo(run.id, tidied.clock.us)
    assert tidied.view() == before
    tidied.ledger.close()


def test_after_a_kill_the_work_goes_on_and_can_be_undone(tmp_path: Path) -> None:
    storm(tmp_path, kills=1, seed=20261122)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(5))
def test_after_many_kills_the_work_goes_on_and_can_be_undone(tmp_path: Path, seed: int) -> None:
    storm(tmp_path, kills=10, seed=seed)
