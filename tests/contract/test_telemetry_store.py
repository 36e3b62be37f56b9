"""What every store of the ledger does, embedded or on a server."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from telemetry.memory_figures import MemorySteps
from telemetry.migrate import load, migrate
from telemetry.questions.memory import MemoryQuestions
from telemetry.questions.scope import Range, Scope
from telemetry.records import Attempt, Cost, Frame, Injection, Request
from telemetry.rows import PAYLOADS, SPANS, Row, begin, row_of
from telemetry.store.base import Block, Store, StoreAway, StoreRefused, TooExpensive
from telemetry.store.server import open_server
from tests.fakes.ledger import BASE_US, outcome, payload, settled, start_front


def row(frame: Frame) -> Row:
    made = row_of(frame, origin="here", preview=begin)
    assert made is not None
    return made


def spans(*numbers: int, **changes: Any) -> Block:
    return SPANS.block([row(settled(number, **changes)) for number in numbers])


def count(store: Store, table: str, project: str) -> int:
    rows = store.lookup(f"SELECT count() AS n FROM {table} WHERE project = {{p:String}}", {"p": project})
    return int(rows[0]["n"])


def test_what_went_in_comes_out_with_its_types(store: Store) -> None:
    store.insert("spans", spans(1, project="types"), token="types-1")
    (found,) = store.query(
        "SELECT call_id, tags, properties, stream, cost_nano_usd, cost_lines, http_status, raw_usage,"
        " toUnixTimestamp64Micro(started_at) AS us FROM spans WHERE project = {p:String}",
        {"p": "types"},
    )
    asked = settled(1).call
    assert found["call_id"] == asked.call_id
    assert found["us"] == asked.started_at_us
    assert list(found["tags"]) == ["a", "b"]
    assert found["properties"] == {"feature": "search"}
    assert found["stream"] is True
    assert found["cost_nano_usd"] == 12_345
    assert found["cost_lines"] == {"input_uncached": 12_000, "output_text": 345}
    assert found["raw_usage"] == '{"prompt_tokens":10}'


def test_a_token_seen_before_adds_nothing_to_table_or_views(store: Store) -> None:
    for _ in range(3):
        store.insert("spans", spans(1, 2, 3, project="twice"), token="twice-1")
    assert count(store, "spans", "twice") == 3
    assert count(store, "span_index", "twice") == 3 * 6
    rows = store.lookup("SELECT sum(calls) AS n FROM usage_daily WHERE project = 'twice'", {})
    assert rows == [{"n": 3}]


def test_the_same_rows_under_another_token_are_new_rows(store: Store) -> None:
    for token in ("other-1", "other-2"):
        store.insert("spans", spans(1, project="other"), token=token)
    assert count(store, "spans", "other") == 2


def test_what_was_remembered_goes_when_payloads_go_and_its_facts_stay(store: Store) -> None:
    old_us = BASE_US - 91 * 86_400_000_000
    for number, started_at_us in ((1, old_us), (2, BASE_US)):
        how = outcome(memory=Injection(status="injected", ids=("m-1",), block="- She lives in Lisbon"))
        store.insert(
            "spans",
            spans(number, how=how, project="forgotten", started_at_us=started_at_us),
            token=f"forgotten-{number}",
        )
    store.command("OPTIMIZE TABLE spans FINAL")
    rows = store.query(
        "SELECT memory_block, memory_status, memory_ids FROM spans WHERE project = {p:String} ORDER BY started_at",
        {"p": "forgotten"},
    )
    assert [(row["memory_block"], row["memory_status"], list(row["memory_ids"])) for row in rows] == [
        ("", "injected", ["m-1"]),
        ("- She lives in Lisbon", "injected", ["m-1"]),
    ]


def test_a_batch_that_spans_months_is_still_one_insert(store: Store) -> None:
    block = SPANS.block(
        [
            row(settled(number, project="months", started_at_us=number * 86_400_000_000 * 31))
            for number in range(105)
        ]
    )
    for _ in range(2):
        store.insert("spans", block, token="months-1")
    assert count(store, "spans", "months") == 105


def test_bodies_that_are_not_text_are_kept_byte_for_byte(store: Store) -> None:
    body = bytes(range(256)) * 3
    block = PAYLOADS.block([row(Request(payload(1, body, project="bytes")))])
    store.insert("span_payloads", block, token="bytes-1")
    (found,) = store.lookup("SELECT hex(body) AS hex FROM span_payloads WHERE project = 'bytes'", {})
    assert bytes.fromhex(found["hex"]) == body


@pytest.mark.parametrize(
    "text", ["it's", "back\\slash", "tab\tline\nend", "{x:String}", "; DROP TABLE spans", "ü😀", ""]
)
def test_parameters_arrive_as_they_are(store: Store, text: str) -> None:
    rows = store.query("SELECT {t:String} AS one, {l:Array(String)} AS many", {"t": text, "l": [text, "x"]})
    assert [(row["one"], list(row["many"])) for row in rows] == [(text, [text, "x"])]


def test_thousands_of_ids_fit_into_one_question(store: Store) -> None:
    ids = [f"01900000-0000-7000-8000-{number:012d}" for number in range(2000)]
    assert store.lookup("SELECT length({ids:Array(String)}) AS n", {"ids": ids}) == [{"n": 2000}]


def test_a_row_that_breaks_a_rule_is_refused_and_nothing_of_its_block_stays(store: Store) -> None:
    store.command(
        "CREATE TABLE IF NOT EXISTS ruled (project String, CONSTRAINT good CHECK project != 'bad')"
        " ENGINE = MergeTree ORDER BY project"
    )
    block = spans(1, project="fine").select(["project"])
    bad = spans(1, project="bad").select(["project"])
    with pytest.raises(StoreRefused) as refused:
        store.insert("ruled", bad, token="ruled-1")
    assert refused.value.code == 469
    assert refused.value.label == "VIOLATED_CONSTRAINT"
    store.insert("ruled", block, token="ruled-2")
    assert count(store, "ruled", "fine") == 1


def test_a_missing_table_is_nobodys_bad_row(store: Store) -> None:
    with pytest.raises(StoreAway):
        store.insert("nowhere", spans(1), token="nowhere-1")


def test_a_wrong_question_is_refused(store: Store) -> None:
    with pytest.raises(StoreRefused) as refused:
        store.query("SELECT nothing_of_that_name", {})
    assert refused.value.code == 47


def test_a_reader_may_not_take_forever(store: Store, tmp_path: Path) -> None:
    with pytest.raises(TooExpensive):
        store.query("SELECT sleepEachRow(1) FROM numbers(3) SETTINGS max_execution_time = 1", {})


def test_readers_answer_while_others_read_and_rows_go_in(store: Store) -> None:
    problems: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(5):
                store.query("SELECT count() AS n FROM spans", {})
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for number in range(3):
        store.insert("spans", spans(number, project="busy"), token=f"busy-{number}")
    for thread in threads:
        thread.join()
    assert problems == []
    assert count(store, "spans", "busy") == 3


def test_the_statements_for_clusters_are_ones_the_engine_can_read(store: Store) -> None:
    for migration in load(clustered=True):
        for statement in migration.statements:
            (read,) = store.query("SELECT formatQuery({text:String}) AS text", {"text": statement})
            assert "ON CLUSTER" in read["text"]


def test_it_says_what_it_is_and_that_it_is_there(store: Store) -> None:
    assert store.ping()
    assert store.state().kind in {"chdb", "server"}
    assert store.state().version


def test_a_server_that_is_not_there_is_away() -> None:
    with pytest.raises(StoreAway):
        open_server("http://127.0.0.1:1/tidegate")


def told_of_memory(store: Store, project: str) -> MemorySteps:
    return MemoryQuestions(store).memory_steps(Scope(project=project, environment="prod"), Range())


def test_how_memory_does_is_told_by_the_steps_of_the_pipeline(store: Store) -> None:
    there = Attempt(deployment="openai/gpt-4o", provider="openai", model="gpt-4o")
    full = Attempt(deployment="azure/gpt-4o", provider="azure", model="gpt-4o", error_type="rate_limited")
    found = Injection(status="injected", ids=("a", "b"), scores=(0.9, 0.5), tokens=5, latency_us=5000)
    hows = [
        outcome(memory=found, finish_reason="length", attempts=(full, there)),
        outcome(
            memory=Injection(status="replayed", replayed=2, profile_tokens=5, latency_us=5000),
            attempts=(full, full, there),
        ),
        outcome(memory=Injection(status="empty", latency_us=5000)),
        outcome(memory=Injection(status="timeout", latency_us=5000), cost=Cost(reason="no_usage")),
        outcome(memory=Injection(status="skipped:off")),
    ]
    for number, how in enumerate(hows):
        asked: dict[str, Any] = {"route": "fast", "metrics": {"useful": 0.5}} if number == 0 else {}
        store.insert("spans", spans(number, how=how, project="doing", **asked), token=f"doing-{number}")
    for number, (step, job, status) in enumerate(
        [
            ("extract", "j1", "ok"),
            ("repair", "j1", "ok"),
            ("extract", "j2", "ok"),
            ("extract", "j2", "error"),
        ],
        10,
    ):
        how = outcome(status=status, memory=Injection(status="skipped:off"))
        own = {"step": f"memory.{step}", "properties": {"memory-job": job}}
        store.insert("spans", spans(number, how=how, project="doing", **own), token=f"doing-{number}")
    told = told_of_memory(store, "doing")
    retrieval = told.retrieval
    assert (retrieval.recalls, retrieval.injected, retrieval.replayed, retrieval.abstained) == (4, 1, 1, 1)
    assert (retrieval.timeouts, retrieval.errors, retrieval.skipped, retrieval.hit_rate) == (1, 0, 1, 0.25)
    assert (retrieval.tokens, retrieval.memories, retrieval.best_score) == (10, 2, 0.9)
    assert retrieval.latency_us.p95 == 5000
    assert retrieval.cost_nano_usd == 12_000, "half of the input of two calls, so half of what that cost"
    without, having = told.synthesis
    assert (without.with_memory, without.answers, without.priced) == (False, 3, 2)
    assert (having.with_memory, having.answers, having.truncation_rate) == (True, 2, 0.5)
    assert (having.cached_share, having.context_tokens.p50) == (0.3, 10)
    assert (having.cost_nano_usd, having.cost_per_answer_nano_usd) == (24_690, 12_345)
    assert (having.scores, without.scores) == ({"useful": 0.5}, {})
    read, repaired = told.extraction
    assert (read.purpose, read.calls, read.jobs, read.failures) == ("memory.extract", 3, 2, 1)
    assert (repaired.purpose, repaired.calls, told.verified_rate) == ("memory.repair", 1, 0.5)
    led = told.orchestration
    assert (led.events, led.calls_per_event) == (5, 1)
    assert led.event_us.p50 == 250_000
    assert (led.calls, led.retries) == (9, 3)
    assert led.routing_rate == pytest.approx(1 / 9)
    assert led.retry_rate == led.fallback_rate == pytest.approx(2 / 9)
    assert led.rate_limited == 2
    assert sum(one.calls for one in led.providers) == 9
    assert {one.provider for one in led.providers} == {"openai"}


def test_how_memory_does_without_calls_is_nothing_and_never_anybody_elses(store: Store) -> None:
    memory = Injection(status="injected", ids=("a",), scores=(1.0,))
    store.insert("spans", spans(1, how=outcome(memory=memory), project="theirs"), token="theirs-1")
    told = told_of_memory(store, "nobody")
    assert (told.retrieval.recalls, told.retrieval.hit_rate, told.retrieval.best_score) == (0, None, None)
    assert (told.synthesis, told.extraction, told.verified_rate) == ([], [], None)
    assert (told.orchestration.events, told.orchestration.providers) == (0, [])


def test_a_server_that_goes_and_comes_back_is_away_meanwhile(tmp_path: Path) -> None:
    process, port = start_front(tmp_path / "clickhouse")
    store = open_server(f"http://127.0.0.1:{port}/tidegate")
    migrate(store)
    process.kill()
    process.wait()
    with pytest.raises(StoreAway):
        store.insert("spans", spans(1, project="back"), token="back-1")
    assert store.ping() is False
    process, _ = start_front(tmp_path / "clickhouse", port)
    store.insert("spans", spans(1, project="back"), token="back-1")
    assert count(store, "spans", "back") == 1
    store.close()
    process.kill()
    process.wait()


def test_a_folder_somebody_else_has_is_away(tmp_path: Path) -> None:
    process, _ = start_front(tmp_path / "clickhouse")
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pathlib\n"
            "from telemetry.store.base import StoreAway\n"
            "from telemetry.store.embedded import open_folder\n"
            "try: open_folder(pathlib.Path(sys.argv[1]))\n"
            "except StoreAway: print('away')",
            str(tmp_path / "clickhouse"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    process.kill()
    process.wait()
    assert told.stdout.strip() == "away"
