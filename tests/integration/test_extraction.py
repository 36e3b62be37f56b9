"""Conversations read by a model through a whole house: on the same user, event and bill, and never remembered itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from tests.fakes.memory_reading import op, ops
from tests.fakes.provider import Provider, Received, Script, chat, refusal
from tests.fakes.remembered import Embeddings, Remembering
from tests.fakes.tidegate import eventually

CITIES = ("Lisbon", "Oslo", "Quito")


class Speaker(Embeddings):
    """Embeds, chats, and reads conversations: one who lives in a city we know."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[Received] = []
        self.down = False

    @override
    def __call__(self, request: Received) -> Script:
        body = request.json() if request.body else {}
        if "response_format" not in body:
            return super().__call__(request)
        self.reads.append(request)
        if self.down:
            return refusal(500, "told to be down")
        return chat(msgspec.json.encode(self.found(body)).decode(), prompt_tokens=700, tokens=50)

    def found(self, body: dict[str, Any]) -> dict[str, Any]:
        question = msgspec.json.decode(body["messages"][1]["content"])
        return ops(
            *(
                op(
                    f"User lives in {city}",
                    message["text"],
                    m=message["m"],
                    subject="user",
                    predicate="lives_in",
                    object=city,
                )
                for message in question["messages"]
                for city in CITIES
                if city in message["text"]
            )
        )


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return Speaker()


@pytest.fixture(scope="module")
def house(speaker: Speaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remembering]:
    with Provider(speaker).in_thread() as provider:
        embedder = {"base_url": f"{provider.base_url}/v1", "model": "words", "dimensions": 384}
        config = {
            "memory": {"enabled": True, "embedder": embedder, "model": "reader"},
            "providers": {"local": {"base_url": f"{provider.base_url}/v1", "api_key": "sk-local"}},
            "routes": {
                "reader": {"deployments": [{"model": "local/gpt-4o-mini"}], "retries": {"attempts": 1}}
            },
            "prices": {"local/gpt-4o-mini": {"input": "1", "output": "2"}},
        }
        with Remembering(tmp_path_factory.mktemp("house"), provider, config) as started:
            yield started


def job(house: Remembering, user: str, state: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = house.get(f"/api/memories/jobs?user_id={user}").json()["results"]
        return next((one for one in found if one["state"] == state), None)

    return eventually(look, what=f"a job that is {state}")


def test_what_was_said_is_read_for_its_user_and_event(house: Remembering, speaker: Speaker) -> None:
    house.say(
        "Remember that I live in Lisbon", user="alice", event_id="event-1", thread_id="t-1", agent_id="guide"
    )
    done = job(house, "alice", "done")

    assert done["outcome"] == "extracted"
    assert house.get(f"/api/memories/jobs/{done['id']}?user_id=alice").json()["thread_id"] == "t-1"
    assert house.get(f"/api/memories/jobs/{done['id']}?user_id=bob").status == 404
    assert "User lives in Lisbon" in house.memories(user_id="alice")
    calls = house.await_calls(2, event_id="event-1")
    (call,) = [one for one in calls if one["step"] == "memory.extract"]
    assert (call["user_id"], call["agent_id"], call["thread_id"]) == ("alice", "guide", "t-1")
    assert call["key_id"] == "internal:memory"
    assert call["cost_nano_usd"] == 700 * 1000 + 50 * 2000
    house.await_capture()
    assert len([one for one in house.memories(user_id="alice") if "Lisbon" in one]) == 2


def test_a_model_that_is_down_loses_nothing(house: Remembering, speaker: Speaker) -> None:
    speaker.down = True
    try:
        house.say("Remember that I live in Oslo", user="carol")
        waiting = eventually(
            lambda: (one := job(house, "carol", "waiting"))["error"] and one, what="a failed attempt"
        )
        assert waiting["error"] == "model_500"
        found = house.request("POST", "/api/memories/search", {"query": "Oslo", "user_id": "carol"})
        assert found.json()["results"]
    finally:
        speaker.down = False
    job(house, "carol", "done")

    assert "User lives in Oslo" in house.memories(user_id="carol")


def test_messages_handed_over_are_queued_and_read(house: Remembering) -> None:
    queued = house.request(
        "POST",
        "/api/memories",
        {"messages": [{"role": "user", "content": "I live in Quito"}], "infer": True, "user_id": "dora"},
    ).json()

    assert queued["status"] == "PENDING"
    assert job(house, "dora", "done")["id"] == queued["event_id"]
    assert house.memories(user_id="dora") == ["User lives in Quito"]


def test_how_the_reading_goes_is_told_beside_what_it_cost(house: Remembering) -> None:
    house.say("Remember that I live in Oslo", user="eva")
    job(house, "eva", "done")

    told = house.get("/api/steps/memory").json()["reading"]

    assert told["done"] >= 1
    assert told["dead"] == 0
    assert (told["events"]["ADD"] >= 1, 0 <= told["dedup_rate"] < 1) == (True, True)
    assert told["write_us"]["p50"] > 0
    assert house.request("POST", "/internal/memory-worked", {"project": "p"}).status == 404


def test_nobody_else_calls_as_the_house(house: Remembering) -> None:
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hi"}]}
    headers = {
        "authorization": "Bearer tgi-" + "0" * 64,
        "x-tidegate-internal": '{"project":"p","environment":"e"}',
    }

    assert house.request("POST", "/v1/chat/completions", body, headers).status == 401
