"""What every ledger makes of operations: the same memories in any order, each with its proof, nothing elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.apply import Asserted, claim_of, id_of, is_sound
from memory.capture import same_of
from memory.embed import HashedWords, unit
from memory.filters import read
from memory.records import NOW, Change, Draft, Entity, Moment, Operation, Vector
from memory.scope import Scope
from memory.sparse import terms
from memory.store.connection import Connection
from memory.store.ledger import Ledger
from memory.store.postgres import PostgresConnections
from memory.store.schema import steps
from memory.store.sqlite import SqliteLedger, SqlLedger
from tests.fakes.memory_databases import Database, empty
from tests.fakes.memory_parts import ALICE, BOB, KEY, SetClock, draft, turns
from tests.fakes.memory_store import PassingLedger
from tests.unit.memory.test_apply import lives, op, stories

PRINT = "words"
EVER = Moment(superseded=True)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ledger(memory_database: Database, clock: SetClock) -> SqlLedger:
    return SqlLedger(memory_database.open(), key=KEY, clock=clock)


def asserted(operation: Operation, scope: Scope = ALICE, vector: Vector | None = None) -> Asserted:
    name = id_of(scope, operation, KEY)
    return Asserted(claim=claim_of(name, operation, same_of(KEY, operation.text)), vector=vector)


def carry_out(ledger: Ledger, *operations: Operation, scope: Scope = ALICE) -> list[Change]:
    given = [asserted(one, scope) for one in operations if is_sound(one)]
    return ledger.apply(scope, given, batch="b", fingerprint=PRINT)


def texts(ledger: Ledger, scope: Scope = ALICE, moment: Moment = NOW) -> list[str]:
    return sorted(one.text for one in ledger.page(scope, limit=100, moment=moment))


def events(ledger: Ledger, memory_id: str, scope: Scope = ALICE) -> list[str]:
    return [one.event for one in ledger.history(scope, memory_id)]


def test_a_move_ends_the_old_home_and_both_can_be_asked_for(ledger: Ledger) -> None:
    carry_out(ledger, lives("Berlin", 5))
    changes = carry_out(ledger, lives("Paris", 9))
    assert sorted(change.event for change in changes) == ["ADD", "SUPERSEDE"]
    assert texts(ledger) == ["Alice lives in Paris"]
    assert texts(ledger, moment=Moment(as_of_us=6)) == ["Alice lives in Berlin"]
    assert len(texts(ledger, moment=EVER)) == 2
    old, new = sorted(ledger.page(ALICE, limit=5, moment=EVER), key=lambda one: one.valid_from_us)
    assert (old.valid_to_us, old.superseded_by, new.valid_to_us) == (9, new.id, 0)
    assert events(ledger, old.id) == ["ADD", "SUPERSEDE"]
    ended = ledger.history(ALICE, old.id)[-1]
    assert [one.quote for one in ended.evidence] == ["Alice lives in Paris"]


def test_the_same_operation_again_changes_nothing(ledger: Ledger) -> None:
    story = [lives("Berlin", 1), lives("Paris", 2), op("I like tea", 3)]
    carry_out(ledger, *story)
    before = [ledger.history(ALICE, one.id) for one in ledger.page(ALICE, limit=9, moment=EVER)]
    assert {change.event for change in carry_out(ledger, *story)} == {"NONE"}
    after = [ledger.history(ALICE, one.id) for one in ledger.page(ALICE, limit=9, moment=EVER)]
    assert before == after


def test_another_proof_is_counted_and_kept(ledger: Ledger) -> None:
    carry_out(ledger, op("I like tea", 1), op("i LIKE tea!", 2))
    (one,) = ledger.page(ALICE, limit=5)
    assert one.proof_count == 2
    assert len(ledger.evidence(ALICE, one.id)) == 2


def test_what_was_stored_word_for_word_is_proven_not_doubled(ledger: Ledger) -> None:
    ((one, _),) = ledger.add(ALICE, [fact("I like tea")])
    (change,) = carry_out(ledger, op("i like TEA", 2))
    assert (change.event, change.memory_id) == ("NONE", one)
    carry_out(ledger, op("", 10**15, op="DELETE", target=one))
    assert texts(ledger) == []
    assert events(ledger, one) == ["ADD", "RETRACT"]


def fact(text: str) -> Draft:
    return msgspec.structs.replace(draft(text), kind="fact")


def test_a_merge_is_undone_when_it_turns_out_that_something_came_between(ledger: Ledger) -> None:
    carry_out(ledger, lives("Berlin", 1))
    carry_out(ledger, lives("Berlin", 5))
    (one,) = ledger.page(ALICE, limit=5)
    carry_out(ledger, lives("Paris", 3))
    assert texts(ledger, moment=EVER) == ["Alice lives in Berlin"] * 2 + ["Alice lives in Paris"]
    assert texts(ledger) == ["Alice lives in Berlin"]
    assert events(ledger, one.id) == ["ADD", "SUPERSEDE"]


def test_near_duplicates_are_found_by_their_vectors(ledger: Ledger) -> None:
    near = unit(np.array([1, 0.1, 0], dtype=np.float32))
    vectors = [unit(np.array([1, 0, 0], dtype=np.float32)), near]
    told = [op("User owns cats", 1), op("User has cats", 2)]
    for one, vector in zip(told, vectors, strict=True):
        ledger.apply(ALICE, [asserted(one, vector=vector)], batch="b", fingerprint=PRINT)
    assert texts(ledger) == ["User owns cats"]
    ledger.apply(ALICE, [asserted(op("User has 2 cats", 3), vector=near)], batch="b", fingerprint=PRINT)
    assert len(texts(ledger)) == 2


def test_nothing_is_touched_in_another_scope(ledger: Ledger) -> None:
    carry_out(ledger, lives("Berlin", 1), scope=BOB)
    (theirs,) = ledger.page(BOB, limit=5)
    for kind in ("UPDATE", "SUPERSEDE", "DELETE", "NONE"):
        carry_out(ledger, op("Alice lives in Berlin and Rome", 5, op=kind, target=theirs.id))
    assert ledger.page(BOB, limit=5) == [theirs]
    assert events(ledger, theirs.id, BOB) == ["ADD"]


def test_a_manual_edit_is_not_undone_by_a_retry(ledger: Ledger) -> None:
    carry_out(ledger, lives("Berlin", 1))
    (one,) = ledger.page(ALICE, limit=5)
    ledger.update(ALICE, one.id, draft("Alice lives in Bremen"))
    carry_out(ledger, lives("Berlin", 1))
    assert texts(ledger) == ["Alice lives in Bremen"]


def test_the_numbers_of_a_scope_follow_what_is_shown(ledger: Ledger) -> None:
    first = op("I like tea", 1)
    carry_out(ledger, first, op("", 2, op="DELETE", target=asserted(first).claim.id))
    left = ledger.statistics(ALICE, terms("tea"), fingerprint=PRINT)
    assert (left.documents, left.length, left.frequencies) == (0, 0, {})
    assert all(job.memory is None for job in ledger.pending(9, fingerprint=PRINT))


# who is about whom


def family(ledger: Ledger) -> None:
    carry_out(
        ledger,
        op("User's sister is Mia", 1, triple=("user", "sister", "Mia"), entities=(Entity("Mia", "person"),)),
        op("Mia works at Acme", 2, triple=("Mia", "works_at", "Acme")),
        op("User's name is Alice", 3, triple=("user", "name", "Alice")),
        op("User likes tea", 4),
    )


def test_memories_are_found_by_names_aliases_and_one_hop_further(ledger: Ledger) -> None:
    family(ledger)
    said = {one.id: one.text for one in ledger.page(ALICE, limit=9)}

    def found(name: str, hops: int) -> dict[str, int]:
        return {said[one]: hop for one, hop in ledger.about(ALICE, [name], hops=hops)}

    assert found("acme", 1) == {"Mia works at Acme": 1}
    assert found("acme", 2) == {"Mia works at Acme": 1, "User's sister is Mia": 2}
    assert found("alice", 1) == {"User's name is Alice": 1, "User's sister is Mia": 1}
    assert ledger.named(ALICE, ["alice", "mia", "nobody"]) == ["alice", "mia"]
    assert ledger.named(BOB, ["alice", "mia"]) == []
    assert ledger.about(BOB, ["mia"], hops=2) == []


def test_the_graph_shows_what_holds_and_what_held(ledger: Ledger) -> None:
    family(ledger)
    carry_out(ledger, op("Mia works at Globex", 9, triple=("Mia", "works_at", "Globex")))
    now = ledger.graph(ALICE, limit=9)
    assert [(one.source, one.relationship, one.target) for one in now.edges] == [
        ("Mia", "works_at", "Globex"),
        ("user", "name", "Alice"),
        ("user", "sister", "Mia"),
    ]
    assert {one.name for one in now.nodes} == {"Mia", "Globex", "user", "Alice"}
    then = ledger.graph(ALICE, limit=9, moment=Moment(as_of_us=5))
    assert "Acme" in {one.target for one in then.edges}
    (sister,) = [one for one in ledger.page(ALICE, limit=9) if "sister" in one.text]
    assert {one.target for one in ledger.edges(ALICE, [sister.id])} == {"Mia", "Alice", "Globex"}
    assert ledger.graph(BOB, limit=9).edges == ()
    assert ledger.edges(BOB, [sister.id]) == []


# which memories are meant


def test_filters_choose_by_kind_metadata_category_and_time(ledger: Ledger, clock: SetClock) -> None:
    for text, metadata in (
        ("one", {"n": 1, "category": "work"}),
        ("two", {"n": "1", "categories": ["work", "home"]}),
        ("three", {"n": True, "deep": {"x": "1"}}),
    ):
        clock.us += 1_000_000
        ledger.add(ALICE, [msgspec.structs.replace(draft(text), metadata=metadata)])
    carry_out(ledger, op("four", 1, kind="preference"))

    def chosen(filters: dict[str, object]) -> list[str]:
        return sorted(one.text for one in ledger.page(ALICE, limit=9, condition=read(filters)[1]))

    assert chosen({"kind": "preference"}) == ["four"]
    assert chosen({"metadata": {"n": 1}}) == ["one"]
    assert chosen({"metadata.n": "1"}) == ["two"]
    assert chosen({"metadata": {"n": True}}) == ["three"]
    assert chosen({"categories": {"in": ["home", "garden"]}}) == ["two"]
    assert chosen({"category": "work"}) == ["one", "two"]
    assert chosen({"NOT": [{"category": "work"}]}) == ["four", "three"]
    assert chosen({"OR": [{"kind": "preference"}, {"AND": [{"metadata.n": 1}]}]}) == ["four", "one"]
    assert chosen({"created_at": {"gte": (clock.us - 1_000_000) / 1e6, "lt": clock.us / 1e6}}) == ["two"]
    assert chosen({"metadata.n": {"ne": 1}}) == ["four", "three", "two"]
    assert chosen({"metadata.'; DROP TABLE memories --": "x"}) == []


def test_what_has_expired_is_no_answer_and_soon_gone(ledger: Ledger, clock: SetClock) -> None:
    carry_out(ledger, op("The code is canary", 1, expires_at_us=clock.us + 5), op("I like tea", 1))
    assert len(texts(ledger)) == 2
    clock.us += 5
    assert texts(ledger) == ["I like tea"]
    assert ledger.expire(limit=10) == 1
    assert ledger.expire(limit=10) == 0


# what was erased


def test_what_was_erased_is_not_learnt_again_from_what_was_said_before(
    ledger: Ledger, clock: SetClock
) -> None:
    told = op("Alice has diabetes", 1)
    carry_out(ledger, told, op("I like tea", 1))
    (one,) = [one for one in ledger.page(ALICE, limit=5) if "diabetes" in one.text]
    assert ledger.delete(ALICE, one.id)
    carry_out(ledger, told)
    carry_out(ledger, op("Alice has diabetes", 2, call_id="another"))
    carry_out(ledger, op("Alice: diabetes", 3, call_id="call-Alice has diabetes-1"))
    assert texts(ledger) == ["I like tea"]
    carry_out(ledger, op("Alice has diabetes", clock.us + 1, call_id="years later", valid_from_us=1))
    assert len(texts(ledger)) == 2


def test_history_sent_again_in_another_thread_brings_nothing_back(ledger: Ledger) -> None:
    history = ["I have diabetes", "I live in Oslo", "hello"]
    ledger.capture(ALICE, "t", turns(*history), key=KEY)
    ledger.delete_all(ALICE)
    again = ledger.capture(ALICE, "u", turns(*history, "what do you know of me?", call_id="c2"), key=KEY)
    assert len(again) == 1
    assert ledger.capture(ALICE, "v", turns(*history, call_id="c3"), key=KEY) == []
    assert texts(ledger) == ["what do you know of me?"]
    assert len(ledger.capture(ALICE, "w", turns("I live in Oslo", call_id="c4"), key=KEY)) == 1


def test_a_reading_that_ends_after_everything_was_erased_stores_nothing(
    ledger: Ledger, clock: SetClock
) -> None:
    carry_out(ledger, op("I like tea", 1))
    ledger.delete_all(ALICE)
    carry_out(ledger, op("I like coffee", clock.us), lives("Berlin", 7))
    assert texts(ledger) == []
    carry_out(ledger, op("I like milk", clock.us + 1))
    assert texts(ledger, moment=EVER) == [] or texts(ledger, moment=EVER) == ["I like milk"]


def test_an_erased_memory_takes_its_merged_twins_and_its_names_along(
    ledger: SqlLedger, memory_database: Database
) -> None:
    carry_out(ledger, op("Zanzibar is home", 1, call_id="c1", triple=("quokka", "home", "Zanzibar")))
    carry_out(ledger, op("zanzibar IS home", 2, call_id="c2", triple=("quokka", "home", "Zanzibar")))
    (one,) = ledger.page(ALICE, limit=5)
    ledger.delete(ALICE, one.id)
    ledger.delete_all(ALICE)
    held = memory_database.held().casefold()
    assert "zanzibar" not in held
    assert "quokka" not in held
    assert "'alice'" not in held


# any story


def picture(ledger: Ledger, moment: Moment) -> Sequence[object]:
    return sorted(
        (
            one.text,
            one.valid_from_us,
            one.valid_to_us,
            one.trust,
            one.proof_count,
            one.quarantined,
            (one.subject, one.predicate, one.object, one.negative),
            sorted((proof.call_id, proof.quote) for proof in ledger.evidence(ALICE, one.id)),
        )
        for one in ledger.page(ALICE, limit=100, moment=moment)
    )


EMBEDDER = HashedWords()
QUICK = settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)


@QUICK
@given(stories(), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_gives_the_same_view(story, random):
    def another() -> tuple[SqlLedger, Connection]:
        ledger = PassingLedger(SetClock())
        return ledger, ledger.connection()

    check_orders(story, random, another)


@settings(QUICK, max_examples=5)
@given(stories(), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_view_on_a_server(postgres_url, story, random):
    def another() -> tuple[SqlLedger, Connection]:
        connections = PostgresConnections(postgres_url)
        empty(postgres_url)
        return SqlLedger(connections, key=KEY, clock=SetClock()), connections.read()

    check_orders(story, random, another)


def check_orders(
    story: list[Operation], random: Random, another: Callable[[], tuple[SqlLedger, Connection]]
) -> None:
    pictures = []
    for order in (story, random.sample(story, len(story)) + random.sample(story, len(story) // 2)):
        ledger, connection = another()
        ledger.add(BOB, [draft("Bob likes Rome")])
        given = [asserted(one, vector=EMBEDDER.embed([one.text])[0] if one.text else None) for one in order]
        for one in given:
            ledger.apply(ALICE, [one], batch="b", fingerprint=PRINT)
        pictures.append([picture(ledger, moment) for moment in (Moment(), Moment(as_of_us=3), EVER)])
        check(ledger, connection, story)
        ledger.close()
    assert pictures[0] == pictures[1]


def check(ledger: SqlLedger, connection: Connection, story: list[Operation]) -> None:
    """Nothing without proof, nothing lost, nothing elsewhere, and numbers that are right."""
    shown = ledger.page(ALICE, limit=100, moment=EVER)
    assert all(ledger.evidence(ALICE, one.id) for one in shown)
    known = {row["id"] for row in connection.execute("SELECT id FROM claims")}
    assert {asserted(one).claim.id for one in story} <= known
    for row in connection.execute("SELECT id FROM memories").fetchall():
        history = ledger.history(ALICE, row["id"]) or ledger.history(BOB, row["id"])
        assert [one.version for one in history] == list(range(1, len(history) + 1))
        assert history[0].event == "ADD"
    assert texts(ledger, BOB) == ["Bob likes Rome"]
    (visible,) = connection.execute("SELECT count(*) FROM memories WHERE hidden = 0").fetchone()
    numbers = ledger.statistics(ALICE, [], fingerprint=PRINT)
    assert numbers.documents == visible - 1


def test_the_schema_of_before_is_brought_along(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite3"
    old = sqlite3.connect(path)
    old.executescript(steps("sqlite", after=0)[0].shared + "PRAGMA user_version = 1;")
    old.executescript(
        "INSERT INTO scopes VALUES (1, 'p', 'prod', 'alice', '', '', 1, 1);"
        "INSERT INTO memories VALUES ('m', 1, 1, 0, 'I like tea', x'80', x'00', 'episode', 'user', '', x'7b7d', 5, 5, 3);"
        "INSERT INTO versions VALUES ('m', 1, 'ADD', NULL, 'I like tea', 5);"
        "INSERT INTO evidence VALUES ('m', 'c', 1, 't', 'I like tea');"
    )
    old.commit()
    old.close()
    ledger = SqliteLedger(path, key=KEY)
    (one,) = ledger.page(ALICE, limit=5)
    assert (one.text, one.valid_from_us, one.thread_id) == ("I like tea", 3, "t")
    assert [proof.quote for proof in ledger.evidence(ALICE, "m")] == ["I like tea"]
    ledger.close()
