"""What every ledger of memories does."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from memory.embed import unit
from memory.filters import EVERYTHING
from memory.records import Entity, Job, Vector
from memory.scope import Scope, sees
from memory.sparse import terms
from memory.store.ledger import Ledger
from memory.store.sqlite import SqlLedger
from tests.fakes.memory_databases import Database
from tests.fakes.memory_parts import ALICE, BOB, KEY, SetClock, draft, turns

PRINT = "test-3-v1"
SCOPES = [
    Scope(project=project, environment=environment, user=user, agent=agent, run=run)
    for project in ("p", "q")
    for environment in ("prod", "test")
    for user in ("", "alice", "bob")
    for agent in ("", "guide")
    for run in ("", "r1")
    if user or agent or run
]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ledger(memory_database: Database, clock: SetClock) -> Ledger:
    return SqlLedger(memory_database.open(), key=KEY, clock=clock)


def vector(*numbers: float) -> Vector:
    return unit(np.array(numbers, dtype=np.float32))


def only_job(ledger: Ledger) -> Job:
    (job,) = ledger.pending(10, fingerprint=PRINT)
    return job


def index_all(ledger: Ledger, *vectors: Vector) -> None:
    jobs = ledger.pending(100, fingerprint=PRINT)
    ledger.indexed(list(zip(jobs, vectors or [vector(1, 0, 0)] * len(jobs), strict=True)), fingerprint=PRINT)


def test_what_was_added_comes_back(ledger: Ledger, clock: SetClock) -> None:
    one = msgspec.structs.replace(draft("I like tea", at_us=7), metadata={"a": [1, "b"]}, trust="assistant")
    assert ledger.add(ALICE, [one]) == [(one.id, True)]
    found = ledger.get(ALICE, one.id)
    assert found is not None
    assert (found.text, found.scope, found.metadata, found.trust) == (
        "I like tea",
        ALICE,
        {"a": [1, "b"]},
        "assistant",
    )
    assert (found.occurred_at_us, found.created_at_us, found.version) == (7, clock.us, 1)
    assert ledger.page(ALICE, limit=10) == [found]


def test_what_reads_the_same_is_stored_once_in_a_scope(ledger: Ledger) -> None:
    first, again, other = draft("I like tea"), draft("i LIKE tea!"), draft("I like coffee")
    ledger.add(ALICE, [first])
    assert ledger.add(ALICE, [again, other]) == [(first.id, False), (other.id, True)]
    assert ledger.add(BOB, [draft("I like tea")])[0][1] is True
    ledger.delete(ALICE, first.id)
    assert ledger.add(ALICE, [again]) == [(again.id, True)]


def canaries(ledger: Ledger) -> dict[str, Scope]:
    """Store a canary in every scope; return whose it is by its id."""
    owners = {}
    for writer in SCOPES:
        canary = msgspec.structs.replace(
            draft("canary tea", call_id="c"), actor="Quokka", entities=(Entity("Quokka"),)
        )
        owners[canary.id] = writer
        ledger.add(writer, [canary], actor="k")
        ledger.confirm(writer, "call-of-writer", [canary.id])
    index_all(ledger)
    return owners


def test_nothing_is_seen_from_another_scope(ledger: Ledger) -> None:
    owners = canaries(ledger)
    for reader in SCOPES:
        visible = {one for one, writer in owners.items() if sees(reader, writer)}
        assert 0 < len(visible) < len(owners)
        assert {one.id for one in ledger.page(reader, limit=100)} == visible
        assert {one.id for one in ledger.candidates(reader, set(owners), fingerprint=PRINT)} == visible
        assert {entry.memory_id for entry in ledger.audit(reader, limit=100)} == visible
        assert {one for one, _ in ledger.about(reader, ["quokka"], hops=2, limit=99)} == visible
        assert ledger.named(reader, ["quokka"]) == ["quokka"]
        assert ledger.speakers(reader) == ["Quokka"]
        assert set(ledger.dated(reader, 0, 10, limit=99)) == visible
        assert ledger.among(reader, set(owners), EVERYTHING) == visible
        assert {one for one in owners if ledger.get(reader, one)} == visible
        assert {one for one in owners if ledger.history(reader, one)} == visible
        assert {one for one in owners if ledger.evidence(reader, one)} == visible
        assert {one for one in owners if ledger.uses(reader, one)} == visible
        statistics = ledger.statistics(reader, terms("canary tea"), fingerprint=PRINT)
        assert (statistics.documents, statistics.vectors) == (len(visible), len(visible))
        assert set(statistics.frequencies.values()) == {len(visible)}
        assert statistics.vector_sum is not None
        assert float(statistics.vector_sum[0]) == len(visible)


@pytest.mark.parametrize(
    "reader",
    [
        Scope(project="p", environment="prod", user="alice"),
        Scope(project="p", environment="prod", user="alice", agent="guide"),
        Scope(project="p", environment="prod", agent="guide"),
        Scope(project="p", environment="prod", run="r1"),
    ],
    ids=["user", "user+agent", "agent", "run"],
)
def test_nothing_is_changed_from_another_scope(ledger: Ledger, reader: Scope) -> None:
    owners = canaries(ledger)
    visible = {one for one, writer in owners.items() if sees(reader, writer)}
    for one in set(owners) - visible:
        assert ledger.update(reader, one, draft("stolen"), metadata={"stolen": True}) is None
        assert ledger.delete(reader, one) is False
    assert ledger.confirm(reader, "call-of-reader", set(owners)) == len(visible)
    assert ledger.delete_all(reader) == len(visible)
    for one, writer in owners.items():
        left = ledger.get(writer, one)
        assert (left is None) == (one in visible)
        assert left is None or (left.text, left.metadata) == ("canary tea", {})
        assert left is None or ledger.uses(writer, one) == ["call-of-writer"]


def test_an_update_is_a_version_and_metadata_is_not(ledger: Ledger, clock: SetClock) -> None:
    one = draft("My dog is called Rex")
    ledger.add(ALICE, [one])
    clock.us += 5
    changed = ledger.update(ALICE, one.id, draft("My dog is called Max"), metadata={"x": 1})
    assert changed is not None
    assert (changed.text, changed.version, changed.metadata) == ("My dog is called Max", 2, {"x": 1})
    assert changed.updated_at_us == clock.us == changed.created_at_us + 5
    assert ledger.update(ALICE, one.id, None, metadata={}) == msgspec.structs.replace(changed, metadata={})
    assert [(one.event, one.old_text, one.new_text) for one in ledger.history(ALICE, one.id)] == [
        ("ADD", None, "My dog is called Rex"),
        ("UPDATE", "My dog is called Rex", "My dog is called Max"),
    ]
    counted = ledger.statistics(ALICE, terms("rex max dog"), fingerprint=PRINT)
    assert counted.frequencies == dict.fromkeys(terms("max dog"), 1)


def test_a_deleted_memory_leaves_its_history_without_a_word(ledger: Ledger) -> None:
    one = draft("My dog is called Rex", call_id="c1")
    ledger.add(ALICE, [one])
    index_all(ledger)
    assert ledger.delete(ALICE, one.id) is True
    assert ledger.delete(ALICE, one.id) is False
    assert ledger.get(ALICE, one.id) is None
    assert ledger.page(ALICE, limit=5) == []
    assert ledger.candidates(ALICE, [one.id], fingerprint=PRINT) == []
    assert [(one.event, one.old_text, one.new_text) for one in ledger.history(ALICE, one.id)] == [
        ("ADD", None, None),
        ("DELETE", None, None),
    ]
    assert [(one.call_id, one.quote) for one in ledger.evidence(ALICE, one.id)] == [("c1", "")]
    assert ledger.confirm(ALICE, "c2", [one.id]) == 0
    left = ledger.statistics(ALICE, terms("dog"), fingerprint=PRINT)
    assert (left.documents, left.length, left.frequencies, left.vectors) == (0, 0, {}, 0)


def test_pages_go_from_new_to_old(ledger: Ledger, clock: SetClock) -> None:
    for number in range(5):
        clock.us += 1
        ledger.add(ALICE, [draft(f"number {number}")])
    texts = [one.text for one in ledger.page(ALICE, limit=2, offset=1)]
    assert texts == ["number 3", "number 2"]


def test_evidence_says_which_message_of_which_call(ledger: Ledger) -> None:
    (one,) = ledger.capture(ALICE, "t9", turns("I like tea", call_id="c9", thread_id="t9"), key=KEY)
    (found,) = ledger.evidence(ALICE, one)
    assert (found.call_id, found.message_index, found.thread_id, found.quote) == ("c9", 1, "t9", "I like tea")


def test_history_sent_again_adds_only_what_is_new(ledger: Ledger) -> None:
    lines = [f"turn {number}" for number in range(100)]
    added = []
    for number in (*range(1, 101, 9), 100):
        added += ledger.capture(ALICE, "t", turns(*lines[:number], call_id=f"c{number}"), key=KEY)
    assert len(set(added)) == len(added) == 100
    assert ledger.capture(ALICE, "t", turns(*lines), key=KEY) == []


def test_the_same_words_said_twice_are_two_turns(ledger: Ledger) -> None:
    assert len(ledger.capture(ALICE, "t", turns("yes", "yes", "no", "yes"), key=KEY)) == 4
    assert len(ledger.capture(ALICE, "t", turns("yes", "yes", "no", "yes", "yes"), key=KEY)) == 1


@pytest.mark.parametrize("thread_id", ["t", ""])
def test_a_window_that_dropped_the_oldest_turns_is_recognised(ledger: Ledger, thread_id: str) -> None:
    lines = [f"turn {number}" for number in range(30)]
    ledger.capture(ALICE, thread_id, turns(*lines[:10]), key=KEY)
    added = []
    for end in range(10, 31):
        added += ledger.capture(ALICE, thread_id, turns(*lines[end - 5 : end]), key=KEY)
    assert len(added) == 20


def test_threads_and_scopes_have_chains_of_their_own(ledger: Ledger) -> None:
    first = ledger.capture(ALICE, "t", turns("hello"), key=KEY)
    assert len(ledger.capture(ALICE, "u", turns("hello"), key=KEY)) == 1
    assert len(ledger.capture(BOB, "t", turns("hello"), key=KEY)) == 1
    assert ledger.capture(ALICE, "t", turns("hello"), key=KEY) == []
    assert len(first) == 1


def test_what_was_erased_is_not_captured_again(ledger: Ledger) -> None:
    ledger.capture(ALICE, "t", turns("My secret is 42"), key=KEY)
    assert ledger.delete_all(ALICE) == 1
    assert ledger.capture(ALICE, "t", turns("My secret is 42"), key=KEY) == []
    assert len(ledger.capture(ALICE, "t", turns("My secret is 42", "hello"), key=KEY)) == 1
    assert [one.text for one in ledger.page(ALICE, limit=5)] == ["hello"]


def test_a_change_reaches_the_index_through_the_outbox(ledger: Ledger) -> None:
    one = draft("I like tea")
    ledger.add(ALICE, [one])
    job = only_job(ledger)
    assert job.memory == ledger.get(ALICE, one.id)
    assert (job.terms, job.vector) == (one.terms, None)
    ledger.indexed([(job, vector(0, 1, 0))], fingerprint=PRINT)
    assert ledger.backlog() == 0
    (found,) = ledger.candidates(ALICE, [one.id], fingerprint=PRINT)
    assert found.vector is not None
    assert found.vector.tolist() == [0, 1, 0]
    assert ledger.candidates(ALICE, [one.id], fingerprint="other")[0].vector is None

    ledger.delete(ALICE, one.id)
    assert only_job(ledger).memory is None
    ledger.indexed([(only_job(ledger), None)], fingerprint=PRINT)
    assert ledger.backlog() == 0


def test_a_memory_changed_while_it_was_indexed_stays_in_the_outbox(ledger: Ledger) -> None:
    one = draft("I like tea")
    ledger.add(ALICE, [one])
    stale = only_job(ledger)
    ledger.update(ALICE, one.id, draft("I like coffee"))
    ledger.indexed([(stale, vector(0, 1, 0))], fingerprint=PRINT)
    fresh = only_job(ledger)
    assert fresh.memory is not None
    assert (fresh.memory.text, fresh.vector) == ("I like coffee", None)
    assert ledger.candidates(ALICE, [one.id], fingerprint=PRINT)[0].vector is None


def test_an_index_that_was_told_late_what_is_no_longer_so_looks_again(ledger: Ledger) -> None:
    one = draft("I like tea")
    ledger.add(ALICE, [one])
    late = only_job(ledger)
    index_all(ledger)  # as another hub does
    ledger.indexed([(late, vector(0, 1, 0))], fingerprint=PRINT)
    assert ledger.backlog() == 0
    ledger.delete(ALICE, one.id)
    ledger.indexed([(late, vector(0, 1, 0))], fingerprint=PRINT)
    assert only_job(ledger).memory is None, "the job of the deletion is not that of the addition"
    index_all(ledger)
    ledger.indexed([(late, vector(0, 1, 0))], fingerprint=PRINT)
    assert only_job(ledger).memory is None, "the point is there again, and has to go"


def test_a_postponed_job_is_due_later_or_when_asked_for(ledger: Ledger, clock: SetClock) -> None:
    one = draft("I like tea")
    ledger.add(ALICE, [one])
    ledger.postponed([only_job(ledger)], until_us=clock.us + 10)
    assert ledger.pending(10, fingerprint=PRINT) == []
    assert ledger.backlog() == 1
    (asked,) = ledger.pending(10, fingerprint=PRINT, ids=[one.id, "another"])
    assert asked.attempts == 1
    clock.us += 10
    assert only_job(ledger).memory_id == one.id


def test_the_sum_of_vectors_follows_every_change(ledger: Ledger) -> None:
    one, two = draft("one"), draft("two")
    ledger.add(ALICE, [one])
    index_all(ledger, vector(1, 0, 0))
    ledger.add(ALICE, [two])
    index_all(ledger, vector(0, 1, 0))
    ledger.update(ALICE, one.id, draft("three"))
    index_all(ledger, vector(0, 0, 1))
    statistics = ledger.statistics(ALICE, [], fingerprint=PRINT)
    assert statistics.vector_sum is not None
    assert statistics.vector_sum.tolist() == pytest.approx([0, 1, 1])
    assert statistics.vectors == 2
    ledger.delete(ALICE, two.id)
    statistics = ledger.statistics(ALICE, [], fingerprint=PRINT)
    assert statistics.vector_sum is not None
    assert statistics.vector_sum.tolist() == pytest.approx([0, 0, 1])


def test_reconciling_finds_what_the_index_lacks_and_what_nobody_wants(ledger: Ledger) -> None:
    there, lost = draft("there"), draft("lost")
    ledger.add(ALICE, [there, lost])
    index_all(ledger)
    assert ledger.reconcile([there.id, "ghost"], fingerprint=PRINT) == (1, ["ghost"])
    job = only_job(ledger)
    assert job.memory_id == lost.id
    assert job.vector is not None  # known: it need not be made again
    assert ledger.reconcile([there.id, lost.id], fingerprint="another-model") == (2, [])


def test_the_audit_names_who_and_how_much_but_no_word(ledger: Ledger) -> None:
    one = draft("canary")
    ledger.add(ALICE, [one], actor="key-1")
    ledger.capture(ALICE, "t", turns("canary one", "canary two"), key=KEY)
    ledger.delete(ALICE, one.id, actor="key-2")
    entries = ledger.audit(ALICE, limit=10)
    assert [(entry.action, entry.actor, entry.count) for entry in entries] == [
        ("delete", "key-2", 1),
        ("capture", "", 2),
        ("add", "key-1", 1),
    ]
    assert b"canary" not in msgspec.json.encode(entries)
