"""A ledger on a real server: several hubs at once, a server that goes and comes back, and what SQLite takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import psycopg
import pytest

from memory.embed import HashedWords
from memory.engine import Engine
from memory.errors import LedgerAway
from memory.filters import read
from memory.records import Said
from memory.store.place import shared_key
from memory.store.postgres import PostgresConnections
from memory.store.sqlite import SqlLedger
from tests.fakes.memory_databases import empty
from tests.fakes.memory_parts import ALICE, BOB, KEY, SetClock, draft, turns
from tests.fakes.memory_store import IndexInMemory, shelf_of
from tests.fakes.postgres import Postgres
from tests.fakes.tidegate import free_port

INSERT = """INSERT INTO scopes (project, environment, "user", agent, run) VALUES ('p', 'e', 'u', '', '')"""


@pytest.fixture(scope="module")
def database(postgres_server: Postgres) -> Iterator[str]:
    with postgres_server.database() as made:
        yield made


@pytest.fixture
def url(database: str) -> str:
    empty(database)
    return database


@pytest.fixture
def connections(url: str) -> Iterator[PostgresConnections]:
    made = PostgresConnections(url)
    yield made
    made.close()


def count(connections: PostgresConnections, table: str) -> int:
    (found,) = connections.read().execute(f"SELECT count(*) FROM {table}").fetchall()[0]
    return int(found)


def test_two_hubs_that_are_told_the_same_at_once_remember_it_once(url: str) -> None:
    hubs = [PostgresConnections(url) for _ in range(2)]
    ledgers = [SqlLedger(hub, key=KEY, clock=SetClock()) for hub in hubs]

    def tell(number: int) -> list[str]:
        lines = [f"turn {one}" for one in range(number // 2 + 1)]
        ledger = ledgers[number % 2]
        ledger.add(BOB, [draft(f"Bob says {number // 2}")])
        return ledger.capture(ALICE, "t", turns(*lines), key=KEY)

    with ThreadPoolExecutor(8) as threads:
        added = [one for ids in threads.map(tell, range(24)) for one in ids]

    assert len(added) == len(set(added)) == 12
    assert {one.text for one in ledgers[0].page(ALICE, limit=50)} == {f"turn {one}" for one in range(12)}
    assert len(ledgers[1].page(BOB, limit=50)) == 12
    numbers = ledgers[0].statistics(BOB, [], fingerprint="f")
    assert numbers.documents == 12
    leases = [ledger.jobs.lease(2**62) for ledger in ledgers]
    assert sorted(job is None for job in leases) == [False, True]
    for hub in hubs:
        hub.close()


def test_hubs_go_by_the_key_of_the_first(url: str) -> None:
    first, second = PostgresConnections(url), PostgresConnections(url)
    with first.write() as session:
        session.execute("DELETE FROM digest_key")
    assert shared_key(first, b"1") == b"1"
    assert shared_key(second, b"2") == b"1"
    first.close()
    second.close()


def test_a_transaction_that_fails_leaves_nothing(connections: PostgresConnections) -> None:
    def twice() -> None:
        with connections.write() as session:
            session.execute(INSERT)
            session.execute(INSERT)

    def passed_over() -> None:
        with connections.write() as session:
            session.execute(INSERT)
            with pytest.raises(psycopg.IntegrityError):
                session.execute(INSERT)

    with pytest.raises(psycopg.IntegrityError):
        twice()
    with pytest.raises(LedgerAway, match="rolled"):
        passed_over()
    assert count(connections, "scopes") == 0
    with connections.write() as session:
        session.execute(INSERT)
    assert count(connections, "scopes") == 1


def test_a_ledger_of_a_newer_program_is_left_alone(url: str, connections: PostgresConnections) -> None:
    with connections.write() as session:
        session.execute("INSERT INTO applied VALUES (99)")
    with pytest.raises(RuntimeError, match="newer"):
        PostgresConnections(url)
    with connections.write() as session:
        session.execute("DELETE FROM applied WHERE step = 99")


def test_a_hub_goes_on_while_a_newer_one_adds_columns(connections: PostgresConnections) -> None:
    def all_scopes() -> int:
        return len(connections.read().execute("SELECT * FROM scopes").fetchall())

    for _ in range(10):  # by then the statement is prepared
        assert all_scopes() == 0
    with connections.write() as session:
        session.script("ALTER TABLE scopes ADD COLUMN later BIGINT")
    assert all_scopes() == 0
    with connections.write() as session:
        session.script("ALTER TABLE scopes DROP COLUMN later")
    assert all_scopes() == 0


def test_a_character_that_postgres_does_not_take_costs_only_itself(connections: PostgresConnections) -> None:
    ledger = SqlLedger(connections, key=KEY, clock=SetClock())
    odd = msgspec.structs.replace(draft("a\0b"), metadata={"n": "x\0y", "category": "odd"})
    ledger.add(ALICE, [odd])
    (found,) = ledger.page(ALICE, limit=5, condition=read({"category": "odd"})[1])
    assert (found.text, found.metadata["n"]) == ("a\ufffdb", "x\0y")
    assert ledger.named(ALICE, ["a\0b"]) == []


def test_a_server_that_is_not_there_is_a_clear_fault() -> None:
    with pytest.raises(LedgerAway):
        PostgresConnections(f"postgresql://nobody@127.0.0.1:{free_port()}/x")


def test_a_server_that_comes_back_is_used_again_and_nothing_is_lost(
    postgres_server: Postgres, connections: PostgresConnections
) -> None:
    clock = SetClock()
    ledger = SqlLedger(connections, key=KEY, clock=clock)
    shelf = shelf_of(ledger, IndexInMemory(), HashedWords(), clock)
    engine = Engine(ledger, shelf, key=KEY, clock=clock)
    said = Said(
        call_id="c",
        scope=ALICE,
        occurred_at_us=1,
        messages=[{"role": "user", "content": "My bicycle is green"}],
        thread_id="t",
    )
    assert engine.recall(ALICE, "bicycle", budget=500).status == "empty"

    with postgres_server.away():
        began = time.monotonic()
        found = engine.recall(ALICE, "bicycle", budget=500)
        assert (found.status, found.reason) == ("error", "ledger_unavailable")
        for _ in range(20):
            with pytest.raises(LedgerAway):
                engine.capture([said])
        assert time.monotonic() - began < 2

    deadline = time.monotonic() + 10
    while engine.recall(ALICE, "bicycle", budget=500).status == "error":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(engine.capture([said]).added) == 1
    assert engine.capture([said]).added == ()
    assert [one.text for one in engine.ledger.page(ALICE, limit=5)] == ["My bicycle is green"]
