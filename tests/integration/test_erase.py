"""A user is erased from a running house: nothing of what was said is left anywhere, and the money still adds up."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from gateway.config import hash_key
from telemetry.store.base import Store
from telemetry.store.embedded import open_folder
from tests.fakes.ledger import SegmentWriter, whole
from tests.fakes.tidegate import Tidegate, eventually

USER = "canary-user"
CANARY = "canary"
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


def say(house: Tidegate, user: str, text: str, event: str, **headers: str) -> None:
    reply = house.request(
        "POST",
        "/v1/chat/completions",
        {"model": "sandbox/echo", "messages": [{"role": "user", "content": text}], "max_tokens": 10},
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


def test_no_word_of_an_erased_user_is_left_and_the_sums_are(tmp_path: Path) -> None:
    house = Tidegate(tmp_path, {"memory": {"enabled": True}}).start()
    try:
        eventually(lambda: house.get("/api/memories?user_id=x").status == 200, what="the memory")
        for number in range(3):
            say(house, USER, f"my {CANARY} boat is called number {number}", f"event-{number}")
        say(house, "bystander", "my boat is called Swan", "event-9")
        house.await_calls(3, user_id=USER)
        memories = f"/api/memories?user_id={USER}"
        eventually(lambda: len(house.get(memories).json()["results"]) == 3, what="memories")
        elsewhere = SegmentWriter(house.data / "journal", "elsewhere")
        elsewhere.write(*whole(1, project="default", user_id=USER, event_id="billed", thread_id=CANARY))
        house.await_calls(1, event_id="billed")

        report = tmp_path / "report.json"
        code, told = tidegate(house, "erase", USER, "--report", str(report))
        assert code == 0, told
        found = msgspec.json.decode(report.read_bytes())
        assert found["removed"] == {
            "spans": 4,
            "span_payloads": 8,
            "span_index": found["removed"]["span_index"],
            "usage_daily": found["removed"]["usage_daily"],
            "cost_corrections": 0,
            "amendments": 0,
            "dead-letters": 0,
            "kept responses": 0,
            "memories": 3,
        }
        assert found["removed"]["span_index"] > 20
        assert not any(found["left"].values())
        pending = {one["name"] for one in found["pending"]}
        assert {name for name in pending if name.startswith("elsewhere")} == {"elsewhere-00000001.seg"}
        assert len(pending) == 3  # and the worker's, and what the engine has replaced
        assert house.calls(user_id=USER) == []
        (billed,) = house.calls(event_id="billed")
        assert (billed["user_id"], billed["cost_nano_usd"]) == ("erased", 12_345)
        assert len(house.calls(user_id="erased")) == 4
        assert len(house.calls(user_id="bystander")) == 1

        # what comes again, and what was still in the journal, does not bring the user back
        say(house, USER, f"my {CANARY} boat is called again", "event-again")
        elsewhere.write(*whole(2, project="default", user_id=USER, event_id="late", thread_id=CANARY))
        house.await_calls(1, event_id="event-again")
        house.await_calls(1, event_id="late")
        assert house.get(memories).json()["results"] == []
        code, told = tidegate(house, "journal", "replay", "elsewhere-00000001.seg")
        assert code == 0, told
        code, told = tidegate(house, "journal", "verify")
        assert code == 0, told
        assert house.calls(user_id=USER) == []
    except BaseException:
        house.stop(signal.SIGKILL)
        raise
    assert house.stop() == 0, house.log()

    store = open_folder(house.data / "clickhouse")
    rows = everything(store)
    store.close()
    assert {name for name, text in rows.items() if CANARY.encode() in text} == set()
    assert b"Swan" in rows["span_payloads"]
    by_rollup, by_calls = sums(house)
    assert by_rollup == by_calls
    assert by_calls[0] == 7
    for folder in ("memory", "responses.sqlite", "forgotten.json", "journal/dead-letters"):
        for path in [house.data / folder, *(house.data / folder).rglob("*")]:
            held = path.is_file() and CANARY.encode() in path.read_bytes().replace(USER.encode(), b"")
            assert not held, path


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
