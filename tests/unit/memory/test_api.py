from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from memory.api import MAX_BODY, MemoryApi
from memory.scope import Scope
from tests.fakes.memory_parts import KEY
from tests.fakes.memory_store import service

Ask = Callable[..., Awaitable[tuple[int, Any]]]
ALICE = {"user_id": "alice"}


@pytest_asyncio.fixture
async def ask() -> AsyncIterator[Ask]:
    memory = service(key=KEY)
    api = MemoryApi(memory)

    async def asked(
        method: str,
        target: str,
        body: object = None,
        *,
        project: str = "default",
        environment: str = "prod",
        users: list[str] | None = None,
        open_: bool = False,
        headers: list[tuple[bytes, bytes]] | None = None,
        chunks: list[bytes] | None = None,
    ) -> tuple[int, Any]:
        path, _, query = target.partition("?")
        who = {
            "project": project,
            "environment": environment,
            "users": users or [],
            "open": open_,
            "key_id": "key-1",
            "store": "full",
        }
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"x-tidegate-principal", msgspec.json.encode(who))] if headers is None else headers,
        }
        parts = chunks or ([] if body is None else [msgspec.json.encode(body)])
        messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        messages.append({"type": "http.request", "body": b"", "more_body": False})
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await api(scope, receive, send)
        start, end = sent
        assert dict(start["headers"])[b"content-length"] == b"%d" % len(end["body"])
        return start["status"], msgspec.json.decode(end["body"])

    asked.memory = memory  # type: ignore[attr-defined]
    yield asked
    await memory.close()


async def test_a_memory_lives_its_life_over_http(ask):
    status, added = await ask("POST", "/api/memories", {"messages": "My dog is called Rex", **ALICE})
    assert status == 200
    one = added["results"][0]["id"]
    path = f"/api/memories/{one}"
    assert (await ask("GET", "/api/memories?user_id=alice"))[1]["results"][0]["id"] == one
    status, found = await ask("POST", "/api/memories/search", {"query": "dog", **ALICE, "top_k": 3})
    assert found["results"][0]["memory"] == "My dog is called Rex"
    assert (await ask("GET", f"{path}?user_id=alice"))[1]["memory"] == "My dog is called Rex"
    assert (await ask("GET", f"/api/memories/?id={one}&user_id=alice"))[1]["id"] == one
    status, changed = await ask("PUT", path, {"text": "My dog is called Max", "metadata": {"a": 1}, **ALICE})
    assert (changed["memory"], changed["metadata"]) == ("My dog is called Max", {"a": 1})
    status, history = await ask("GET", f"{path}/history?user_id=alice")
    assert [version["event"] for version in history] == ["ADD", "UPDATE"]
    assert (await ask("DELETE", f"{path}?user_id=alice")) == (
        200,
        {"message": "Memory deleted successfully!"},
    )
    assert (await ask("GET", f"{path}?user_id=alice"))[0] == 404


async def test_memories_are_listed_by_filters_and_as_of_a_moment(ask):
    said = {"messages": [{"role": "user", "content": "I live in Oslo", "name": "Al"}], "timestamp": 1000}
    await ask("POST", "/api/memories", {**said, **ALICE, "metadata": {"category": "home"}})
    await ask("POST", "/api/memories", {"text": "I like tea", **ALICE, "expires_at": "2999-01-01"})
    asked = {"filters": {"AND": [{"user_id": "alice"}, {"category": "home"}]}}
    ((row,),) = ((await ask("POST", "/api/memories/list", asked))[1]["results"],)
    assert (row["memory"], row["actor_id"], row["occurred_at"]) == (
        "I live in Oslo",
        "Al",
        "1970-01-01T00:16:40+00:00",
    )
    _, then = await ask("GET", "/api/memories?user_id=alice&as_of=2001-01-01&superseded=false")
    assert [one["memory"] for one in then["results"]] == ["I live in Oslo"]
    _, ever = await ask("GET", "/api/memories?user_id=alice&superseded=true")
    assert [one.get("expires_at") for one in ever["results"]] == ["2999-01-01T00:00:00+00:00", None]
    for query in ("as_of=soon", "superseded=perhaps"):
        assert (await ask("GET", f"/api/memories?user_id=alice&{query}"))[0] == 400


async def test_the_graph_has_nodes_and_edges(ask):
    assert await ask("GET", "/api/memories/graph?user_id=alice") == (200, {"nodes": [], "edges": []})
    assert (await ask("POST", "/api/memories/graph", ALICE))[0] == 405
    assert (await ask("GET", "/api/memories/graph"))[0] == 400


async def test_everything_of_a_user_can_be_deleted(ask):
    for text in ("one", "two"):
        await ask("POST", "/api/memories", {"text": text, **ALICE})
    await ask("POST", "/api/memories", {"text": "three", "user_id": "bob"})
    assert (await ask("DELETE", "/api/memories?user_id=alice"))[1]["deleted"] == 2
    assert len((await ask("GET", "/api/memories?user_id=bob"))[1]["results"]) == 1


@pytest.mark.parametrize(
    ("project", "environment", "user"),
    [("other", "prod", "alice"), ("default", "test", "alice"), ("default", "prod", "bob")],
)
async def test_another_scope_sees_changes_and_deletes_nothing(ask, project, environment, user):
    _, added = await ask("POST", "/api/memories", {"text": "canary", **ALICE})
    path = f"/api/memories/{added['results'][0]['id']}"
    them = {"project": project, "environment": environment}
    query = f"?user_id={user}"
    missing = {"message": f"there is no memory {path[14:]!r} in this scope", "type": "invalid_request_error"}
    for answer in (
        await ask("GET", path + query, **them),
        await ask("PUT", path + query, {"text": "stolen"}, **them),
        await ask("DELETE", path + query, **them),
        await ask("GET", f"{path}/history{query}", **them),
    ):
        assert answer == (404, {"error": {**missing, "param": None, "code": "memory_not_found"}})
    assert (await ask("GET", "/api/memories" + query, **them))[1] == {"results": []}
    assert (await ask("POST", "/api/memories/search" + query, {"query": "canary"}, **them))[1] == {
        "results": []
    }
    assert (await ask("DELETE", "/api/memories" + query, **them))[1]["deleted"] == 0
    assert (await ask("GET", path + "?user_id=alice"))[1]["memory"] == "canary"


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code", "param"),
    [
        ("GET", "/api/memories", None, 400, "scope_missing", "user_id"),
        ("GET", "/api/memories?user_id=*", None, 400, "invalid_scope", "user"),
        ("GET", "/api/memories/abc", None, 400, "scope_missing", "user_id"),
        ("POST", "/api/memories?user_id=a", {"text": "x", "user_id": "b"}, 400, "invalid_memory", "user_id"),
        ("POST", "/api/memories", {"user_id": "a"}, 400, "invalid_memory", "messages"),
        ("POST", "/api/memories", {"user_id": {"ne": "a"}, "text": "x"}, 400, "invalid_request", None),
        ("POST", "/api/memories/search", {"user_id": "a"}, 400, "invalid_memory", "query"),
        ("GET", "/api/memories?user_id=a&limit=x", None, 400, "invalid_memory", "limit"),
        ("GET", "/api/memories?user_id=a&limit=0", None, 400, "invalid_memory", "top_k"),
        ("PATCH", "/api/memories", None, 405, "method_not_allowed", None),
        ("GET", "/api/memories/search", None, 405, "method_not_allowed", None),
        ("GET", "/api/memories/a/b/c", None, 404, "unknown_url", None),
    ],
)
async def test_a_mistake_is_named(ask, method, target, body, status, code, param):
    found, answer = await ask(method, target, body)
    assert (found, answer["error"]["code"], answer["error"]["param"]) == (status, code, param)
    assert answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "headers", [[], [(b"x-tidegate-principal", b"{")], [(b"x-tidegate-principal", b'{"project":"p"}')]]
)
async def test_without_a_principal_nothing_is_answered(ask, headers):
    status, answer = await ask("GET", "/api/memories?user_id=alice", headers=headers)
    assert (status, answer["error"]["code"]) == (401, "no_principal")


async def test_the_body_cannot_choose_project_or_environment(ask):
    await ask("POST", "/api/memories", {"text": "canary", **ALICE})
    theirs = {"query": "canary", **ALICE, "project": "default", "environment": "prod"}
    assert (await ask("POST", "/api/memories/search", theirs, project="q"))[1] == {"results": []}


async def test_a_body_may_come_in_parts_but_not_without_end(ask):
    whole = msgspec.json.encode({"text": "one", **ALICE})
    assert (await ask("POST", "/api/memories", chunks=[whole[:5], whole[5:]]))[0] == 200
    status, answer = await ask("POST", "/api/memories", chunks=[b" " * MAX_BODY, b" "])
    assert (status, answer["error"]["code"]) == (413, "request_too_large")


async def test_ids_may_hold_anything_once_they_are_encoded(ask):
    status, answer = await ask("GET", "/api/memories/m%2F1?user_id=a%20b%2Fc")
    assert (status, answer["error"]["code"]) == (404, "memory_not_found")
    assert "'m/1'" in answer["error"]["message"]
    await ask("POST", "/api/memories", {"text": "one", "user_id": "a b/c"})
    assert len((await ask("GET", "/api/memories?user_id=a%20b%2Fc"))[1]["results"]) == 1


async def test_a_call_is_explained_and_a_memory_tells_its_calls(ask):
    _, added = await ask("POST", "/api/memories", {"text": "I like tea", **ALICE})
    one = added["results"][0]["id"]
    ask.memory._ledger.confirm(Scope(project="default", environment="prod", user="alice"), "c/1", [one])

    status, told = await ask("GET", "/api/memories/explain?call_id=c%2F1&user_id=alice")
    assert (status, [memory["memory"] for memory in told["memories"]]) == (200, ["I like tea"])
    status, calls = await ask("GET", f"/api/memories/{one}/uses?user_id=alice")
    assert (status, [call["call_id"] for call in calls["results"]]) == (200, ["c/1"])
    for target in (
        "explain?call_id=c%2F1&user_id=bob",
        f"{one}/uses?user_id=bob",
        "explain?call_id=c2&user_id=alice",
    ):
        assert (await ask("GET", f"/api/memories/{target}"))[0] == 404
    for target in ("explain?user_id=alice", "explain?call_id=c%2F1", f"{one}/uses"):
        assert (await ask("GET", f"/api/memories/{target}"))[0] == 400


async def test_a_key_for_some_users_asks_for_no_others(ask: Ask) -> None:
    await ask("POST", "/api/memories", {"text": "I sail", **ALICE})
    team = ["al*", "bob"]
    status, found = await ask("GET", "/api/memories?user_id=alice", users=team)
    assert (status, len(found["results"])) == (200, 1)
    others: list[tuple[str, str, object]] = [
        ("GET", "/api/memories?user_id=carol", None),
        ("GET", "/api/memories?agent_id=guide", None),
        ("GET", "/api/memories/graph?user_id=carol", None),
        ("GET", "/api/memories/jobs?user_id=carol", None),
        ("POST", "/api/memories/search", {"query": "who sails", "filters": {"user_id": "carol"}}),
        ("POST", "/api/memories", {"text": "I row", "user_id": "carol"}),
        ("DELETE", "/api/memories?user_id=carol", None),
    ]
    for method, target, body in others:
        status, told = await ask(method, target, body, users=team)
        assert (status, told["error"]["code"]) == (403, "user_not_allowed"), target


async def test_the_upkeep_is_told_to_keys_that_see_everything(ask: Ask) -> None:
    status, told = await ask("GET", "/api/memories/upkeep", open_=True)
    assert (status, told["running"], told["last"]) == (200, [], [])
    assert set(told["counts"]) == {"merge", "contradictions", "summaries", "decay"}
    status, told = await ask("GET", "/api/memories/upkeep")
    assert (status, told["error"]["code"]) == (403, "not_your_project")


async def test_the_index_is_built_anew_for_keys_that_see_everything(ask: Ask) -> None:
    status, told = await ask("POST", "/api/memories/reindex")
    assert (status, told["error"]["code"]) == (403, "not_your_project")
    await ask("POST", "/api/memories?user_id=alice", {"text": "I sail"})
    assert (await ask("POST", "/api/memories/reindex", open_=True))[0] == 200
    while (await ask("GET", "/api/memories/upkeep", open_=True))[1]["running"]:
        assert (await ask("POST", "/api/memories/search?user_id=alice", {"query": "sail"}))[1]["results"]
    assert (await ask("POST", "/api/memories/search?user_id=alice", {"query": "sail"}))[1]["results"]
