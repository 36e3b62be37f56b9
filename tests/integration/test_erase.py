"""A user is erased from a running house: nothing of what was said is left anywhere, and the money still adds up."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from gateway.config import hash_key
from telemetry.store.base import Store
from telemetry.store.embedded import open_folder
from tests.fakes.contents import contents
from tests.fakes.ledger import SegmentWriter, whole
from tests.fakes.memory_reading import op, ops
from tests.fakes.provider import Provider, Received, Script, chat
from tests.fakes.remembered import Embeddings, Remembering
from tests.fakes.tidegate import Reply, Tidegate, eventually

USER = "canary-user"
CANARY = "canary"
HISTORY = [f"my {CANARY} boat is called number {number}" for number in range(3)]
KEYS = {project: f"tg-{project}-" + "k" * 20 for project in ("red", "blue")}


def tidegate(house: Tidegate, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *words, "--config", str(house.config)],
        cwd=house.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def say(
    house: Tidegate, user: str, text: str, event: str, *, before: Sequence[str] = (), **headers: str
) -> Reply:
    messages = [message for turn in before for message in exchange(turn)]
    reply = house.request(
        "POST",
        "/v1/chat/completions",
        {"model": "sandbox/echo", "messages": [*messages, *exchange(text)[:1]], "max_tokens": 10},
        {
            "x-tidegate-user-id": user,
            "x-tidegate-event-id": event,
            "x-tidegate-thread-id": f"thread of {user}",
            "x-tidegate-tags": f"{user}-tag",
            "x-tidegate-property-boat": text,
            **headers,
        },
    )
    assert reply.status == 200, reply.body
    return reply


def exchange(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}, {"role": "assistant", "content": f"I see: {text}"}]


def holding(folder: Path) -> list[Path]:
    """Return the files in which a word of the user stands; a name that calls came with is none."""
    found = contents(folder).items()
    return [path for path, said in found if CANARY.encode() in said.replace(USER.encode(), b"")]


class Reader(Embeddings):
    """Embeds, and takes whatever it is shown for a fact, what is said around it included."""

    @override
    def __call__(self, request: Received) -> Script:
        body = request.json() if request.body else {}
        if "response_format" not in body:
            return super().__call__(request)
        asked = msgspec.json.decode(body["messages"][1]["content"])
        around = next((one["text"] for one in asked["context"] if CANARY in one["text"]), "")
        found = [op(one["text"], one["text"], m=one["m"]) for one in asked["messages"]]
        found += [op(around, one["text"], m=one["m"]) for one in asked["messages"] if around]
        return chat(msgspec.json.encode(ops(*found)).decode())


def everything(store: Store) -> dict[str, bytes]:
    tables = store.lookup(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'", {}
    )
    return {row["name"]: repr(store.lookup(f"SELECT * FROM {row['name']}", {})).encode() for row in tables}


def sums(house: Tidegate) -> list[Any]:
    store = open_folder(house.data / "clickhouse")
    try:
        rows = store.lookup(
            "SELECT sum(calls), sum(input_tokens), sum(cost_nano_usd) FROM usage_daily"
            " UNION ALL SELECT count(), sum(input_tokens), sum(ifNull(cost_nano_usd, 0)) FROM spans",
            {},
        )
        return [tuple(row.values()) for row in rows]
    finally:
        store.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Remembering]:
    """Everything that could keep a word of a user is on."""
    with Provider(Reader()).in_thread() as provider:
        embedder = {"base_url": f"{provider.base_url}/v1", "model": "words", "dimensions": 384}
        config = {
            "memory": {"enabled": True, "embedder": embedder, "model": "local/reader"},
            "providers": {"local": {"base_url": f"{provider.base_url}/v1", "api_key": "sk-local"}},
            "prices": {"local/reader": {"input": "1", "output": "2"}},
            "cache": {"rules": [{"routes": ["sandbox/*"]}]},
            "budgets": {"each": {"per": "user", "hard_usd": "100"}},
            "limits": {"each": {"per": ["user"], "rpm": 1000}},
            "journal": {"keep_consumed_s": 0},
        }
        made = Remembering(tmp_path, provider, config).start()
        try:
            yield made
        except BaseException:
            made.stop(signal.SIGKILL)
            raise
        if made.process is not None and made.process.poll() is None:
            made.stop(signal.SIGKILL)


def test_no_word_of_an_erased_user_is_left_and_the_sums_are(house: Remembering, tmp_path: Path) -> None:
    for number, text in enumerate(HISTORY):
        say(house, USER, text, f"event-{number}")
    say(house, USER, f"Remember that my {CANARY} boat lies in Lisbon", "event-3")
    say(house, "bystander", "my boat is called Swan", "event-9")
    memories = f"/api/memories?user_id={USER}"
    jobs = f"/api/memories/jobs?user_id={USER}"
    eventually(lambda: "extracted" in house.get(jobs).body.decode(), what="the model's reading")
    house.await_calls(5, user_id=USER)
    assert len(house.get(memories).json()["results"]) > 4
    asked = say(house, USER, "What is my boat called?", "event-4")
    assert asked.headers["x-tidegate-memory-status"] == "injected"
    house.await_calls(6, user_id=USER)
    elsewhere = SegmentWriter(house.data / "journal", "elsewhere")
    elsewhere.write(*whole(1, project="default", user_id=USER, event_id="billed", thread_id=CANARY))
    house.await_calls(1, event_id="billed")

    report = tmp_path / "report.json"
    code, told = tidegate(house, "erase", USER, "--report", str(report))
    assert code == 0, told
    found = msgspec.json.decode(report.read_bytes())
    removed = found["removed"]
    assert removed["spans"] == 7
    assert removed["kept answers"] > 0
    assert removed["memories"] > 4
    assert removed["span_payloads"] == 2 * removed["spans"]
    assert removed["span_index"] > 20
    assert not any(found["left"].values())
    pending = {one["name"] for one in found["pending"]}
    assert {name for name in pending if name.startswith("elsewhere")} == {"elsewhere-00000001.seg"}
    assert house.calls(user_id=USER) == []
    (billed,) = house.calls(event_id="billed")
    assert (billed["user_id"], billed["cost_nano_usd"]) == ("erased", 12_345)
    assert len(house.calls(user_id="erased")) == removed["spans"]
    assert len(house.calls(user_id="bystander")) == 1

    # what comes again, and what was still in the journal, does not bring the user back
    say(house, USER, f"my {CANARY} boat is called again", "event-again", before=HISTORY)
    elsewhere.write(*whole(2, project="default", user_id=USER, event_id="late", thread_id=CANARY))
    house.await_calls(1, event_id="event-again")
    house.await_calls(1, event_id="late")
    house.await_capture()
    assert house.get(memories).json()["results"] == []
    code, told = tidegate(house, "journal", "replay", "elsewhere-00000001.seg")
    assert code == 0, told
    code, told = tidegate(house, "journal", "verify")
    assert code == 0, told
    assert house.calls(user_id=USER) == []
    elsewhere.die()
    assert house.stop() == 0, house.log()

    store = open_folder(house.data / "clickhouse")
    rows = everything(store)
    store.close()
    assert {name for name, text in rows.items() if CANARY.encode() in text} == set()
    assert b"Swan" in rows["span_payloads"]
    by_rollup, by_calls = sums(house)
    assert by_rollup == by_calls
    assert by_calls[0] == removed["spans"] + 3

    house.start()
    segments = house.data / "journal"
    eventually(lambda: not holding(segments), what="the journal to let go of what everybody has read")
    assert [path for path in holding(house.data) if "clickhouse" not in path.parts] == []

    # taken in again, with the whole old history and a model that believes what it says
    code, told = tidegate(house, "erase", USER, "--lift")
    assert code == 0, told
    say(house, USER, "Remember that I sold it in May", "event-new", before=HISTORY)
    eventually(lambda: "extracted" in house.get(jobs).body.decode(), what="the model's reading")
    kept = house.get(f"{memories}&superseded=true&limit=1000").json()["results"]
    assert {one["memory"] for one in kept} == {"Remember that I sold it in May"}
    assert holding(house.data / "memory") == []


def test_a_key_erases_users_of_its_own_project_only(tmp_path: Path) -> None:
    keys = [{"name": name, "hash": hash_key(key), "project": name} for name, key in KEYS.items()]
    with Tidegate(tmp_path, {"keys": keys}) as house:
        auth = {name: {"authorization": f"Bearer {key}"} for name, key in KEYS.items()}
        for name in KEYS:
            say(house, "ada/1", f"hello from {name}", f"event-{name}", **auth[name])
            house.await_calls(1, auth[name], user_id="ada/1")
        assert house.request("DELETE", "/api/users?id=ada/1").status == 401
        refused = house.request("DELETE", "/api/users?id=ada/1&project=blue", headers=auth["red"])
        assert (refused.status, refused.json()["error"]["code"]) == (403, "not_yours")
        done = house.request("DELETE", "/api/users?id=ada/1", headers=auth["red"])
        assert (done.status, done.json()["removed"]["spans"]) == (200, 1)
        assert house.calls(auth["red"], user_id="ada/1") == []
        assert len(house.calls(auth["blue"], user_id="ada/1")) == 1
        nobody = house.request("DELETE", "/api/users/erased", headers=auth["red"])
        assert nobody.status == 400
        twice = house.request("DELETE", "/api/users?id=ada/1", headers=auth["red"]).json()
        assert not any(twice["removed"].values())
        assert twice["erased_at"] == done.json()["erased_at"]
        again = ("erase", "ada/1", "--project", "red", "--lift")
        assert [tidegate(house, *again)[0] for _ in range(2)] == [0, 1]
        say(house, "ada/1", "hello again", "event-again", **auth["red"])
        house.await_calls(1, auth["red"], user_id="ada/1")
