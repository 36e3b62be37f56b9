from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from memory.api import MAX_BODY, MemoryApi
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
        headers: list[tuple[bytes, bytes]] | None = None,
        chunks: list[bytes] | None = None,
    ) -> tuple[int, Any]:
        path, _, query = target.partition("?")
        who = {
            "project": project,
            "environment": environment,
            "open": False,
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
