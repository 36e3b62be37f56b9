from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from memory.embed import HashedWords
from memory.errors import BadMemory, BadScope, StoreBusy
from memory.scope import Scope
from memory.service import AsyncMemory
from tests.fakes.memory_parts import KEY, said, settled
from tests.fakes.memory_store import service

DOG = "My dog is called Rex"


@pytest_asyncio.fixture
async def memory() -> AsyncIterator[AsyncMemory]:
    made = service(key=KEY)
    yield made
    await made.close()


async def test_results_have_mem0s_shapes(memory):
    (added,) = (await memory.add(DOG, user_id="alice", metadata={"a": 1}))["results"]
    assert added == {"id": added["id"], "memory": DOG, "event": "ADD"}
    row = await memory.get(added["id"], user_id="alice")
    assert row == {
        "id": added["id"],
        "memory": DOG,
        "metadata": {"a": 1},
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
        "role": "user",
        "user_id": "alice",
    }
    assert (await memory.get_all(user_id="alice"))["results"] == [row]
    (hit,) = (await memory.search("dog", user_id="alice"))["results"]
    assert hit == {**row, "score": hit["score"]}
    assert 0.1 <= hit["score"] <= 1
    changed = await memory.update(added["id"], "My dog is called Max", user_id="alice")
    assert changed["memory"] == "My dog is called Max"
    history = await memory.history(added["id"], user_id="alice")
    assert [(one["event"], one["old_memory"], one["new_memory"], one["is_deleted"]) for one in history] == [
        ("ADD", None, DOG, False),
        ("UPDATE", DOG, "My dog is called Max", False),
    ]
    assert await memory.delete(added["id"], user_id="alice") is True
    assert await memory.get(added["id"], user_id="alice") is None
    assert await memory.delete_all(user_id="alice") == 0


async def test_each_message_is_a_memory_but_system_prompts_are_not(memory):
    stored = await memory.add(
        [
            {"role": "system", "content": "You are Rex"},
            {"role": "user", "content": "I like tea"},
            {"role": "assistant", "content": "Noted: green tea"},
        ],
        agent_id="guide",
    )
    assert [one["memory"] for one in stored["results"]] == ["I like tea", "Noted: green tea"]
    rows = (await memory.get_all(agent_id="guide"))["results"]
    assert [row["role"] for row in rows] == ["assistant", "user"]
    assert (await memory.add({"role": "user", "content": "I LIKE TEA"}, agent_id="guide"))["results"][0][
        "event"
    ] == "NONE"


@pytest.mark.parametrize(
    "call",
    [
        lambda memory, ids: memory.add(DOG, **ids),
        lambda memory, ids: memory.search("dog", **ids),
        lambda memory, ids: memory.get("x", **ids),
        lambda memory, ids: memory.get_all(**ids),
        lambda memory, ids: memory.update("x", "y", **ids),
        lambda memory, ids: memory.delete("x", **ids),
        lambda memory, ids: memory.delete_all(**ids),
        lambda memory, ids: memory.history("x", **ids),
    ],
    ids=["add", "search", "get", "get_all", "update", "delete", "delete_all", "history"],
)
@pytest.mark.parametrize(
    "ids", [{}, {"user_id": "*"}, {"user_id": "alice", "run_id": "*"}, {"user_id": {"ne": "x"}}]
)
async def test_a_call_for_nobody_or_everybody_is_refused(memory, call, ids):
    with pytest.raises(BadScope):
        await call(memory, ids)


@pytest.mark.parametrize(
    "filters",
    [
        {"OR": [{"user_id": "alice"}, {"user_id": "bob"}]},
        {"NOT": [{"user_id": "alice"}]},
        {"user_id": "bob"},
        {"project": "other"},
        {"metadata": {"user_id": "bob"}},
    ],
)
async def test_filters_cannot_widen_a_scope(memory, filters):
    with pytest.raises(BadMemory):
        await memory.search("dog", user_id="alice", filters=filters)
    with pytest.raises(BadMemory):
        await memory.get_all(user_id="alice", filters=filters)


@pytest.mark.parametrize("value", ["*", {"in": ["alice", "bob"]}, ["alice", "bob"], None, ""])
async def test_a_filter_must_be_one_id(memory, value):
    with pytest.raises(BadScope):
        await memory.search("dog", filters={"user_id": value})


async def test_filters_may_name_the_scope(memory):
    await memory.add(DOG, user_id="alice")
    assert len((await memory.search("dog", filters={"user_id": "alice"}))["results"]) == 1
    assert len((await memory.get_all(filters={"user_id": "bob"}))["results"]) == 0


@pytest.mark.parametrize("top_k", [0, -1, 1001])
async def test_limits_have_limits(memory, top_k):
    with pytest.raises(BadMemory):
        await memory.search("dog", user_id="a", top_k=top_k)
    with pytest.raises(BadMemory):
        await memory.get_all(user_id="a", top_k=top_k)


async def test_nothing_to_do_is_an_error(memory):
    for call in (
        memory.add("", user_id="a"),
        memory.add([{"role": "system", "content": "x"}], user_id="a"),
        memory.search(" ", user_id="a"),
        memory.update("x", user_id="a"),
        memory.get_all(user_id="a", offset=-1),
    ):
        with pytest.raises(BadMemory):
            await call


async def test_pages_can_be_turned(memory):
    for number in range(5):
        await memory.add(f"number {number}", user_id="a")
    texts = [row["memory"] for row in (await memory.get_all(user_id="a", top_k=2, offset=2))["results"]]
    assert texts == ["number 2", "number 1"]


async def test_views_share_stores_but_not_memories(memory):
    test = memory.within("default", "test")
    (one,) = (await test.add(DOG, user_id="alice"))["results"]
    assert await memory.get(one["id"], user_id="alice") is None
    assert (await memory.within("other", "test").search("dog", user_id="alice"))["results"] == []
    assert await test.get(one["id"], user_id="alice") is not None


async def test_the_second_call_of_a_user_recalls_the_first(memory):
    scope = Scope(project="default", environment="prod", user="alice")
    captured = await memory.capture([said(DOG, call_id="c1", scope=scope)])
    assert len(captured.added) == 1
    await settled(memory)
    found = await memory.recall(scope, "how is my dog called?")
    assert found.ids == captured.added
    assert await memory.confirm(scope, "c2", found.ids) == 1
    bob = Scope(project="default", environment="prod", user="bob")
    assert (await memory.recall(bob, "how is my dog called?")).status == "empty"


async def test_a_start_that_fails_lets_go_of_the_folder(tmp_path):
    ledger = tmp_path / "memory.sqlite3"
    ledger.write_bytes(b"this is no database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        await AsyncMemory.open(tmp_path, lambda _: HashedWords())
    ledger.unlink()
    await (await AsyncMemory.open(tmp_path, lambda _: HashedWords())).close()


async def test_a_start_that_nobody_waits_for_lets_go_of_the_folder_too(tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def slow(folder):
        begun.set()
        assert go_on.wait(10)
        return HashedWords()

    opening = asyncio.create_task(AsyncMemory.open(tmp_path, slow))  # noqa: TID251 - memory knows no gateway
    await asyncio.to_thread(begun.wait, 10)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    go_on.set()
    async with asyncio.timeout(10):
        while True:
            try:
                memory = await AsyncMemory.open(tmp_path, lambda _: HashedWords())
            except StoreBusy:
                continue
            break
    await memory.close()


async def test_closing_waits_for_the_work_in_hand(tmp_path):
    memory = await AsyncMemory.open(tmp_path, lambda _: HashedWords())
    batch = [said(f"I say {number}", call_id=f"c{number}") for number in range(50)]
    capturing = asyncio.gather(memory.capture(batch))
    await asyncio.sleep(0)
    await memory.close()
    assert len((await capturing)[0].added) == 50
