from __future__ import annotations

import pytest

from memory.debounce import IDLE_US, LEASE_US, MOST_TURNS
from memory.jobs import Made, Submission, job_row
from memory.records import Change, Line
from memory.scope import Scope
from memory.store.sql_jobs import SqliteJobs
from memory.store.sqlite import SqlLedger
from tests.fakes.memory_databases import Database
from tests.fakes.memory_parts import ALICE, BOB, KEY, SetClock, turns

LATER = 10 * IDLE_US


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ledger(memory_database: Database, clock: SetClock) -> SqlLedger:
    return SqlLedger(memory_database.open(), key=KEY, clock=clock)


@pytest.fixture
def jobs(ledger: SqlLedger) -> SqliteJobs:
    return ledger.jobs


def hear(ledger: SqlLedger, *texts: str, scope: Scope = ALICE, thread_id: str = "t") -> list[str]:
    return ledger.capture(scope, thread_id, turns(*texts, thread_id=thread_id), key=KEY)


def submission(*texts: str, scope: Scope = ALICE) -> Submission:
    return Submission(scope=scope, lines=[Line("user", text) for text in texts], occurred_at_us=5)


def test_a_job_carries_its_turns_as_they_were_said(
    ledger: SqlLedger, jobs: SqliteJobs, clock: SetClock
) -> None:
    ids = hear(ledger, "one", "two")
    job = jobs.lease(clock.us + LATER)

    assert job is not None
    assert (job.scope, job.thread_id, job.attempts) == (ALICE, "t", 1)
    assert [(turn.memory_id, turn.text, turn.role) for turn in job.turns] == [
        (ids[0], "one", "user"),
        (ids[1], "two", "user"),
    ]
    assert [line.text for line in job.turns[1].before] == ["one", "I see: one"]


def test_a_job_is_in_one_pair_of_hands_until_its_lease_is_over(
    ledger: SqlLedger, jobs: SqliteJobs, clock: SetClock
) -> None:
    hear(ledger, "one")
    now_us = clock.us + LATER
    first = jobs.lease(now_us)
    assert first is not None
    assert jobs.lease(now_us) is None
    again = jobs.lease(now_us + LEASE_US)

    assert again is not None
    assert (again.id, again.attempts) == (first.id, 2)
    assert not jobs.is_held(first)
    assert not jobs.finish(first, "extracted", (), now_us)
    assert not jobs.keep(first, b"c", Made(operations=[]), now_us)
    assert jobs.finish(again, "extracted", (), now_us)
    assert jobs.lease(now_us + 2 * LEASE_US) is None


def test_of_one_thread_the_oldest_job_goes_first_and_others_do_not_wait(
    ledger: SqlLedger, jobs: SqliteJobs, clock: SetClock
) -> None:
    texts = [f"turn {number}" for number in range(MOST_TURNS + 1)]
    hear(ledger, *texts)
    hear(ledger, "elsewhere", thread_id="u")
    hear(ledger, "somebody else", scope=BOB)
    found = [jobs.lease(clock.us + LATER) for _ in range(4)]

    assert sorted(job.turns[0].text for job in found if job) == ["elsewhere", "somebody else", "turn 0"]
    first = next(job for job in found if job and job.turns[0].text == "turn 0")
    assert len(first.turns) == MOST_TURNS
    jobs.finish(first, "extracted", (), clock.us)
    last = jobs.lease(clock.us + LATER)
    assert last is not None
    assert [turn.text for turn in last.turns] == [f"turn {MOST_TURNS}"]


def test_a_turn_said_during_a_reading_is_the_next_ones(
    ledger: SqlLedger, jobs: SqliteJobs, clock: SetClock
) -> None:
    hear(ledger, "one")
    first = jobs.lease(clock.us + LATER)
    hear(ledger, "one", "two")
    assert first is not None
    jobs.finish(first, "extracted", (), clock.us)
    second = jobs.lease(clock.us + LATER)

    assert second is not None
    assert [turn.text for turn in second.turns] == ["two"]


def test_a_process_that_begins_takes_over_what_was_left(
    ledger: SqlLedger, jobs: SqliteJobs, clock: SetClock, memory_database: Database
) -> None:
    hear(ledger, "one")
    jobs.lease(clock.us + LATER)
    assert not jobs.any_due(clock.us + LATER)
    jobs.release_all()

    others = LEASE_US if memory_database.url else 0  # they may be alive, and their lease must end first
    assert jobs.any_due(clock.us + LATER) is not bool(others)
    assert jobs.lease(clock.us + LATER + others) is not None


def test_what_is_handed_over_hurries_what_was_said_before(
    ledger: SqlLedger, jobs: SqliteJobs, clock: SetClock
) -> None:
    hear(ledger, "said before", thread_id="")
    job_id = jobs.submit(submission("handed over"), clock.us)
    first = jobs.lease(clock.us)
    assert first is not None
    assert first.turns[0].text == "said before"
    jobs.finish(first, "extracted", (), clock.us)
    second = jobs.lease(clock.us)

    assert second is not None
    assert (second.id, second.turns[0].text, second.turns[0].memory_id) == (job_id, "handed over", "")


def test_a_finished_job_keeps_no_word(
    ledger: SqlLedger, jobs: SqliteJobs, clock: SetClock, memory_database: Database
) -> None:
    jobs.submit(submission("zanzibarquokka"), clock.us)
    job = jobs.lease(clock.us)
    assert job is not None
    assert jobs.keep(job, b"content", Made(operations=[]), clock.us)
    assert jobs.kept(job, b"content") == []
    assert jobs.kept(job, b"other") is None
    jobs.finish(job, "extracted", (), clock.us)
    ledger.close()

    assert b"zanzibarquokka" not in memory_database.on_disk()


def test_a_job_is_seen_by_its_scope_alone(ledger: SqlLedger, jobs: SqliteJobs, clock: SetClock) -> None:
    job_id = jobs.submit(submission("one"), clock.us)

    assert [one.id for one in jobs.page(ALICE, limit=10)] == [job_id]
    assert jobs.page(ALICE, limit=10, job_id=job_id)[0].state == "waiting"
    assert jobs.page(BOB, limit=10) == []
    assert jobs.page(BOB, limit=10, job_id=job_id) == []
    assert job_row(jobs.page(ALICE, limit=1)[0])["effects"] == ()


def test_what_came_of_the_jobs_of_a_time_is_told_without_a_word(
    ledger: SqlLedger, jobs: SqliteJobs, clock: SetClock
) -> None:
    elsewhere = Scope(project="q", environment="prod", user="alice")
    for number, scope in enumerate((ALICE, BOB, ALICE, elsewhere)):
        jobs.submit(submission(f"said {number}", scope=scope), clock.us)
    ends: list[tuple[str, list[str]]] = [("extracted", ["ADD", "NONE"]), ("extracted", ["MERGE", "UPDATE"])]
    for seconds, (outcome, events) in enumerate(ends, 1):
        job = jobs.lease(clock.us)
        assert job is not None
        assert jobs.keep(job, b"c", Made(operations=[], proposed=3, grounded=2), clock.us)
        changes = [Change(memory_id="m", event=event, text="") for event in events]  # type: ignore[arg-type]
        jobs.finish(job, outcome, changes, clock.us + seconds * 1_000_000)
    hopeless = jobs.lease(clock.us)
    assert hopeless is not None
    jobs.postpone(hopeless, "model_answer_invalid", until_us=clock.us, refused=True, now_us=clock.us)
    home = (ALICE.project, ALICE.environment)
    waiting = jobs.worked(home, clock.us, clock.us + 1)
    hopeless = jobs.lease(clock.us)
    assert hopeless is not None
    jobs.bury(hopeless, "model_answer_invalid", clock.us)

    told = jobs.worked(home, clock.us, clock.us + 1)
    assert (waiting.failing, waiting.states) == (1, {"done": 2, "waiting": 1})
    assert (told.jobs, told.states, told.outcomes) == (3, {"done": 2, "dead": 1}, {"extracted": 2})
    assert (told.failing, told.refused, told.proposed, told.grounded) == (0, 1, 6, 4)
    assert told.events == {"ADD": 1, "NONE": 1, "MERGE": 1, "UPDATE": 1}
    assert (told.took_us[0], len(told.took_us)) == (1_000_000, 4)
    assert jobs.worked(None, clock.us, clock.us + 1).jobs == 4
    nothing = jobs.worked(home, clock.us + 1, clock.us + 2)
    assert (nothing.jobs, nothing.states, nothing.took_us) == (0, {}, [])


def test_erasing_ends_every_job_of_the_scope_and_no_other(
    ledger: SqlLedger, jobs: SqliteJobs, clock: SetClock
) -> None:
    hear(ledger, "one")
    jobs.submit(submission("two"), clock.us)
    hear(ledger, "mine", scope=BOB)
    ledger.delete_all(ALICE)
    left = jobs.lease(clock.us + LATER)

    assert left is not None
    assert left.scope == BOB
    assert jobs.lease(clock.us + LATER) is None
    assert {one.outcome for one in jobs.page(ALICE, limit=9)} <= {"erased"}


def test_old_jobs_are_forgotten(ledger: SqlLedger, jobs: SqliteJobs, clock: SetClock) -> None:
    jobs.submit(submission("one"), clock.us)
    job = jobs.lease(clock.us)
    assert job is not None
    jobs.bury(job, "error", clock.us)
    assert jobs.counts() == {"waiting": 0, "working": 0, "done": 0, "dead": 1}
    jobs.purge(clock.us + 8 * 86_400_000_000)

    assert jobs.counts() == {"waiting": 0, "working": 0, "done": 0, "dead": 0}
