"""The query API over a ledger with calls in it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient
from typing_extensions import override

from telemetry.api import build
from telemetry.collector import Pipe
from telemetry.delivery import StoreConsumer
from telemetry.follower import Follower
from telemetry.records import Answer, Attempt, Cost, Injection, Opened, Request
from telemetry.store.base import Parameter, Row, Store, StoreAway, TooExpensive
from tests.fakes.ledger import BASE_US, SegmentWriter, call, outcome, payload, served, settled, whole
from tests.fakes.memory_ledger import MemoryLedger

TODAY = datetime.fromtimestamp(BASE_US / 1e6, UTC).date()
REMEMBERED = Injection(
    status="injected",
    ids=("m-1", "m-2"),
    scores=(0.9, 0.5),
    tokens=40,
    latency_us=3_000,
    block="- She lives in Lisbon",
    anchor=2,
    replayed=3,
    profile_tokens=50,
)
STRANGE = "a/b?c=ü & \"d\" 'e' \\f"


def now_us() -> int:
    return time.time_ns() // 1000


def fill(store: Store, journal: Path) -> None:
    """25 calls of p1, one of p2, some special ones; through the collector, as everything."""
    writer = SegmentWriter(journal, "w1")
    for number in range(25):
        writer.write(*whole(number, user_id="u1", event_id=f"e{number // 10}", thread_id="t1"))
    writer.write(*whole(100, project="p2", user_id="u1", event_id="e0", thread_id="t1"))
    tries = (
        Attempt(
            deployment="a/m", provider="a", model="m", error_type="rate_limited", error_message="slow down"
        ),
        Attempt(deployment="b/m", provider="b", model="m-2"),
    )
    failed = outcome(
        status="error", http_status=502, attempts=tries, cost=Cost(reason="no_usage"), usage_source="none"
    )
    writer.write(settled(200, how=failed, user_id="u2", event_id=STRANGE, model="other"))
    writer.write(Opened(call(300, user_id="u2", event_id="lost")))
    writer.write(settled(310, how=outcome(status="cancelled"), user_id="u4", event_id="left"))
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    writer.write(
        Request(payload(400, body)),
        settled(400, how=outcome(memory=REMEMBERED), event_id="bodies", memory="read"),
        Answer(payload(400, b"data: \xff\n\n")),
    )
    # as many calls at the very same moment as fit a page: the id decides their order
    for number in range(500, 506):
        writer.write(settled(number, started_at_us=BASE_US, user_id="u3", event_id="same", model="other"))
    writer.die()
    follower = Follower("store", journal, now_us=now_us)
    pipe = Pipe(follower, StoreConsumer(store, journal / "dead", origin="here", now_us=now_us), now_us=now_us)
    while pipe.step():
        pass


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with served(tmp_path_factory.mktemp("front") / "clickhouse") as store:
        fill(store, tmp_path_factory.mktemp("journal"))
        yield store


def client_of(
    store: Store | None, project: str = "p1", *, environment: str = "prod", open_: bool = False
) -> TestClient:
    who = {"key_id": "k", "project": project, "environment": environment, "open": open_, "store": "full"}
    told = msgspec.json.encode(who).decode()
    app = build(lambda: store, now_us=lambda: BASE_US)
    return TestClient(app, headers={"x-tidegate-principal": told}, raise_server_exceptions=False)


@pytest.fixture
def client(ledger: Store) -> TestClient:
    return client_of(ledger)


def ask(client: TestClient, path: str, **parameters: str | int) -> dict[str, Any]:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def numbers(answer: dict[str, Any]) -> list[int]:
    return [int(one["call_id"][-12:]) for one in answer["calls"]]


def pages(client: TestClient, **parameters: str | int) -> list[int]:
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = ask(client, "/api/calls", cursor=cursor, **parameters)
        found += numbers(answer)
        cursor = answer["next_cursor"]
    return found


def test_pages_hold_every_call_once_newest_first(client: TestClient) -> None:
    everything = pages(client, limit=7)
    assert len(everything) == len(set(everything)) == 35
    assert everything[:4] == [400, 310, 300, 200]
    assert pages(client, limit=1000) == everything


def test_calls_of_one_moment_are_neither_skipped_nor_repeated(client: TestClient) -> None:
    assert pages(client, user_id="u3", limit=2) == [505, 504, 503, 502, 501, 500]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"event_id": "e1"}, list(range(19, 9, -1))),
        ({"user_id": "u2"}, [300, 200]),
        ({"user_id": "u2", "status": "error"}, [200]),
        ({"thread_id": "t1", "event_id": "e2"}, [24, 23, 22, 21, 20]),
        ({"status": "interrupted"}, [300]),
        ({"model": "m-2"}, [200]),
        ({"event_id": STRANGE}, [200]),
        ({"event_id": "nobody's"}, []),
        ({"user_id": "u1", "model": "nothing"}, []),
    ],
)
def test_filters_narrow_the_list(client: TestClient, filters: dict[str, str], expected: list[int]) -> None:
    assert pages(client, limit=3, **filters) == expected


def test_a_call_tells_its_money_tokens_and_times(client: TestClient) -> None:
    (one,) = ask(client, "/api/calls", event_id="bodies")["calls"]
    assert one["cost_nano_usd"] == 12_345
    assert one["cost_usd"] == "0.000012345"
    assert one["usage"] == {"input_uncached": 7, "cache_read": 3, "output_text": 5}
    assert (one["input_tokens"], one["output_tokens"]) == (10, 5)
    assert one["started_at_us"] == call(400).started_at_us
    assert datetime.fromisoformat(one["started_at"]).timestamp() * 1e6 == call(400).started_at_us
    assert one["tags"] == ["a", "b"]
    assert one["request_preview"].startswith('{"messages"')


def test_one_call_comes_with_what_was_said(client: TestClient) -> None:
    one = ask(client, f"/api/calls/{call(400).call_id}")
    assert one["request"]["text"] == '{"messages":[{"role":"user","content":"hi"}]}'
    assert one["answer"]["text"] == "data: \ufffd\n\n"
    assert one["answer"]["bytes_kept"] == 9
    failed = ask(client, f"/api/calls/{call(200).call_id}")
    assert failed["request"] is None
    assert [tried["deployment"] for tried in failed["attempts"]] == ["a/m", "b/m"]
    assert failed["attempts"][0]["error_message"] == "slow down"
    assert failed["cost_nano_usd"] is failed["cost_usd"] is None
    assert failed["cost_reason"] == "no_usage"


def test_a_call_tells_what_was_remembered_in_it(client: TestClient) -> None:
    one = ask(client, f"/api/calls/{call(400).call_id}")
    (listed,) = ask(client, "/api/events/bodies")["calls"]
    facts = {
        "switch": "read",
        "status": "injected",
        "ids": ["m-1", "m-2"],
        "scores": [0.9, 0.5],
        "tokens": 40,
        "latency_us": 3_000,
        "replayed": 3,
        "profile_tokens": 50,
    }
    assert one["memory"] == {**facts, "block": "- She lives in Lisbon", "anchor": 2}
    assert listed["memory"] == {**facts, "block": "", "anchor": -1}


def test_an_event_is_its_calls_oldest_first_with_totals(client: TestClient) -> None:
    event = ask(client, "/api/events/e0")
    assert numbers(event) == list(range(10))
    assert event["totals"]["calls"] == 10
    assert event["totals"]["cost_nano_usd"] == 123_450
    assert event["totals"]["cost_usd"] == "0.000123450"
    assert event["totals"]["input_tokens"] == 100
    assert event["first_at"] == event["calls"][0]["started_at"]
    assert event["last_at"] == event["calls"][-1]["started_at"]


def test_an_interrupted_call_is_found_by_its_event(client: TestClient) -> None:
    event = ask(client, "/api/events/lost")
    (one,) = event["calls"]
    assert one["status"] == "interrupted"
    assert (one["cost_nano_usd"], one["cost_lower_nano_usd"], one["cost_upper_nano_usd"]) == (None, 0, None)
    assert (event["totals"]["unpriced"], event["totals"]["interrupted"]) == (1, 1)


def test_a_call_whose_client_left_is_counted_apart(client: TestClient) -> None:
    (listed,) = [event for event in ask(client, "/api/events")["events"] if event["event_id"] == "left"]
    for sums in (ask(client, "/api/events/left")["totals"], listed):
        assert (sums["calls"], sums["errors"], sums["cancelled"]) == (1, 0, 1)
    assert ask(client, "/api/events/e0")["totals"]["cancelled"] == 0


def test_ids_that_fit_no_path_go_into_the_query(client: TestClient) -> None:
    assert numbers(ask(client, "/api/events", id=STRANGE)) == [200]
    assert ask(client, "/api/threads", id="t1")["totals"]["calls"] == 25
    assert ask(client, "/api/users/cost", id="u1")["total"]["calls"] == 25


def test_a_long_thread_comes_in_pages_and_its_totals_do_not(client: TestClient) -> None:
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = ask(client, "/api/threads/t1", limit=10, cursor=cursor)
        assert answer["totals"]["calls"] == 25
        found += numbers(answer)
        cursor = answer["next_cursor"]
    assert found == list(range(25))


def test_nothing_is_an_empty_answer_not_an_error(client: TestClient) -> None:
    event = ask(client, "/api/events/none")
    assert (event["calls"], event["totals"]["calls"], event["first_at"]) == ([], 0, None)
    assert ask(client, "/api/users/none/cost")["rows"] == []


def test_a_users_cost_is_split_by_day_and_model(client: TestClient) -> None:
    day = TODAY.isoformat()
    cost = ask(client, "/api/users/u2/cost", **{"from": day, "to": day, "group_by": "day,model"})
    assert [(row["day"], row["model"], row["unpriced"]) for row in cost["rows"]] == [
        (day, "gpt-4o", 1),
        (day, "m-2", 1),
    ]
    assert cost["total"]["calls"] == 2
    whole_month = ask(client, "/api/users/u1/cost")
    assert whole_month["from_day"] == TODAY.replace(day=1).isoformat()
    assert [row["cost_nano_usd"] for row in whole_month["rows"]] == [25 * 12_345]
    assert whole_month["rows"][0]["day"] is None


def test_a_project_sees_only_its_own(ledger: Store) -> None:
    other = client_of(ledger, "p2")
    assert pages(other) == [100]
    assert numbers(ask(other, "/api/events/e0")) == [100]
    assert ask(other, "/api/users/u1/cost")["total"]["calls"] == 1
    assert other.get(f"/api/calls/{call(3).call_id}").status_code == 404


def test_an_environment_sees_nothing_of_another(ledger: Store) -> None:
    other = client_of(ledger, environment="test")
    assert pages(other) == []
    assert ask(other, "/api/users/u1/cost")["total"]["calls"] == 0
    assert numbers(ask(other, "/api/events/e0")) == []
    assert other.get(f"/api/calls/{call(3).call_id}").status_code == 404


def test_open_mode_sees_all(ledger: Store) -> None:
    everybody = client_of(ledger, "default", open_=True)
    assert numbers(ask(everybody, "/api/events/e0")) == [*range(10), 100]
    assert ask(everybody, f"/api/calls/{call(400).call_id}")["request"]["text"].startswith("{")


@pytest.mark.parametrize(
    ("path", "status", "code", "param"),
    [
        ("/api/calls?cursor=nonsense", 400, "bad_cursor", "cursor"),
        ("/api/calls?cursor=%FF", 400, "bad_cursor", "cursor"),
        ("/api/calls?cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OTksIiJd", 400, "bad_cursor", "cursor"),
        ("/api/calls?limit=0", 400, "bad_parameter", "limit"),
        ("/api/calls?limit=many", 400, "bad_parameter", "limit"),
        ("/api/calls?status=fine", 400, "bad_parameter", "status"),
        ("/api/users/u1/cost?from=yesterday", 400, "bad_date", "from"),
        ("/api/users/u1/cost?to=2026-13-01", 400, "bad_date", "to"),
        ("/api/users/u1/cost?from=2026-02-02&to=2026-02-01", 400, "bad_range", "from"),
        ("/api/users/u1/cost?group_by=week", 400, "bad_group_by", "group_by"),
        ("/api/events?ids=e1", 400, "unknown_parameter", "ids"),
        ("/api/users/cost", 400, "bad_parameter", "id"),
        ("/api/calls/nothing", 404, "call_not_found", None),
        ("/api/nothing", 404, "unknown_url", None),
    ],
)
def test_errors_name_the_field_and_the_remedy(
    client: TestClient, path: str, status: int, code: str, param: str | None
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert error["type"] == "invalid_request_error"
    assert error["message"]


@pytest.mark.parametrize("header", [None, "", "{", "[]", '{"project": 3}'])
def test_nobody_is_answered_who_does_not_say_who_asks(ledger: Store, header: str | None) -> None:
    client = TestClient(build(lambda: ledger, now_us=now_us))
    answer = client.get("/api/calls", headers={} if header is None else {"x-tidegate-principal": header})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "no_principal"


def test_while_the_ledger_is_being_opened_the_client_is_told_to_wait() -> None:
    answer = client_of(None).get("/api/calls")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["error"]["code"] == "store_opening"


@pytest.mark.parametrize(("error", "status"), [(StoreAway("gone"), 503), (TooExpensive("slow"), 504)])
def test_a_store_in_trouble_is_told_as_such(error: Exception, status: int) -> None:
    class Troubled(MemoryLedger):
        @override
        def query(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
            raise error

    answer = client_of(Troubled()).get("/api/calls")
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "server_error"


def test_the_api_documents_itself(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {
        "/api/calls",
        "/api/calls/{call_id}",
        "/api/events/{event_id}",
        "/api/users/{user_id}/cost",
    } <= set(paths)
    assert "x-tidegate-principal" not in str(paths)
