from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from memory.scope import Scope
from memory.store.sqlite import SqliteLedger
from tests.fakes.memory_parts import ALICE, BOB, KEY, SetClock, draft

MINUTE_US = 60_000_000


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    made = SqliteLedger(tmp_path / "memory.sqlite3", key=KEY, clock=SetClock())
    yield made
    made.close()


def said(
    ledger: SqliteLedger,
    text: str,
    *,
    minute: int,
    scope: Scope = ALICE,
    kind: str = "episode",
    thread: str = "",
    by: str = "",
) -> str:
    one = msgspec.structs.replace(
        draft(text), occurred_at_us=minute * MINUTE_US, kind=kind, thread_id=thread, actor=by
    )
    ((memory_id, _),) = ledger.add(scope, [one])
    return memory_id


def test_turns_know_the_two_before_and_after_them(ledger):
    ids = [said(ledger, f"turn {number}", minute=number) for number in range(5)]
    assert ledger.around(ALICE, [ids[2], ids[0]]) == {
        ids[2]: [(-2, ids[0]), (-1, ids[1]), (1, ids[3]), (2, ids[4])],
        ids[0]: [(1, ids[1]), (2, ids[2])],
    }


def test_turns_of_the_same_moment_stand_as_they_were_stored(ledger):
    ids = [said(ledger, f"turn {number}", minute=7) for number in range(3)]
    assert ledger.around(ALICE, [ids[1]]) == {ids[1]: [(-1, ids[0]), (1, ids[2])]}


def test_a_pause_another_thread_and_another_kind_are_no_neighbours(ledger):
    one = said(ledger, "one", minute=0)
    late = said(ledger, "after a pause", minute=61)
    said(ledger, "elsewhere", minute=1, thread="t")
    said(ledger, "a fact", minute=2, kind="fact")
    assert ledger.around(ALICE, [one, late]) == {one: [], late: []}


def test_nobody_elses_and_no_deleted_turn_is_a_neighbour(ledger):
    one, gone = said(ledger, "one", minute=0), said(ledger, "gone", minute=1)
    other = said(ledger, "other", minute=1, scope=BOB)
    ledger.delete(ALICE, gone)
    assert ledger.around(ALICE, [one, other, gone]) == {one: []}


def test_speakers_are_those_with_a_name_in_this_scope(ledger):
    said(ledger, "one", minute=0, by="Ann")
    said(ledger, "two", minute=0, by="Ann")
    said(ledger, "three", minute=0)
    said(ledger, "four", minute=0, by="Bo", scope=BOB)
    assert ledger.speakers(ALICE) == ["Ann"]


def test_what_was_said_in_a_time_is_found_by_it(ledger):
    ids = [said(ledger, f"turn {number}", minute=number) for number in range(5)]
    said(ledger, "other", minute=2, scope=BOB)
    assert ledger.dated(ALICE, MINUTE_US, 4 * MINUTE_US, limit=2) == [ids[3], ids[2]]
