"""kill -9 at any point between hearing and remembering: nothing is lost, nothing is there twice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.reading_child import THREADS, fact, open_reading, scope_of, turn

ROOT = Path(__file__).parents[2]


def kill_once(folder: Path, chance: random.Random) -> int:
    """Let a child work for a while and kill it somewhere inside a call; return the last call it told of."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.reading_child", str(folder)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    last = b""
    for _ in range(chance.randint(1, 6)):
        last = child.stdout.readline()
        assert last, child.wait()
    time.sleep(chance.uniform(0, 0.06))
    child.kill()
    rest = child.stdout.read().split()
    child.stdout.close()
    child.wait()
    return int((rest[-1] if rest else last)[1:])


async def storm(folder: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    told = max(kill_once(folder, chance) for _ in range(kills))
    reading = open_reading(folder)
    try:
        await reading.settle()
        heard = 0
        for user in range(THREADS):
            scope = scope_of(user)
            everything = reading.everything(scope)
            said = [one for one in everything if one.kind == "episode"]
            made = [one for one in everything if one.kind != "episode"]
            numbers = [user + THREADS * place for place in range(len(said))]
            assert sorted(one.text for one in said) == sorted(map(turn, numbers))
            assert sorted(one.text for one in made) == sorted(map(fact, numbers))
            assert {one.proof_count for one in made} <= {1}
            assert {one.state for one in reading.jobs.page(scope, limit=1000)} <= {"done"}
            heard += len(said)
        assert heard > told
    finally:
        reading.close()


async def test_after_kills_every_turn_is_remembered_and_understood_once(tmp_path: Path) -> None:
    await storm(tmp_path, kills=2, seed=20261122)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1, 2])
async def test_after_many_kills_every_turn_is_remembered_and_understood_once(
    tmp_path: Path, seed: int
) -> None:
    await storm(tmp_path, kills=15, seed=seed)
