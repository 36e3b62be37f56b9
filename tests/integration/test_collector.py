"""The collector with the real engine, killed and cut off."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from telemetry import segments
from telemetry.collector import Collector, Pipe
from telemetry.delivery import StoreConsumer
from telemetry.follower import Follower
from telemetry.migrate import migrate
from telemetry.records import Answer, Cost, Opened, Request, Settled
from telemetry.store.base import StoreAway
from telemetry.store.clickhouse import ClickHouseStore
from telemetry.store.server import open_server
from tests.fakes.ledger import SegmentWriter, call, outcome, settled, start_front, whole


def child(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.collector_child", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def truth(journal: Path) -> tuple[set[str], Counter[tuple[str, str]], set[str]]:
    """What the segments say: settled calls, payloads, opened calls."""
    done: set[str] = set()
    bodies: Counter[tuple[str, str]] = Counter()
    opened: set[str] = set()
    for files in segments.writers(journal).values():
        for file in files:
            for _, frame in segments.read(file.path, 0, limit_bytes=2**30).frames:
                match frame:
                    case Opened(one):
                        opened.add(one.call_id)
                    case Settled(one, _):
                        done.add(one.call_id)
                    case Request(body):
                        bodies[body.call_id, "request"] += 1
                    case Answer(body):
                        bodies[body.call_id, "answer"] += 1
    return done, bodies, opened


def storm(tmp_path: Path, *, kills: int, seed: int) -> None:
    """Kill collectors and writers while they work, then compare the ledger with the segments."""
    source = random.Random(seed)
    journal, folder = tmp_path / "journal", tmp_path / "clickhouse"
    generation = 2
    workers = [child("write", journal, f"w{n}", n * 1_000_000) for n in range(generation)]
    in_an_insert = 0
    for round_ in range(kills):
        doomed = round_ % 4 != 3
        at, delay_ms = (source.randrange(1, 5), source.random() * 30) if doomed else (0, 0)
        collector = child("collect", journal, folder, at, delay_ms)
        assert collector.stdout is not None
        assert collector.stdout.readline() == "ready\n"
        if doomed:
            collector.wait(30)
            assert collector.returncode == -signal.SIGKILL
            in_an_insert += 1
        else:
            time.sleep(source.random() * 0.4)
        kill(collector)
        if round_ % 3 == 1:
            victim = source.randrange(len(workers))
            kill(workers[victim])
            workers[victim] = child("write", journal, f"w{generation}", generation * 1_000_000)
            generation += 1
    for worker in workers:
        kill(worker)
    last = child("drain", journal, folder)
    printed, _ = last.communicate(timeout=60)
    answer = msgspec.json.decode(printed)
    check(journal, answer, in_an_insert)


def check(journal: Path, answer: dict[str, Any], in_an_insert: int) -> None:
    tally = answer["tally"]
    done, bodies, opened = truth(journal)
    assert len(done) > 100
    assert in_an_insert >= 6
    spans = Counter(call_id for call_id, _ in tally["spans"])
    assert spans == Counter(done | opened)
    assert {call_id for call_id, status in tally["spans"] if status == "interrupted"} == opened - done
    assert opened - done
    assert Counter((call_id, kind) for call_id, kind in tally["span_payloads"]) == bodies
    index = Counter((call_id, key, value) for call_id, key, value in tally["span_index"])
    assert set(index.values()) == {1}
    assert len(index) == len(spans) * 6
    events = {call_id for call_id, key, _ in tally["span_index"] if key == "event_id"}
    assert opened - done <= events
    assert tally["usage"] == tally["ledger"]
    assert tally["ledger"][0][0] == len(spans)
    counts = answer["status"]["counts"]
    assert counts["opened"] == counts["settled"] + counts["interrupted"] == len(opened)
    assert not list((journal / "dead-letters").glob("*"))


def test_killed_in_the_middle_of_inserts_every_row_is_there_once(tmp_path: Path) -> None:
    storm(tmp_path, kills=8, seed=20261121)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(5))
def test_a_long_storm_of_kills_loses_and_doubles_nothing(tmp_path: Path, seed: int) -> None:
    storm(tmp_path, kills=30, seed=seed)


def now_us() -> int:
    return time.time_ns() // 1000


class Front:
    """A server that a test may stop and start."""

    port = 0

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self) -> None:
        self._process, self.port = start_front(self._folder, self.port)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    made = Front(tmp_path / "clickhouse")
    made.start()
    yield made
    made.stop()


def server_pipe(journal: Path, port: int) -> tuple[Pipe, ClickHouseStore]:
    store = open_server(f"http://127.0.0.1:{port}/tidegate")
    migrate(store)
    store.ghost_s = 0
    follower = Follower("store", journal, now_us=now_us)
    consumer = StoreConsumer(store, journal / "dead-letters", origin="here", now_us=now_us)
    return Pipe(follower, consumer, now_us=now_us), store


def test_a_server_that_goes_away_gets_everything_when_it_is_back(tmp_path: Path, front: Front) -> None:
    journal = tmp_path / "journal"
    pipe, store = server_pipe(journal, front.port)
    writer = SegmentWriter(journal, "w1")
    writer.write(*whole(1))
    assert pipe.step()
    front.stop()
    for number in range(2, 6):
        writer.write(*whole(number))
        with pytest.raises(StoreAway):
            pipe.step()
    away = pipe.status()
    assert away.failures == 4
    assert away.last_error
    assert away.lag_bytes > 0
    front.start()
    while pipe.step():
        pass
    rows = store.lookup("SELECT count() AS n, uniqExact(call_id) AS u FROM spans", {})
    assert rows == [{"n": 5, "u": 5}]
    back = pipe.status()
    assert back.last_error == ""
    assert back.lag_bytes == 0


def test_a_poison_row_is_buried_and_its_neighbours_are_not(tmp_path: Path, front: Front) -> None:
    journal = tmp_path / "journal"
    pipe, store = server_pipe(journal, front.port)
    store.command("ALTER TABLE spans ADD CONSTRAINT sober CHECK user_id != 'poison'")
    writer = SegmentWriter(journal, "w1")
    writer.write(*(settled(number, user_id="poison" if number == 30 else "u") for number in range(50)))
    writer.write(settled(60, how=outcome(cost=Cost(total_nano_usd=2**63))))
    while pipe.step():
        pass
    (row,) = store.query(
        "SELECT count() AS n, uniqExact(call_id) AS u, countIf(call_id = {bad:String}) AS bad FROM spans",
        {"bad": call(30).call_id},
    )
    assert row == {"n": 49, "u": 49, "bad": 0}
    assert pipe.status().dead_letters == 2
    assert len(list((journal / "dead-letters").glob("*.msgpack"))) == 2
    (sums,) = store.query("SELECT sum(calls) AS n FROM usage_daily", {})
    assert sums == {"n": 49}


def test_views_that_missed_a_batch_are_completed_from_the_ledger(tmp_path: Path, front: Front) -> None:
    journal = tmp_path / "journal"
    pipe, store = server_pipe(journal, front.port)
    writer = SegmentWriter(journal, "w1")
    for number in range(10):
        writer.write(*whole(number))
    writer.write(settled(11, how=outcome(status="error", cost=Cost(reason="no_usage"))))
    assert pipe.follower.next() is not None
    plan = (journal / "store.plan").read_bytes()
    assert pipe.step()
    questions = (
        "SELECT * FROM spans ORDER BY call_id",
        "SELECT * FROM span_index ORDER BY ALL",
        "SELECT * FROM usage_daily FINAL ORDER BY ALL",
    )
    before = [store.lookup(question, {}) for question in questions]
    assert [len(rows) > 0 for rows in before] == [True] * 3
    store.command("ALTER TABLE span_index DELETE WHERE key != 'tag' SETTINGS mutations_sync = 2")
    store.command("ALTER TABLE usage_daily DELETE WHERE user_id = 'user-1' SETTINGS mutations_sync = 2")
    assert [store.lookup(question, {}) for question in questions] != before
    (journal / "store.checkpoint").unlink()  # back to where the plan was written
    (journal / "store.plan").write_bytes(plan)
    again, _ = server_pipe(journal, front.port)
    assert again.step()
    assert [store.lookup(question, {}) for question in questions] == before


def test_a_row_is_in_the_ledger_soon_after_its_frame(tmp_path: Path, front: Front) -> None:
    journal = tmp_path / "journal"
    pipe, store = server_pipe(journal, front.port)
    collector = Collector([pipe], keep_consumed_s=600, now_us=now_us)
    collector.start()
    try:
        SegmentWriter(journal, "w1").write(*whole(1))
        deadline = time.monotonic() + 10
        while store.lookup("SELECT count() AS n FROM span_payloads", {}) != [{"n": 2}]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        assert collector.stop()
    (status,) = collector.status()
    assert (status.spans, status.payloads, status.last_error) == (1, 2, "")
