"""The memory API at the public port: nobody sees, changes or slips in what is another's."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gateway.config import hash_key
from gateway.processes.unix_http import UnixConnection
from telemetry.records import Payload
from tests.fakes.contents import holding
from tests.fakes.provider import Provider
from tests.fakes.remembered import Embeddings, Remembering, who
from tests.fakes.tidegate import eventually

KEYS = {"mine": "tg-" + "m1" * 20, "theirs": "tg-" + "t2" * 20, "test": "tg-" + "e3" * 20}
NUMBERS_ONLY = "tg-" + "n0" * 20
CANARY = "the canary is called Zanzibar"
CAPTURE = "/internal/capture"
STRANGERS: list[tuple[str, dict[str, str]]] = [
    ("mine", {"user_id": "bob"}),
    ("mine", {"agent_id": "guide"}),
    ("mine", {"user_id": "alice", "agent_id": "coach"}),
    ("mine", {"agent_id": "alice"}),
    ("mine", {"run_id": "alice"}),
    ("theirs", {"user_id": "alice"}),
    ("theirs", {"user_id": "alice", "agent_id": "guide"}),
    ("test", {"user_id": "alice"}),
]
"""By key and ids: who may not see what Alice told the guide, in the project and environment of `mine`."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remembering]:
    keys = [
        {"name": "mine", "hash": hash_key(KEYS["mine"]), "project": "p1", "environment": "prod"},
        {"name": "theirs", "hash": hash_key(KEYS["theirs"]), "project": "p2", "environment": "prod"},
        {"name": "test", "hash": hash_key(KEYS["test"]), "project": "p1", "environment": "test"},
        {"name": "numbers", "hash": hash_key(NUMBERS_ONLY), "project": "p3", "store": "metadata"},
    ]
    with (
        Provider(Embeddings()).in_thread() as provider,
        Remembering(
            tmp_path_factory.mktemp("house"), provider, {"keys": keys, "encryption": {"projects": ["p1"]}}
        ) as started,
    ):
        yield started


@pytest.fixture(scope="module")
def canary(house: Remembering) -> str:
    """The id of what Alice told the guide in a call."""
    assert house.say(CANARY, key=KEYS["mine"], agent_id="guide").status == 200
    for name, key in KEYS.items():  # everybody has something of their own to find
        for user in ("alice", "bob"):
            house.say(f"the cat of {user} at {name} is called Mimi", user=user, key=key, agent_id="coach")
    house.await_capture()
    (row,) = house.get(
        "/api/memories?user_id=alice&agent_id=guide", who(KEYS["mine"])
    ).json()["results"]  # fmt: skip
    assert row["memory"] == CANARY
    return str(row["id"])


@pytest.mark.parametrize(("name", "ids"), STRANGERS, ids=str)
def test_a_stranger_neither_sees_nor_changes_a_memory(
    house: Remembering, canary: str, name: str, ids: dict[str, str]
) -> None:
    key = who(KEYS[name])
    query = "&".join(f"{kind}={value}" for kind, value in ids.items())

    def ask(method: str, path: str, **body: Any) -> tuple[int, bytes]:
        reply = house.request(method, f"/api/memories{path}?{query}", body or None, key)
        return reply.status, reply.body

    status, listed = ask("GET", "")
    assert (status, b"Zanzibar" in listed) == (200, False)
    status, found = ask("POST", "/search", query=CANARY, threshold=-1, top_k=1000)
    assert (status, b"Zanzibar" in found) == (200, False)
    for method, path, body in (
        ("GET", "", {}),
        ("GET", "/history", {}),
        ("PUT", "", {"text": "stolen"}),
        ("DELETE", "", {}),
    ):
        status, answer = ask(method, f"/{canary}{path}", **body)
        assert (status, b"Zanzibar" in answer) == (404, False)
    with_filter = {"query": CANARY, "filters": {"project": "p1"}, "user_id": "alice", "project": "p1"}
    answer = house.request("POST", "/api/memories/search", with_filter, who(KEYS["theirs"])).body
    assert b"Zanzibar" not in answer

    owner = house.get(f"/api/memories/{canary}?user_id=alice", who(KEYS["mine"]))
    assert owner.json()["memory"] == CANARY


@pytest.mark.parametrize("query", ["", "user_id=*", "user_id=%20alice", "user_id=", "agent_id=*"])
def test_whoever_names_nobody_gets_nothing(house: Remembering, canary: str, query: str) -> None:
    reply = house.get(f"/api/memories?{query}", who(KEYS["mine"]))

    assert reply.status == 400
    assert b"Zanzibar" not in reply.body


def test_only_the_worker_says_who_is_asking(house: Remembering, canary: str) -> None:
    forged = msgspec.json.encode({"key_id": "mine", "project": "p1", "environment": "prod"}).decode()
    headers = {**who(KEYS["theirs"]), "x-tidegate-principal": forged}

    assert house.get("/api/memories?user_id=alice", headers).body.count(b"Zanzibar") == 0
    assert house.get(f"/api/memories/{canary}?user_id=alice", headers).status == 404
    assert house.get("/api/memories?user_id=alice").status == 401
    assert house.get("/api/memories?user_id=alice", {"x-tidegate-principal": forged}).status == 401


def test_a_key_that_stores_no_bodies_leaves_no_memories(house: Remembering) -> None:
    assert house.say("I keep bees", key=NUMBERS_ONLY).status == 200
    house.await_capture()

    assert house.memories(key=NUMBERS_ONLY, user_id="alice") == []


def slipped(user: str) -> bytes:
    """What the telemetry process would bring of a call in which this user said something."""
    body = msgspec.json.encode({"messages": [{"role": "user", "content": f"{user} was here"}]})
    one = Payload(
        call_id=f"call-{user}",
        project="p1",
        environment="prod",
        started_at_us=1,
        surface="openai.chat",
        body=body,
        remember=True,
        user_id=user,
    )
    return msgspec.msgpack.encode([one])


@pytest.mark.parametrize(
    "target",
    [
        CAPTURE,
        f"/{CAPTURE}",
        f"//hub{CAPTURE}",
        f"http://hub{CAPTURE}",
        f"/api/memories/../..{CAPTURE}",
        f"/api/memories/..%2f..{CAPTURE}",
        f"/api/memories{CAPTURE}",
        f"/api/memories?{CAPTURE}",
        f"/api/memories//{CAPTURE}",
        "/internal%2Fcapture",
        "/v1/../internal/capture",
    ],
)
def test_no_path_of_the_public_port_leads_to_the_capture(house: Remembering, target: str) -> None:
    body = slipped("mallory")
    head = (
        f"POST {target} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEYS['mine']}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", house.port), timeout=10) as client:
        client.sendall(head.encode() + body)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status in {400, 404, 405}
        answer.read()

    assert house.memories(key=KEYS["mine"], user_id="mallory") == []


def test_the_capture_takes_what_comes_from_the_house_and_from_nobody_else(house: Remembering) -> None:
    def bring(user: str, **headers: str) -> int:
        connection = UnixConnection(house.run / "hub.sock", timeout_s=10)
        connection.request("POST", CAPTURE, slipped(user), headers)
        status = connection.getresponse().status
        connection.close()
        return status

    assert bring("collector") == 200
    assert bring("client", **{"x-tidegate-principal": "{}"}) == 404
    assert house.memories(key=KEYS["mine"], user_id="collector") == ["collector was here"]
    assert house.memories(key=KEYS["mine"], user_id="client") == []


def test_a_memory_is_added_changed_and_deleted_through_the_public_port(house: Remembering) -> None:
    def ask(method: str, path: str, **body: Any) -> Any:
        reply = house.request(method, f"/api/memories{path}?user_id=editor", body or None, who(KEYS["mine"]))
        assert reply.status == 200, reply.body
        return reply.json()

    (added,) = ask("POST", "", text="I drink tea")["results"]
    assert ask("PUT", f"/{added['id']}", text="I drink coffee")["memory"] == "I drink coffee"
    assert ask("POST", "/search", query="coffee")["results"][0]["id"] == added["id"]
    assert [version["event"] for version in ask("GET", f"/{added['id']}/history")] == ["ADD", "UPDATE"]
    assert ask("DELETE", "")["deleted"] == 1
    assert ask("GET", "")["results"] == []


def test_words_of_a_sealed_project_are_recalled_and_lie_nowhere(house: Remembering, canary: str) -> None:
    def recalled() -> bool:
        reply = house.say("what is the canary called?", key=KEYS["mine"], agent_id="guide", event_id="asked")
        return reply.headers.get("x-tidegate-memory-status") == "injected"

    eventually(recalled, what="the recall")
    mine = who(KEYS["mine"])
    call = eventually(
        lambda: next((row for row in house.calls(mine, event_id="asked") if row["memory"]["ids"]), None),
        what="the call in the ledger",
    )
    shown = house.get(f"/api/calls/{call['call_id']}", mine).json()
    assert CANARY in shown["memory"]["block"]
    house.await_capture()

    assert holding(house.data, b"Zanzibar") == holding(house.data, b"the cat of alice at mine") == []
    assert "memory.sqlite3" in " ".join(holding(house.data, b"the cat of alice at theirs"))
    assert holding(house.data, b"sealed:1:")


def test_without_a_hub_the_api_says_so_and_calls_go_on(house: Remembering) -> None:
    house.kill("hub")
    assert house.say("hello", key=KEYS["mine"], memory="read").status == 200
    away = house.get("/api/memories?user_id=alice", who(KEYS["mine"]))
    assert away.status in {200, 503}  # the next one may have been very quick
    house.await_memory()

    assert house.get("/api/memories?user_id=alice", who(KEYS["mine"])).status == 200
