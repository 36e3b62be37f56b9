"""The memory service over its real stores: restarts, kills, lost files, erasure."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from memory.embed import HashedWords
from memory.errors import StoreBusy
from memory.opening import open_engine
from memory.records import Entity, Evidence, Operation
from memory.scope import Scope
from memory.service import AsyncMemory
from memory.sparse import terms
from memory.store.edge import EdgeIndexes
from tests.fakes.contents import holding
from tests.fakes.memory_child import THREADS, scope_of, turn
from tests.fakes.memory_parts import said, settled

ROOT = Path(__file__).parents[2]
DOG = "My dog is called Rex"
KILLS = 8


def words(folder: Path) -> HashedWords:
    return HashedWords()


async def test_memories_survive_a_restart_and_a_change_of_model(tmp_path):
    class Other(HashedWords):
        fingerprint = "another-model"

    for embedder in (words, words, lambda folder: Other()):
        memory = await AsyncMemory.open(tmp_path, embedder)
        await memory.add(DOG, user_id="alice")
        await settled(memory)
        assert len((await memory.search("dog", user_id="alice"))["results"]) == 1
        await memory.close()


async def test_a_folder_has_one_owner(tmp_path):
    memory = await AsyncMemory.open(tmp_path, words)
    with pytest.raises(StoreBusy):
        await AsyncMemory.open(tmp_path, words)
    await memory.close()


async def test_an_index_that_was_lost_is_rebuilt(tmp_path):
    memory = await AsyncMemory.open(tmp_path, words)
    await memory.add(DOG, user_id="alice")
    await memory.close()
    (marker,) = (tmp_path / "index").glob("*.whole")
    marker.unlink()
    memory = await AsyncMemory.open(tmp_path, words)
    await settled(memory)
    assert len((await memory.search("dog", user_id="alice"))["results"]) == 1
    await memory.close()


async def test_no_store_keeps_a_word_of_what_was_erased(tmp_path):
    canary, other = "zanzibarquokka", "kumquatnebula"
    memory = await AsyncMemory.open(tmp_path, words)
    scope = Scope(project="default", environment="prod", user="alice")
    await memory.capture([said(f"I live in {canary}", "hello", call_id="c1", scope=scope)])
    (one,) = (await memory.add(f"I moved to {canary}", user_id="alice", metadata={"x": canary}))["results"]
    await memory.update(one["id"], f"I left {canary}", user_id="alice")
    await memory.add(f"I live in {other}", user_id="bob")
    await settled(memory)
    assert holding(tmp_path, canary.encode())
    assert await memory.delete_all(user_id="alice") == 3
    await settled(memory)
    assert holding(tmp_path, canary.encode()) == []
    assert holding(tmp_path, other.encode())
    again = await memory.capture([said(f"I live in {canary}", "hello", call_id="c2", scope=scope)])
    assert again.added == ()
    await memory.close()
    assert holding(tmp_path, canary.encode()) == []


def test_no_store_keeps_a_word_of_operations_that_were_erased(tmp_path):
    canary = "zanzibarquokka"
    scope = Scope(project="p", environment="prod", user=f"user {canary}")
    engine = open_engine(tmp_path, words)
    quote = (Evidence(call_id="c1", message_index=0, quote=f"My {canary} lives in Oslo"),)
    told = [
        Operation(
            op="ADD",
            text=f"The user's {canary} {state}",
            occurred_at_us=at_us,
            subject=canary,
            predicate="lives_in",
            object=place,
            evidence=quote,
            entities=(Entity(f"Old {canary}", "animal"),),
            sensitivity=canary,
        )
        for at_us, place, state in ((1, "Oslo", "lives in Oslo"), (2, f"{canary}ville", "moved away"))
    ]
    engine.apply(scope, told, f"batch {canary}"[:5])
    (one,) = engine.ledger.page(scope, limit=5)
    assert holding(tmp_path, canary.encode())
    assert engine.update(scope, one.id, f"The {canary} is back")
    assert engine.delete_all(scope) == 2
    engine.apply(scope, told, "again")
    assert engine.ledger.page(scope, limit=5) == []
    engine.close()
    assert holding(tmp_path, canary.encode()) == []


def test_after_kills_each_turn_is_one_memory_and_one_point(tmp_path):
    chance = random.Random(20261121)
    acknowledged = -1
    for seed in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.memory_child", str(tmp_path), str(seed)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        for _ in range(chance.randint(1, 12)):
            line = child.stdout.readline()
            assert line, child.wait()
            acknowledged = max(acknowledged, int(line[1:]))
        time.sleep(chance.uniform(0, 0.01))  # somewhere inside the work that follows
        child.kill()
        rest = child.stdout.read()
        child.stdout.close()
        child.wait()
        acknowledged = max([acknowledged, *(int(one) for one in rest.replace(b"c", b"").split())])

    engine = open_engine(tmp_path, words)
    end = time.monotonic() + 20
    while engine.backlog():
        assert time.monotonic() < end
        time.sleep(0.002)
    captured = []
    for number in range(THREADS):
        scope = scope_of(number)
        mine = engine.ledger.page(scope, limit=10_000)
        captured += mine
        expected = itertools.islice(itertools.count(number, THREADS), len(mine))
        # every turn up to some call, each as often as it was said
        assert Counter(one.text for one in mine) == Counter(turn(one) for one in expected)
        for one in mine:
            assert [version.event for version in engine.ledger.history(scope, one.id)] == ["ADD"]
            assert len(engine.ledger.evidence(scope, one.id)) == 1
        numbers = engine.ledger.statistics(scope, [], fingerprint=HashedWords.fingerprint)
        assert numbers.documents == numbers.vectors == len(mine)
        assert numbers.length == sum(sum(terms(one.text).values()) for one in mine)
    assert len(captured) > acknowledged  # calls begin at 0
    engine.close()

    indexes = EdgeIndexes(tmp_path / "index")
    index = indexes.open(HashedWords.fingerprint, 384)
    assert index is not None
    assert sorted(index.ids()) == sorted(one.id for one in captured)
    index.close()
    indexes.close()
