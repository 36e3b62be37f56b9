"""Memories on their way through a house: from the hub into the prompt, onto the row, and never at a call's cost."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fakes.provider import Provider, Received, chat, chat_stream
from tests.fakes.remembering_hub import block_of
from tests.fakes.responses import Keeper
from tests.fakes.tidegate import Reply, Tidegate, eventually

ROOT = Path(__file__).parents[2]
DEADLINE_MS = 400
PREFIX = "x-tidegate-memory-"


class House:
    """A house whose hub follows a script, and the provider behind it."""

    def __init__(self, tidegate: Tidegate, provider: Provider) -> None:
        self.tidegate = tidegate
        self.provider = provider

    def ask(self, user: str = "", *, event: str = "", path: str = "chat/completions", **more: Any) -> Reply:
        headers = {
            **({"x-tidegate-user-id": user} if user else {}),
            **({"x-tidegate-event-id": event} if event else {}),
            **more.pop("headers", {}),
        }
        asked = {"messages": [{"role": "user", "content": "What do I like to drink in the evening?"}]}
        body = {"model": "own/m", **asked, **more}
        return self.tidegate.request("POST", f"/v1/{path}", body, headers)

    def sent(self) -> Received:
        """Return the last request that left for the provider."""
        return self.provider.requests[-1]


KEEPER = Keeper("own")


def answer(request: Received) -> Any:
    if "/responses" in request.path:
        return KEEPER(request)
    return chat_stream() if request.json().get("stream") else chat()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with Provider(answer).in_thread() as provider:
        config = {
            "providers": {
                name: {"base_url": provider.base_url, "api_key": "sk-own"} for name in ("own", "openai")
            },
            "memory": {"deadline_ms": DEADLINE_MS},
            "cors": {"origins": ["https://app.example"]},
        }
        made = Tidegate(
            tmp_path_factory.mktemp("house"),
            config,
            env={"PYTHONPATH": str(ROOT)},
            module="tests.fakes.remembering_hub",
        )
        with made:
            found = House(made, provider)
            eventually(lambda: memory_of(found.ask("ready"))["status"] == "injected", what="the hub")
            yield found


def say(house: Tidegate, user: str, text: str, path: str = "chat/completions") -> Reply:
    """Ask the sandbox."""
    said = {"input": text} if path == "responses" else {"messages": [{"role": "user", "content": text}]}
    body = {"model": "sandbox/echo", **said}
    return house.request("POST", f"/v1/{path}", body, {"x-tidegate-user-id": user})


def memory_of(reply: Reply) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX): value for name, value in reply.headers.items() if name.startswith(PREFIX)
    }


def test_what_is_remembered_reaches_the_provider_the_client_and_the_row(house: House) -> None:
    reply = house.ask("ada", event="remembered", headers={"x-tidegate-memory": "read"})

    assert reply.status == 200
    assert float(memory_of(reply).pop("latency-ms")) > 0
    told = {name: value for name, value in memory_of(reply).items() if name != "latency-ms"}
    assert told == {"status": "injected", "ids": "m-ada", "tokens": "5"}
    (message,) = house.sent().json()["messages"]
    texts = [part["text"] for part in message["content"]]
    assert texts == ["What do I like to drink in the evening?", block_of("ada")]
    assert not [name for name in house.sent().headers if "tidegate" in name]

    (listed,) = house.tidegate.await_calls(1, event_id="remembered")
    memory = listed["memory"]
    assert (memory["switch"], memory["status"], memory["ids"]) == ("read", "injected", ["m-ada"])
    assert (memory["scores"], memory["tokens"]) == ([0.75], 5)
    assert memory["latency_us"] / 1000 == pytest.approx(float(memory_of(reply)["latency-ms"]), abs=0.06)
    assert memory["latency_us"] <= listed["overhead_us"]
    one = eventually(
        lambda: (found := house.tidegate.get(f"/api/calls/{listed['call_id']}").json())["request"] and found,
        what="its request",
    )
    assert (one["memory"]["block"], one["memory"]["anchor"]) == (block_of("ada"), 0)
    assert "likes tea" not in one["request"]["text"], "the journal keeps the client's own words"


def test_memories_that_went_into_a_call_are_confirmed(house: House) -> None:
    reply = house.ask("bea", stream=True)
    house.ask("blank-1")
    refused = house.ask("cid", model="own-nobody-has/it")

    confirmed = house.tidegate.data / "confirmed"

    def both() -> bool:
        said = confirmed.read_text() if confirmed.exists() else ""
        return "m-bea" in said and "blank-1" in said

    eventually(both, what="what went into the two calls")
    told = [msgspec.json.decode(line) for line in confirmed.read_bytes().splitlines()]
    (mine,) = [one for one in told if one["asker"]["user_id"] == "bea"]
    assert (mine["call_id"], mine["ids"]) == (reply.headers["x-tidegate-call-id"], ["m-bea"])
    assert refused.status == 404
    assert [one.get("ids", []) for one in told if one["asker"]["user_id"] in {"cid", "blank-1"}] == [[]]


def test_the_hub_is_told_a_tenth_of_the_models_window_once_the_price_table_is_there(house: House) -> None:
    def most(model: str) -> int:
        assert house.ask("dee", model=model).status == 200
        told = [
            msgspec.json.decode(line) for line in (house.tidegate.data / "asked").read_bytes().splitlines()
        ]
        return int([one for one in told if one["user"] == "dee"][-1]["most"])

    eventually(lambda: most("openai/gpt-4") == 819, what="the price table")
    assert most("own/gpt-4") == 0


@pytest.mark.parametrize(
    ("user", "more", "status"),
    [
        ("blank", {}, "empty"),
        ("", {}, "skipped:no_user"),
        ("ada", {"headers": {"x-tidegate-memory": "off"}}, "skipped:off"),
        ("ada", {"headers": {"x-tidegate-memory": "sometimes"}}, "skipped:bad_switch"),
        ("ada", {"path": "embeddings", "input": "tide", "messages": None}, "skipped:surface"),
    ],
)
def test_a_call_without_memories_says_why_and_goes_out_as_it_came(
    house: House, user: str, more: dict[str, Any], status: str
) -> None:
    reply = house.ask(user, **more)

    assert memory_of(reply)["status"] == status
    assert "likes tea" not in house.sent().body.decode()
    assert not [name for name in house.sent().headers if "tidegate" in name]
    (call,) = house.tidegate.await_calls(1, event_id=reply.headers["x-tidegate-event-id"])
    assert (call["status"], call["memory"]["status"]) == ("ok", status)


def test_what_was_put_into_a_kept_response_is_not_told_as_the_clients_input(house: House) -> None:
    asked: dict[str, Any] = {"path": "responses", "input": "What do I like to drink?", "messages": None}
    first = house.ask("ada", **asked).json()["id"]
    second = house.ask("ada", **asked, previous_response_id=first).json()["id"]
    sent = house.sent().json()["input"]
    gzip = {"accept-encoding": "gzip"}
    reply = house.tidegate.request("GET", f"/v1/responses/{second}/input_items", None, gzip)

    assert [part["text"] for part in sent[0]["content"]] == ["What do I like to drink?", block_of("ada")]
    (item,) = reply.json()["data"]
    assert [part["text"] for part in item["content"]] == ["What do I like to drink?"]
    assert "likes tea" not in reply.body.decode()
    questions = (house.tidegate.data / "asked").read_bytes().splitlines()
    assert msgspec.json.decode(questions[-1])["seen"] == ["m-ada"], "what it was shown before is known"


def test_a_slow_hub_costs_its_deadline_and_no_more(house: House) -> None:
    began = time.monotonic()
    reply = house.ask("slow", event="slow")

    assert time.monotonic() - began < 10  # the hub would take 30 s
    assert (reply.status, memory_of(reply)["status"]) == (200, "timeout")
    assert float(memory_of(reply)["latency-ms"]) >= DEADLINE_MS - 1  # uvloop counts whole milliseconds
    (call,) = house.tidegate.await_calls(1, event_id="slow")
    assert (call["memory"]["status"], call["memory"]["ids"]) == ("timeout", [])
    assert memory_of(house.ask("ada"))["status"] == "injected"


def test_a_client_that_hangs_up_while_the_hub_is_slow_costs_no_provider(house: House) -> None:
    body = b'{"model":"own/m","messages":[{"role":"user","content":"never mind"}]}'
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-tidegate-user-id: slow\r\n"
        b"x-tidegate-event-id: left\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    with socket.create_connection(("127.0.0.1", house.tidegate.port)) as client:
        client.sendall(head + body)

    (call,) = house.tidegate.await_calls(1, event_id="left")
    assert (call["status"], call["attempt_count"]) == ("cancelled", 0)
    assert call["memory"]["status"] == "timeout"
    assert b"never mind" not in b"".join(request.body for request in house.provider.requests)


def test_a_web_page_may_read_what_was_remembered(house: House) -> None:
    reply = house.ask("ada", headers={"origin": "https://app.example"})

    exposed = reply.headers["access-control-expose-headers"].split(", ")
    assert {PREFIX + name for name in ("status", "ids", "tokens", "latency-ms")} <= set(exposed)
    assert {"x-tidegate-dropped-params", "x-tidegate-variant", "x-tidegate-warning"} <= set(exposed)


@pytest.mark.parametrize("path", ["chat/completions", "responses"])
def test_the_second_call_of_a_user_carries_a_memory_of_the_first(tmp_path: Path, path: str) -> None:
    with Tidegate(tmp_path, {"memory": {"enabled": True}}) as house:
        say(house, "ada", "My sister Julia moved to Lisbon in spring.", path)

        def carried() -> Reply | None:
            reply = say(house, "ada", "Which town does my sister Julia live in?", path)
            assert reply.status == 200
            return reply if memory_of(reply)["status"] == "injected" else None

        reply = eventually(carried, what="a memory of the first call")
        stranger = say(house, "eve", "Which town does my sister Julia live in?")
        call = house.await_calls(1, event_id=reply.headers["x-tidegate-event-id"])[0]
        memory = house.get(f"/api/calls/{call['call_id']}").json()["memory"]
        assert "Lisbon" in memory["block"]
        assert (memory["status"], memory["anchor"]) == ("injected", 0)
        assert ",".join(memory["ids"]) == memory_of(reply)["ids"]
        assert len(memory["scores"]) == len(memory["ids"]) > 0
        assert memory["tokens"] == int(memory_of(reply)["tokens"]) > 0
        assert memory_of(stranger)["status"] == "empty"

        explaining = f"/api/memories/explain?call_id={call['call_id']}&user_id"
        told = eventually(
            lambda: (said := house.get(f"{explaining}=ada")).status == 200 and said.json(), what="the reasons"
        )
        recalled = {one["id"]: one["score"] for one in told["memories"] if one["part"] == "recalled"}
        assert recalled == dict(zip(memory["ids"], memory["scores"], strict=True))
        assert any("Julia" in one["evidence"][0]["quote"] for one in told["memories"])
        assert house.get(f"{explaining}=eve").status == 404
        calls = house.get(f"/api/memories/{memory['ids'][0]}/uses?user_id=ada").json()["results"]
        assert call["call_id"] in {one["call_id"] for one in calls}


def test_with_the_hub_killed_calls_go_on_and_say_so(tmp_path: Path) -> None:
    with Tidegate(tmp_path, {"memory": {"enabled": True}}) as house:
        seen: dict[str, str] = {}

        def killed_and_noticed() -> bool:
            house.kill("hub")
            reply = say(house, "ada", "What is my name, by the way?")
            assert reply.status == 200
            seen[reply.headers["x-tidegate-call-id"]] = memory_of(reply)["status"]
            return "error" in seen.values()

        eventually(killed_and_noticed, what="a call without a hub")
        calls = house.await_calls(len(seen), user_id="ada")
        assert {call["call_id"]: call["memory"]["status"] for call in calls} == seen
        assert {call["status"] for call in calls} == {"ok"}


def test_without_memory_no_answer_speaks_of_it(tmp_path: Path) -> None:
    with Tidegate(tmp_path, {"memory": {"enabled": False}}) as house:
        reply = say(house, "ada", "hi")
        (call,) = house.await_calls(1, event_id=reply.headers["x-tidegate-event-id"])

    assert memory_of(reply) == {}
    assert (call["memory"]["switch"], call["memory"]["status"]) == ("off", "")
