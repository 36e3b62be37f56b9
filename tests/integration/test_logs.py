"""Logs that somebody sends us, through a whole house: taken once, told to whom they belong, and summed up."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from telemetry import segments
from telemetry.log_ids import call_id_of
from tests.fakes.tidegate import Reply, Tidegate, eventually

LOGS = "/api/request-logs/"
KEYS = {"tg-one": ("one", "prod"), "tg-one-test": ("one", "test"), "tg-two": ("two", "prod")}


def keyed(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def send(house: Tidegate, logs: object, key: str = "tg-one") -> Reply:
    return house.request("POST", LOGS, logs, keyed(key))


def lists(house: Tidegate, key: str = "tg-one", **asked: Any) -> list[dict[str, Any]]:
    reply = house.request("POST", f"{LOGS}list/", asked, keyed(key))
    if reply.status == 503:
        return []
    assert reply.status == 200, reply.body
    found: list[dict[str, Any]] = reply.json()["results"]
    return found


def await_logs(house: Tidegate, count: int, key: str = "tg-one", **asked: Any) -> list[dict[str, Any]]:
    def look() -> list[dict[str, Any]] | None:
        found = lists(house, key, **asked)
        return found if len(found) >= count else None

    return eventually(look, what=f"{count} logs of {asked}")


def of_user(user: str) -> dict[str, Any]:
    return {"customer_identifier": {"operator": "", "value": [user]}}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    keys = [
        {
            "name": key,
            "hash": hashlib.sha256(key.encode()).hexdigest(),
            "project": project,
            "environment": environment,
        }
        for key, (project, environment) in KEYS.items()
    ]
    with Tidegate(tmp_path_factory.mktemp("logs"), {"keys": keys}) as running:
        yield running


def test_a_log_is_priced_told_whole_and_without_its_secrets(house: Tidegate) -> None:
    secret = "sk-proj-" + "aB3" * 12
    log = {
        "unique_id": "whole/1",
        "model": "gpt-4o",
        "prompt_messages": [{"role": "user", "content": f"use {secret}"}],
        "output": "done",
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "customer_identifier": "whole",
        "custom_identifier": "order-7",
        "thread_identifier": "thread-7",
        "latency": 1.5,
        "ttft": 0.25,
        "metadata": {"team": "search", "nested": {"a": [1]}, "token": secret},
        "metrics": {"relevance": 0.5},
        "log_type": "retrieval",
        "nobody_knows_this": {"deep": [1, 2, {"three": None}]},
    }

    assert send(house, log).status == 202

    (row,) = await_logs(house, 1, filters=of_user("whole"))
    assert row["cost"] == 0.0035  # 1000 at 2.50 and 100 at 10 dollars per million
    assert (row["latency"], row["time_to_first_token"], row["step"]) == (1.5, 0.25, "retrieval")
    assert (row["custom_identifier"], row["thread_identifier"]) == ("order-7", "thread-7")
    assert row["scores"] == {"relevance": 0.5}
    told = eventually(lambda: _with_bodies(house, "whole/1"), what="the bodies").json()
    assert told["nobody_knows_this"] == log["nobody_knows_this"]
    assert told["output"] == "done"
    assert told["metadata"]["team"] == "search"
    assert told["prompt_messages"][0]["content"] == "use [secret:api_key]"
    assert secret not in repr(told)
    for files in segments.writers(house.data / "journal").values():
        assert all(secret.encode() not in file.path.read_bytes() for file in files)


def _with_bodies(house: Tidegate, unique_id: str) -> Reply | None:
    reply = house.get(f"{LOGS}{unique_id}/", keyed("tg-one"))
    return reply if reply.status == 200 and "output" in reply.json() else None


def test_one_bad_log_of_a_batch_costs_itself_only(house: Tidegate) -> None:
    logs: list[dict[str, Any]] = [
        {"unique_id": "good-1", "customer_identifier": "batch", "cost": 0.25},
        {"unique_id": "bad", "customer_identifier": "batch", "prompt_tokens": 2**63},
        {"unique_id": "good-2", "customer_identifier": "batch", "cost": "0.000000001"},
        {"unique_id": "good-1", "customer_identifier": "batch", "cost": 99},
    ]

    reply = send(house, logs)

    results = reply.json()["results"]
    assert reply.status == 202
    assert [(one["unique_id"], one["status"]) for one in results] == [
        ("good-1", "accepted"),
        ("bad", "invalid"),
        ("good-2", "accepted"),
        ("good-1", "repeated"),
    ]
    assert results[1]["error"]["param"] == "prompt_tokens"
    assert "0 to 1,000,000,000,000" in results[1]["error"]["message"]
    rows = await_logs(house, 2, filters=of_user("batch"))
    assert sorted((row["unique_id"], row["cost"]) for row in rows) == [("good-1", 0.25), ("good-2", 1e-9)]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b'{"unique_id": "x", "latency": -1}', 400, "latency"),
        (b'{"unique_id": "x", "start_time": "3026-01-01T00:00:00Z"}', 400, "start_time"),
        (b'{"unique_id": "x", "start_time": "1926-01-01T00:00:00Z"}', 400, "start_time"),
        (b'{"unique_id": "x", "metrics": {"hit": 1e999}}', 400, "metrics"),
        (b'{"unique_id": "x", "input": "\xff"}', 400, None),
        (b'[{"unique_id": "x", "cost": NaN}]', 400, None),
        (b"[" + b"{}," * 1000 + b"{}]", 413, None),
        (b'{"input": "' + b"x" * (65 << 20) + b'"}', 413, None),
        (b"[" * 5000, 400, None),
        (b"", 400, None),
    ],
    ids=["latency", "future", "past", "metric", "utf-8", "nan", "many", "long", "deep", "empty"],
)
def test_what_cannot_be_taken_is_refused_by_name(
    house: Tidegate, body: bytes, status: int, param: str | None
) -> None:
    reply = send(house, body)

    assert reply.status == status, reply.body[:300]
    assert reply.json()["error"]["param"] == param
    assert reply.json()["error"]["message"]


def test_ten_megabytes_come_back_whole_and_more_is_cut_and_says_so(house: Tidegate) -> None:
    whole, long = "tide " * (2 << 20), "tide " * (5 << 19)
    assert send(house, {"unique_id": "ten", "input": whole, "output": "ok", "small": "kept"}).status == 202
    assert (
        send(house, {"unique_id": "thirteen", "input": long, "output": "ok", "small": "kept"}).status == 202
    )

    told = eventually(lambda: _with_bodies(house, "ten"), what="ten megabytes").json()
    assert told["input"] == whole

    def cut() -> dict[str, Any] | None:
        reply = house.get(f"{LOGS}thirteen/", keyed("tg-one"))
        found: dict[str, Any] = reply.json()
        return found if found.get("full_request") else None

    said = eventually(cut, what="what is left of thirteen megabytes")
    assert '"small":"kept"' in said["full_request"], "short fields stand before the long ones"
    assert len(said["full_request"]) == 12 << 20
    (row,) = [one for one in house.calls(keyed("tg-one"), kind="log") if one["call_id"] == said["call_id"]]
    assert row["capture"] == "cut"


def test_a_log_about_a_call_of_ours_counts_neither_tokens_nor_money_again(house: Tidegate) -> None:
    reply = house.request(
        "POST",
        "/v1/chat/completions",
        {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hi"}], "user": "linked"},
        keyed("tg-one"),
    )
    call_id = reply.headers["x-tidegate-call-id"]
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}
    log = {
        "unique_id": "about",
        "customer_identifier": "linked",
        "model": "gpt-4o",
        "cost": 5,
        "usage": usage,
    }

    assert send(house, {**log, "respan.gateway.log_id": call_id}).status == 202

    rows = await_logs(house, 2, filters=of_user("linked"))
    own = next(row for row in rows if row["call_id"] == call_id)
    about = next(row for row in rows if row["unique_id"] == "about")
    assert about["gateway_log_id"] == call_id
    assert (about["cost"], about["prompt_tokens"]) == (0, 0)
    summary = house.request("POST", f"{LOGS}summary/", {"filters": of_user("linked")}, keyed("tg-one")).json()
    assert summary["total_tokens"] == own["total_request_tokens"]
    assert summary["unpriced_requests"] == 0


def test_a_key_sees_its_own_project_and_environment_only(house: Tidegate) -> None:
    for key in KEYS:
        send(
            house,
            {"unique_id": "same", "customer_identifier": "mine", "note": key, "thread_identifier": "t"},
            key,
        )

    for key, (project, environment) in KEYS.items():
        (row,) = await_logs(house, 1, key, filters=of_user("mine"), all_envs=True)
        assert (row["organization_id"], row["environment"], row["note"]) == (project, environment, key)
        assert row["call_id"] == call_id_of(project, environment, "same")
        assert lists(house, key, filters=of_user("mine"), environment="else") == []
        assert house.get(f"{LOGS}same/", keyed(key)).json()["note"] == key
        threads = house.request("POST", "/api/log_threads/", {"filters": of_user("mine")}, keyed(key)).json()
        assert [one["log_count"] for one in threads["results"]] == [1]
        users = house.request("POST", "/api/users/list/", {"filters": of_user("mine")}, keyed(key)).json()
        assert [one["number_of_requests"] for one in users["results"]] == [1]
    foreign = call_id_of("two", "prod", "same")
    assert house.get(f"{LOGS}{foreign}/", keyed("tg-one")).status == 404
    patched = house.request("PATCH", f"{LOGS}{foreign}/", {"note": "mine now"}, keyed("tg-one"))
    assert patched.status == 404
    assert house.request("POST", f"{LOGS}list/", {}).status == 401
    assert house.request("POST", LOGS, {}).status == 401


def test_what_is_said_later_counts_and_money_stays(house: Tidegate) -> None:
    send(
        house,
        {"unique_id": "later", "customer_identifier": "before", "cost": 2, "metadata": {"a": "1", "b": "1"}},
    )
    await_logs(house, 1, filters=of_user("before"))

    def patch(**fields: Any) -> Reply:
        return house.request("PATCH", f"{LOGS}later/", fields, keyed("tg-one"))

    assert patch(customer_identifier="after", note="odd", metadata={"a": "2"}).status == 200
    told = patch(positive_feedback=True, metadata={"c": "3"}).json()

    assert (told["customer_identifier"], told["note"], told["positive_feedback"]) == ("after", "odd", "true")
    assert {name: told["metadata"][name] for name in "abc"} == {"a": "2", "b": "1", "c": "3"}
    assert lists(house, filters=of_user("before")) == []
    (row,) = lists(house, filters=of_user("after"))
    assert (row["unique_id"], row["cost"]) == ("later", 2)
    (found,) = lists(house, filters={"metadata__c": {"operator": "", "value": ["3"]}})
    assert found["unique_id"] == "later"
    for money in ("cost", "usage", "prompt_tokens", "status_code"):
        refused = patch(**{money: 1})
        assert (refused.status, refused.json()["error"]["param"]) == (400, money)
    bill = house.get("/api/users/before/cost", keyed("tg-one")).json()
    assert bill["total"]["cost_usd"] == "2.000000000", "who was billed stays billed"


def test_a_user_has_what_was_used_and_what_was_said_of_them(house: Tidegate) -> None:
    send(
        house,
        [
            {
                "customer_identifier": "ada",
                "cost": 0.5,
                "ttft": 0.2,
                "latency": 2,
                "customer_params": {"email": "ada@example.org"},
            }
        ]
        * 2,
    )
    await_logs(house, 2, filters=of_user("ada"))
    path = "/api/users/ada/"

    said = {"name": "Ada", "period_budget": 10, "budget_duration": "monthly"}
    assert house.request("PATCH", path, said, keyed("tg-one")).status == 200

    user = house.get(path, keyed("tg-one")).json()
    assert (user["name"], user["email"], user["period_budget"]) == ("Ada", "ada@example.org", 10)
    assert (user["number_of_requests"], user["total_cost"], user["active_days"]) == (2, 1.0, 1)
    assert (user["average_latency"], user["average_ttft"]) == (2.0, 0.2)
    assert user["total_period_usage"] == 1.0
    assert user["average_monthly_cost"] == 1.0
    bad = house.request("PATCH", path, {"period_budget": "much"}, keyed("tg-one"))
    assert (bad.status, bad.json()["error"]["param"]) == (400, "period_budget")
    assert house.get("/api/users/nobody/", keyed("tg-one")).status == 404
    assert house.get(path, keyed("tg-two")).status == 404


def test_a_calls_own_metrics_are_kept_and_wrong_ones_refused(house: Tidegate) -> None:
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hi"}], "user": "measured"}

    def call(metrics: str) -> Reply:
        headers = {**keyed("tg-one"), "x-tidegate-metrics": metrics, "x-tidegate-step": "retrieval"}
        return house.request("POST", "/v1/chat/completions", body, headers)

    assert call("hit=1,relevance=0.75").status == 200
    refused = call("hit=many")
    assert (refused.status, refused.json()["error"]["param"]) == (400, "x-tidegate-metrics")

    (row,) = await_logs(house, 1, filters={"scores__relevance": {"operator": "gte", "value": [0.75]}})
    assert row["scores"] == {"hit": 1.0, "relevance": 0.75}
    assert (row["customer_identifier"], row["step"]) == ("measured", "retrieval")


def test_what_was_accepted_is_there_once_after_kills_and_repeats_and_the_sums_agree(tmp_path: Path) -> None:
    with Tidegate(tmp_path) as house:
        accepted: set[str] = set()
        lock = threading.Lock()
        batches = [[f"log-{batch}-{number}" for number in range(10)] for batch in range(12)]

        def deliver(ids: list[str]) -> None:
            """Send until somebody says 202, and once more all the same."""
            logs = [
                {
                    "unique_id": one,
                    "cost": "0.000000007",
                    "prompt_tokens": 3,
                    "input": "x" * 40_000,
                    "output": "y",
                }
                for one in ids
            ]

            def taken() -> bool:
                try:
                    reply = house.request("POST", LOGS, logs)
                except OSError:
                    return False
                return reply.status == 202

            for _ in range(2):
                eventually(taken, what="a 202")
            with lock:
                accepted.update(ids)

        threads = [threading.Thread(target=deliver, args=(ids,)) for ids in batches]
        for number, thread in enumerate(threads):
            thread.start()
            if number == 7:
                eventually(
                    lambda: (
                        (house.data / "journal" / "store.plan").exists()
                        or not any(t.is_alive() for t in threads)
                    ),
                    what="a batch",
                )
                house.kill("telemetry")
        for thread in threads:
            thread.join()
        assert len(accepted) == 120
        house.kill("telemetry")  # and again after a restart, with other times
        deliver(batches[0])

        rows = house.await_calls(120)
        summary = house.request("POST", f"{LOGS}summary/", {}).json()
        assert (summary["number_of_requests"], summary["total_cost_nano_usd"]) == (120, 7 * 120)
        journal, chdb = house.data / "journal", house.data / "clickhouse"
    tally = _tally(journal, chdb)
    assert tally["usage"] == tally["ledger"]
    assert tally["ledger"][0][0] == 120
    bodies = Counter((call_id, kind) for call_id, kind in tally["span_payloads"])
    assert bodies == Counter((row["call_id"], kind) for row in rows for kind in ("request", "answer"))
    ids = Counter(value for _, key, value in tally["span_index"] if key == "log_id")
    assert ids == Counter(accepted)
    assert not list((journal / "dead-letters").glob("*"))


def _tally(journal: Path, chdb: Path) -> dict[str, Any]:
    """What the tables hold, read by a process of its own."""
    command = [sys.executable, "-m", "tests.fakes.collector_child", "drain", str(journal), str(chdb)]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    found: dict[str, Any] = msgspec.json.decode(printed)["tally"]
    return found
