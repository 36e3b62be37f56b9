"""What Mem0 2.2.1 does wrong (seen in November 2026) and this memory does not; D4, D6 and D10 are the manager's."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memory.embed import HashedWords
from memory.errors import BadScope
from memory.opening import open_engine
from memory.records import Entity
from memory.service import AsyncMemory
from tests.fakes.memory_parts import ALICE, settled
from tests.unit.memory.test_apply import op

CANARY = "zanzibarquokka"


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[AsyncMemory]:
    opened = await AsyncMemory.open(tmp_path, lambda _: HashedWords())
    yield opened
    await opened.close()


def holding(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if CANARY.encode() in path.read_bytes()]


@pytest.mark.parametrize("key", ["user_id", "agent_id", "run_id"])
async def test_d1_a_star_is_nobody_and_never_everybody(memory: AsyncMemory, key: str) -> None:
    await memory.add(CANARY, user_id="alice")
    for filters in ({key: "*"}, {"AND": [{key: "*"}]}):
        with pytest.raises(BadScope):
            await memory.search(CANARY, filters=filters)
        with pytest.raises(BadScope):
            await memory.get_all(filters=filters)


async def test_d2_the_history_of_a_deleted_memory_has_no_words(memory: AsyncMemory) -> None:
    (one,) = (await memory.add(f"I live in {CANARY}", user_id="alice"))["results"]
    await memory.update(one["id"], f"I left {CANARY}", user_id="alice")
    assert await memory.delete(one["id"], user_id="alice")
    history = await memory.history(one["id"], user_id="alice")
    assert [entry["event"] for entry in history] == ["ADD", "UPDATE", "DELETE"]
    assert CANARY not in repr(history)


async def test_d3_no_file_holds_what_was_said_after_everything_was_deleted(
    memory: AsyncMemory, tmp_path: Path
) -> None:
    await memory.add([{"role": "user", "content": f"I live in {CANARY}"}], user_id=f"user-{CANARY}")
    await settled(memory)
    assert holding(tmp_path)
    assert await memory.delete_all(user_id=f"user-{CANARY}") == 1
    await settled(memory)
    assert holding(tmp_path) == []


async def test_d5_case_and_punctuation_make_no_second_memory(memory: AsyncMemory) -> None:
    await memory.add("I like tea", user_id="alice")
    (again,) = (await memory.add("i LIKE  tea!!", user_id="alice"))["results"]
    assert again["event"] == "NONE"
    assert len((await memory.get_all(user_id="alice"))["results"]) == 1


def test_d7_what_memories_are_linked_by_is_kept(tmp_path: Path) -> None:
    scope = ALICE
    for opening in range(2):
        engine = open_engine(tmp_path, lambda _: HashedWords())
        if not opening:
            linked = op("Mia owns Rex", 1, triple=("Mia", "owns", "Rex"), entities=(Entity("Rex", "dog"),))
            engine.apply(scope, [linked], "batch")
        (edge,) = engine.ledger.graph(scope, limit=5).edges
        assert (edge.source, edge.relationship, edge.target) == ("Mia", "owns", "Rex")
        assert [hop for _, hop in engine.ledger.about(scope, ["mia"])] == [1]
        engine.close()


async def test_d8_the_scope_may_stand_in_an_and(memory: AsyncMemory) -> None:
    await memory.add("I like tea", user_id="alice")
    filters = {"AND": [{"user_id": "alice"}, {"metadata": {}}]}
    assert len((await memory.get_all(filters=filters))["results"]) == 1
    assert len((await memory.search("tea", filters=filters))["results"]) == 1
    nothing = {"AND": [{"user_id": "alice"}, {"kind": "plan"}]}
    assert (await memory.search("tea", filters=nothing))["results"] == []


async def test_d9_words_are_searched_without_a_network(
    memory: AsyncMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("somebody dials")

    monkeypatch.setattr(socket.socket, "connect", refused)
    await memory.add("The code is xyzzy", user_id="alice")
    assert len((await memory.search("xyzzy", user_id="alice"))["results"]) == 1
