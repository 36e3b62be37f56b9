"""Whole tables as files, costs that became known later, and words found in what was said."""

from __future__ import annotations

import csv
import http.client
import io
import random
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # pyarrow 26 ships no types
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient
from typing_extensions import override

from telemetry.api import build
from telemetry.questions import Questions, Range, Scope, exports
from telemetry.questions.exports import CALL_COLUMNS
from telemetry.records import Answer, Request
from telemetry.store.base import Parameter, Row, Store, StoreAway
from tests.fakes.ledger import BASE_US, call, outcome, payload, served, settled
from tests.fakes.memory_ledger import MemoryLedger
from tests.fakes.seeded import KEYS, Made, fill, groups, make, moment, sums
from tests.fakes.seeded import settled as frames_of

FORMULA = '=HYPERLINK("http://example.com")'
CALLS = [
    *make(199),
    Made(call(50_000, user_id=FORMULA, step="-1+1", properties={"=a": "+b"}, tags=("@c",)), outcome()),
]
TODAY = moment(BASE_US).date().isoformat()
EVER = f"from=2020-01-01&to={TODAY}"

WORDS = ("harbour", "Für", "straße", "ÉCLAIR", "lisbon", "北京", "snake", "case", "tide5", "nice")
JOINTS = (" ", "\n", "\t", ", ", "“", "”", "_", "/", "\\", "👋", '"', "—", "...", "x", "é")
"""What stands between words; the last two make them others."""


def said(source: random.Random) -> str:
    words = (source.choice(WORDS) for _ in range(source.randrange(1, 6)))
    return "".join(source.choice((word, word.upper())) + source.choice(JOINTS) for word in words)


TEXTS = [said(random.Random(number)) for number in range(60)]


def frames_with_words() -> Iterator[Request | Answer]:
    """Bodies as clients write them: with letters as they are, or as JSON may escape them."""
    for number, text in enumerate(TEXTS):
        plain = msgspec.json.encode({"messages": [{"role": "user", "content": text}]})
        escaped = re.sub(r"[^\x00-\x7f]", _escape, plain.decode()).encode()
        body = plain if number % 2 else escaped
        kind = Request if number % 3 else Answer
        yield kind(payload(60_000 + number, body, user_id=f"s{number % 4}", environment="talk"))


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be").hex()
    return "".join(rf"\u{units[at : at + 4]}" for at in range(0, len(units), 4))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with served(tmp_path_factory.mktemp("front") / "clickhouse") as store:
        talks = [settled(60_000 + n, user_id=f"s{n % 4}", environment="talk") for n in range(len(TEXTS))]
        fill(store, tmp_path_factory.mktemp("journal"), [*frames_of(CALLS), *talks, *frames_with_words()])
        yield store


@pytest.fixture(scope="module")
def app(ledger: Store) -> FastAPI:
    return build(lambda: ledger, now_us=lambda: BASE_US)


def asking(app: FastAPI, environment: str = "prod") -> TestClient:
    who = msgspec.json.encode({"project": "p1", "environment": environment}).decode()
    return TestClient(app, headers={"x-tidegate-principal": who})


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return asking(app)


def ask(client: TestClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def file_of(client: TestClient, path: str, shape: str) -> list[dict[str, Any]]:
    """Read a file as whoever gets it would."""
    answer = client.get(f"{path}&format={shape}")
    assert answer.status_code == 200, answer.text
    disposition = answer.headers["content-disposition"]
    assert re.fullmatch(rf'attachment; filename="tidegate-\w+-2020-01-01-to-{TODAY}\.{shape}"', disposition)
    if shape == "csv":
        return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    if shape == "jsonl":
        return [msgspec.json.decode(line) for line in answer.content.splitlines()]
    table = pq.read_table(io.BytesIO(answer.content))
    return [dict(row) for row in table.to_pylist()]


# files


@pytest.mark.parametrize(("shape", "page"), [("csv", 20), ("csv", 5_000), ("jsonl", 5_000), ("parquet", 50)])
def test_a_file_holds_every_call_once_whatever_the_size_of_a_page(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, shape: str, page: int
) -> None:
    monkeypatch.setattr(exports, "PAGE", page)
    rows = file_of(client, f"/api/calls/export?{EVER}", shape)
    made = {one.call.call_id: one for one in CALLS}
    assert [row["call_id"] for row in rows] == sorted(
        made, key=lambda call_id: (made[call_id].call.started_at_us // 3_600_000_000, call_id)
    )
    assert list(rows[0]) == [column.name for column in CALL_COLUMNS]
    for row in rows:
        one = made[row["call_id"]]
        if one.cost is None:
            assert (row["cost_nano_usd"] or None, row["cost_usd"] or None) == (None, None)
            assert row["cost_reason"] == one.outcome.cost.reason != ""
        else:
            assert int(row["cost_nano_usd"]) == one.cost
            assert Decimal(row["cost_usd"]) == Decimal(one.cost).scaleb(-9)
        assert int(row["total_us"]) == one.outcome.total_us
        assert row["model"] == one.call.model


def test_lists_and_maps_of_a_file_are_what_its_format_has(client: TestClient) -> None:
    one = next(one for one in CALLS if len(one.call.tags) > 1 and one.call.properties and one.call.metrics)
    path = f"/api/calls/export?{EVER}&event_id={one.call.event_id}"
    found = {}
    for shape in ("csv", "jsonl", "parquet"):
        found[shape] = next(row for row in file_of(client, path, shape) if row["call_id"] == one.call.call_id)
    as_json = found["jsonl"]
    assert as_json["tags"] == found["parquet"]["tags"] == list(one.call.tags)
    assert as_json["properties"] == dict(found["parquet"]["properties"]) == one.call.properties
    assert as_json["metrics"] == dict(found["parquet"]["metrics"]) == one.call.metrics
    for name in ("tags", "properties", "metrics", "attempts"):
        assert msgspec.json.decode(found["csv"][name]) == as_json[name]
    assert found["parquet"]["started_at"] == moment(one.call.started_at_us)
    assert found["csv"]["started_at"] == as_json["started_at"]
    assert found["csv"]["stream"] == str(one.call.stream).lower()


def test_text_that_a_spreadsheet_would_compute_is_disarmed(client: TestClient) -> None:
    rows = file_of(client, f"/api/calls/export?{EVER}", "csv")
    (row,) = (row for row in rows if row["call_id"] == call(50_000).call_id)
    assert (row["user_id"], row["step"]) == (f"'{FORMULA}", "'-1+1")
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("=", "+", "@", "\t", "\r")]
    named = file_of(client, f"/api/costs/export?{EVER}&group_by=user,property:=a", "csv")
    assert {row["user"] for row in named} >= {f"'{FORMULA}"}
    (raw,) = (row for row in file_of(client, f"/api/calls/export?{EVER}&step=-1%2B1", "jsonl"))
    assert raw["user_id"] == FORMULA


def test_a_file_is_narrowed_as_a_list_is(client: TestClient) -> None:
    one = CALLS[7]
    path = f"/api/calls/export?{EVER}&key_id={one.call.key_id}&status={one.outcome.status}"
    expected = {
        other.call.call_id
        for other in CALLS
        if (other.call.key_id, other.outcome.status) == (one.call.key_id, one.outcome.status)
    }
    assert {row["call_id"] for row in file_of(client, path, "csv")} == expected
    empty = f"/api/calls/export?{EVER}&user_id=nobody"
    assert client.get(f"{empty}&format=csv").text.startswith("call_id,kind,")
    assert [file_of(client, empty, shape) for shape in ("csv", "jsonl", "parquet")] == [[], [], []]


@pytest.mark.parametrize("shape", ["csv", "jsonl", "parquet"])
def test_a_file_of_costs_holds_the_same_sums(client: TestClient, shape: str) -> None:
    by = ["month", "user", "route"]
    rows = file_of(client, f"/api/costs/export?{EVER}&group_by={','.join(by)}", shape)
    expected = groups(CALLS, by)
    assert len(rows) == len(expected)
    for row in rows:
        key = tuple(row[name].removeprefix("'") for name in by)
        wanted = sums(expected[key])
        assert int(row["calls"]) == wanted["calls"]
        cost = row["cost_nano_usd"]
        assert (None if cost in ("", None) else int(cost)) == wanted["cost_nano_usd"]


class Breaking(MemoryLedger):
    """Has two hours with a call each, and is gone when it comes to the second."""

    @override
    def query(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        if "hour_us" in sql:
            home = {"project": "p1", "environment": "prod", "calls": exports.PAGE}
            return [{**home, "hour_us": hour * 3_600_000_000} for hour in (10, 11)]
        if "corrections" in sql:
            return [{"corrections": 0}]
        if parameters["from_us"] == 11 * 3_600_000_000:
            raise StoreAway("gone")
        columns = {column.source or column.name: "" for column in CALL_COLUMNS}
        numbers = {
            column.source or column.name: 0
            for column in CALL_COLUMNS
            if column.kind in ("count", "nano", "moment")
        }
        empty = {"tags": [], "properties": {}, "metrics": {}, "cost_lines": {}, "stream": False}
        return [columns | numbers | empty]


@pytest.mark.parametrize("shape", ["csv", "jsonl", "parquet"])
def test_a_failure_half_way_breaks_the_connection(shape: str) -> None:
    app = build(Breaking, now_us=lambda: BASE_US)
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=30)
    who = msgspec.json.encode({"project": "p1", "environment": "prod"}).decode()
    connection.request(
        "GET", f"/api/calls/export?from=1970-01-01&format={shape}", headers={"x-tidegate-principal": who}
    )
    answer = connection.getresponse()
    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    connection.close()
    server.should_exit = True
    thread.join(30)
    listener.close()


def test_a_failure_before_the_first_row_is_told() -> None:
    class Away(MemoryLedger):
        @override
        def query(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
            raise StoreAway("gone")

    answer = asking(build(Away, now_us=lambda: BASE_US)).get("/api/calls/export")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_away")


def test_a_page_of_a_file_is_all_that_is_in_memory(ledger: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PAGE", 10)
    for environment, count in (("prod", len(CALLS)), ("talk", len(TEXTS))):  # the latter's in one hour
        batches = list(islice(Questions(ledger).all_calls(Scope("p1", environment), {}, Range()), 200))
        assert max(map(len, batches)) <= 10
        ids = [row["call_id"] for batch in batches for row in batch]
        assert len(ids) == len(set(ids)) == count


# costs that became known later


def test_lists_sums_and_files_have_the_newest_cost(tmp_path_factory: pytest.TempPathFactory) -> None:
    with served(tmp_path_factory.mktemp("front") / "clickhouse") as store:
        made = [one for one in make(120) if one.outcome.attempts]
        fill(store, tmp_path_factory.mktemp("journal"), frames_of(made))
        corrected = {
            one.call.call_id: 1_000_000_000 + number for number, one in enumerate(made) if number % 3 == 0
        }
        for one in made:
            if one.call.call_id in corrected:
                _correct(store, one, corrected[one.call.call_id] - 5, first=True)
                _correct(store, one, corrected[one.call.call_id], first=False)
        client = asking(build(lambda: store, now_us=lambda: BASE_US))
        expected = sum(corrected.get(one.call.call_id, one.cost or 0) for one in made)
        unpriced = sum(one.cost is None and one.call.call_id not in corrected for one in made)
        for by in ("user", "user,route"):
            total = ask(client, f"/api/costs?{EVER}&group_by={by}")["total"]
            assert (total["cost_nano_usd"], total["unpriced"]) == (expected, unpriced), by
        dearest = ask(client, f"/api/calls?sort=most_expensive&limit=5&from={made[0].day}&to={made[0].day}")
        for listed in (*dearest["calls"], *ask(client, "/api/calls?limit=1000")["calls"]):
            if listed["call_id"] in corrected:
                assert listed["cost_nano_usd"] == corrected[listed["call_id"]]
                assert listed["cost_reason"] == ""
        rows = file_of(client, f"/api/calls/export?{EVER}", "jsonl")
        assert sum(row["cost_nano_usd"] or 0 for row in rows) == expected
        assert len(ask(client, "/api/calls?priced=false&limit=1000")["calls"]) == unpriced
        one = next(one for one in made if one.call.call_id in corrected)
        event = ask(client, f"/api/events/{one.call.event_id}")
        same = [other for other in made if other.call.event_id == one.call.event_id]
        total = sum(corrected.get(other.call.call_id, other.cost or 0) for other in same)
        assert event["totals"]["cost_nano_usd"] == total
        assert sum(told["cost_nano_usd"] or 0 for told in event["calls"]) == total
        alone = ask(client, f"/api/calls/{one.call.call_id}")
        assert alone["cost_nano_usd"] == corrected[one.call.call_id]


def _correct(store: Store, one: Made, cost: int, *, first: bool) -> None:
    before = one.cost if first else cost - 5
    values: dict[str, Parameter] = {
        "call_id": one.call.call_id,
        "at": one.call.started_at_us,
        "user": one.call.user_id,
        "key": one.call.key_id,
        "provider": one.outcome.provider,
        "model": one.model,
        "kind": KEYS["kind"](one),
        "new": cost,
        "delta": cost - (before or 0),
        "newly": int(before is None),
        "when": BASE_US + (not first),
    }
    store.command(
        "INSERT INTO cost_corrections (project, environment, call_id, started_at, user_id, key_id, provider, model,"
        " kind, new_nano_usd, delta_nano_usd, newly_priced, corrected_at, origin) SELECT 'p1', 'prod',"
        " {call_id:String}, fromUnixTimestamp64Micro({at:Int64}, 'UTC'), {user:String}, {key:String},"
        " {provider:String}, {model:String}, {kind:String}, {new:Int64}, {delta:Int64}, {newly:UInt8},"
        " fromUnixTimestamp64Micro({when:Int64}, 'UTC'), 'here'",
        values,
    )


# words


def tokens(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[^\W_]+", text)}


@pytest.mark.parametrize("question", ["harbour", "für", "FÜR harbour", "Straße", "éclair", "lisbon, nice!", "北京",
                                      "tide5", "tide", "snake_case", "ice", "arbour"])  # fmt: skip
def test_words_are_found_where_they_stand_alone(app: FastAPI, question: str) -> None:
    client = asking(app, "talk")
    wanted = tokens(question)
    expected = {call(60_000 + number).call_id for number, text in enumerate(TEXTS) if wanted <= tokens(text)}
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = client.get("/api/search", params={"q": question, "limit": 4, "cursor": cursor}).json()
        for hit in answer["hits"]:
            found.append(hit["call"]["call_id"])
            assert answer["words"][0] in tokens(hit["snippet"])
        cursor = answer["next_cursor"]
    assert set(found) == expected
    assert found == sorted(found, reverse=True)


def test_a_search_is_narrowed_by_filters_time_and_environment(app: FastAPI, client: TestClient) -> None:
    talk = asking(app, "talk")
    everything = talk.get("/api/search", params={"q": "harbour", "limit": 100}).json()["hits"]
    mine = talk.get("/api/search", params={"q": "harbour", "limit": 100, "user_id": "s1"}).json()["hits"]
    assert 0 < len(mine) < len(everything)
    assert mine == [hit for hit in everything if hit["call"]["user_id"] == "s1"]
    nothing = ask(client, "/api/search?q=harbour&limit=1")
    assert (nothing["hits"], nothing["next_cursor"]) == ([], None)
    assert ask(talk, "/api/search?q=harbour&from=2026-01-01&to=2026-01-02")["hits"] == []


def test_a_plain_word_is_what_the_engine_calls_a_token(ledger: Store, app: FastAPI) -> None:
    (row,) = ledger.query(
        "SELECT arraySort(groupUniqArray(call_id)) AS ids FROM span_payloads"
        " WHERE environment = 'talk' AND hasTokenCaseInsensitive(body, 'lisbon')"
        " AND hasAllTokens(lower(body), ['lisbon'])",
        {},
    )
    found = asking(app, "talk").get("/api/search", params={"q": "lisbon", "limit": 100}).json()["hits"]
    assert row["ids"]
    assert set(row["ids"]) <= {hit["call"]["call_id"] for hit in found}
