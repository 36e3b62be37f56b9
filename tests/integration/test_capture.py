"""What users say in their calls, on its way through the journal into the memory: each turn once, whoever dies."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from tests.fakes.contents import holding
from tests.fakes.provider import Provider
from tests.fakes.remembered import Embeddings, Remembering
from tests.fakes.tidegate import eventually

KILLS = 5
SECRET = "ghp_" + "Ab3" * 12


@pytest.fixture(scope="module")
def embeddings() -> Embeddings:
    return Embeddings()


@pytest.fixture(scope="module")
def provider(embeddings: Embeddings) -> Iterator[Provider]:
    with Provider(embeddings).in_thread() as started:
        yield started


@pytest.fixture(scope="module")
def house(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remembering]:
    with Remembering(tmp_path_factory.mktemp("house"), provider) as started:
        yield started


def test_a_history_sent_again_with_every_call_is_remembered_once(house: Remembering) -> None:
    turns = [f"I say my number {number} of a hundred" for number in range(100)]
    turns[50] = turns[10] = "yes please"
    for length in range(1, len(turns) + 1):
        assert house.say(turns[:length], user="resender").status == 200
    house.await_capture()

    assert Counter(house.memories(user_id="resender")) == Counter(turns)


def test_only_the_words_of_a_known_user_or_agent_in_a_call_that_allows_it_are_remembered(
    house: Remembering,
) -> None:
    house.say("I keep bees", user="chooser")
    house.say("I write this only", user="chooser", memory="write")
    house.say("nobody may know of my read", user="chooser", memory="read")
    house.say("nobody may know of my off", user="chooser", memory="off")
    house.say("nobody may know of my maybe", user="chooser", memory="maybe")
    house.request("POST", "/v1/chat/completions", {"model": "sandbox/echo", "messages": [
        {"role": "user", "content": "I have no name"}]})  # fmt: skip
    house.request(
        "POST",
        "/v1/chat/completions",
        {"model": "sandbox/echo", "messages": [{"role": "user", "content": "I talk to an agent"}]},
        {"x-tidegate-agent-id": "guide"},
    )
    house.request(
        "POST",
        "/v1/embeddings",
        {"model": "sandbox/embed", "input": "I embed"},
        {"x-tidegate-user-id": "chooser"},
    )
    house.await_capture()

    assert sorted(house.memories(user_id="chooser")) == ["I keep bees", "I write this only"]
    assert house.memories(agent_id="guide") == ["I talk to an agent"]


def test_only_the_hub_holds_what_memories_are_made_with(house: Remembering) -> None:
    held = {}
    for role in ("hub", "telemetry", "worker"):
        (pid,) = house.pids(role)
        maps = Path(f"/proc/{pid}/maps").read_text()
        held[role] = [name for name in ("qdrant_edge", "onnxruntime") if f"/{name}" in maps]

    # this house asks an endpoint for its vectors, so that even the hub needs no model
    assert held == {"hub": ["qdrant_edge"], "telemetry": [], "worker": []}


def test_what_was_said_is_remembered_though_the_provider_failed(house: Remembering) -> None:
    assert house.say("my flight is on Monday", user="unlucky", model="sandbox/error-500").status >= 400
    house.await_capture()

    assert house.memories(user_id="unlucky") == ["my flight is on Monday"]


def test_a_secret_reaches_no_file_of_the_memory(house: Remembering) -> None:
    house.say(f"my token is {SECRET} for the kumquat", user="careless")
    added = {"text": f"another: {SECRET} for the medlar", "metadata": {"where": SECRET}}
    assert house.request("POST", "/api/memories?user_id=careless", added).status == 200
    house.await_capture()

    assert len(house.memories(user_id="careless")) == 2
    assert holding(house.data / "memory", b"kumquat")
    assert holding(house.data / "memory", b"medlar")
    assert holding(house.data / "memory", SECRET.encode()) == []


def test_while_the_embedder_is_away_calls_go_on_and_what_they_said_is_found_later(
    house: Remembering, embeddings: Embeddings
) -> None:
    embeddings.away = True
    try:
        assert house.say("my boat is called Albatross", user="sailor").status == 200
        eventually(lambda: house.memories(user_id="sailor"), what="the memory")
        assert house.hub()["backlog"] == 1
        asked = house.say("What is my boat called?", user="sailor", memory="read")
        assert asked.status == 200
    finally:
        embeddings.away = False
    house.await_capture()

    (found,) = house.request(
        "POST", "/api/memories/search", {"query": "boat called", "user_id": "sailor"}
    ).json()["results"]
    assert found["memory"] == "my boat is called Albatross"


def test_a_hub_that_hangs_delays_neither_calls_nor_the_ledger(house: Remembering) -> None:
    (hub,) = house.pids("hub")
    os.kill(hub, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for number in range(5):
            said = house.request(
                "POST",
                "/v1/chat/completions",
                {"model": "sandbox/echo", "messages": [{"role": "user", "content": f"patience {number}"}]},
                {"x-tidegate-user-id": "waiter", "x-tidegate-event-id": f"hang-{number}"},
            )
            assert said.status == 200
            house.await_calls(1, event_id=f"hang-{number}")
        assert time.monotonic() - began < 10  # each recall was given up after its deadline
    finally:
        os.kill(hub, signal.SIGCONT)
    house.await_capture()

    assert sorted(house.memories(user_id="waiter")) == [f"patience {number}" for number in range(5)]


def test_two_restarts_keep_everything(tmp_path: Path, provider: Provider) -> None:
    house = Remembering(tmp_path, provider)
    for number in range(2):
        with house:  # stopped while the capture may still be under way
            assert house.say(f"restart {number} happened").status == 200
    with house:
        house.await_capture()
        listed = house.memories(user_id="alice")
        found = house.request("POST", "/api/memories/search", {"query": "restart", "user_id": "alice"})

    assert sorted(listed) == ["restart 0 happened", "restart 1 happened"]
    assert len(found.json()["results"]) == 2


class Talker(threading.Thread):
    """A user who says one thing after the other, with the whole history each time, until told to stop."""

    def __init__(self, house: Remembering, user: str) -> None:
        super().__init__(name=user)
        self.said: list[str] = []
        self.over = threading.Event()
        self._house = house
        self._user = user

    @override
    def run(self) -> None:
        while not self.over.is_set() and len(self.said) < 60:
            number = len(self.said)
            turn = "yes please" if number % 7 == 3 else f"I am {self._user} and say number {number}"
            assert self._house.say([*self.said, turn], user=self._user).status == 200
            self.said.append(turn)


def storm(house: Remembering, *, kills: int, seed: int) -> None:
    """Kill the hub, and now and then the telemetry process, while users talk; then compare."""
    chance = random.Random(seed)
    talkers = [Talker(house, f"talker-{seed}-{number}") for number in range(3)]
    for talker in talkers:
        talker.start()
    for number in range(kills):
        house.await_memory()
        before = [len(talker.said) for talker in talkers]
        eventually(
            lambda before=before: all(  # type: ignore[misc]
                len(talker.said) > count + 1 or not talker.is_alive()
                for talker, count in zip(talkers, before, strict=True)
            ),
            what="everybody to have said something",
        )
        time.sleep(chance.uniform(0, 0.06))  # somewhere inside a batch
        house.kill("telemetry" if number % 4 == 3 else "hub")
    for talker in talkers:
        talker.over.set()
        talker.join()
    house.await_memory()
    house.await_capture()
    for talker in talkers:
        assert len(talker.said) > kills
        assert Counter(house.memories(user_id=talker.name)) == Counter(talker.said)


def test_killed_in_the_middle_of_capture_each_turn_is_one_memory(house: Remembering) -> None:
    storm(house, kills=KILLS, seed=20261121)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(3))
def test_a_long_storm_of_kills_loses_and_doubles_nothing(house: Remembering, seed: int) -> None:
    storm(house, kills=9, seed=seed)  # the supervisor waits twice as long for each next hub
