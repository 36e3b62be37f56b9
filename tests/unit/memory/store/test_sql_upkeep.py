from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.store.sqlite import SqlLedger
from memory.upkeep.jobs import DAY_US
from tests.fakes.memory_databases import Database
from tests.fakes.memory_parts import ALICE, BOB, KEY, SetClock
from tests.fakes.tidied_memory import Tidied
from tests.unit.memory.upkeep.test_jobs import two_homes


@pytest.fixture
def house(memory_database: Database) -> Tidied:
    clock = SetClock()
    return Tidied(SqlLedger(memory_database.open(), key=KEY, clock=clock), clock)


def test_a_pass_goes_on_where_it_was_and_begins_anew_after_its_time(house: Tidied) -> None:
    run = house.store.next_run("merge", house.clock.us, every_us=DAY_US)
    assert run is not None
    house.store.move(run, "7", 5, house.clock.us)
    again = house.store.next_run("merge", house.clock.us + 9 * DAY_US, every_us=DAY_US)
    assert again is not None
    assert (again.id, again.place, again.seen) == (run.id, "7", 5)
    house.store.move(run, "9", 2, house.clock.us, done=True)
    assert house.store.next_run("merge", house.clock.us + DAY_US - 1, every_us=DAY_US) is None
    later = house.store.next_run("merge", house.clock.us + DAY_US, every_us=DAY_US)
    assert later is not None
    assert (later.place, later.seen) == ("", 0)
    assert [one.id for one in house.store.runs(limit=9)] == [later.id, run.id]


def test_undoing_a_merge_brings_both_back_and_keeps_them_apart(house: Tidied) -> None:
    ids = [*house.add("user likes green tea", occurred_at_us=4)]
    ids += house.add("user really likes green tea", occurred_at_us=5)
    before = house.view()
    run = house.go(house.merge)
    assert house.view() != before
    assert house.store.undo(run, house.clock.us) == 1
    assert house.view() == before
    assert [one.event for one in house.ledger.history(ALICE, ids[1])] == ["ADD", "MERGE", "RESTORE"]
    assert house.ledger.history(ALICE, ids[1])[-1].reason == f"undo {run}"
    house.index()
    assert {one.id for one, _ in house.engine.search(ALICE, "green tea", limit=9, threshold=0)} == set(ids)
    house.clock.us += DAY_US
    house.go(house.merge)
    assert house.view() == before


def test_undoing_a_contradiction_lets_both_hold_again(house: Tidied) -> None:
    two_homes(house)
    before = house.view()
    run = house.go(house.contradictions)
    assert house.store.undo(run, house.clock.us) == 1
    assert house.view() == before
    house.clock.us += DAY_US
    house.go(house.contradictions)
    assert house.view() == before


def test_undoing_twice_or_what_never_was_changes_nothing(house: Tidied) -> None:
    house.add("user likes green tea", "user really likes green tea")
    run = house.go(house.merge)
    house.store.undo(run, house.clock.us)
    after = house.view()
    assert house.store.undo(run, house.clock.us) == 0
    assert house.store.undo("upkeep:merge:none", house.clock.us) is None
    assert house.view() == after


def test_what_was_edited_since_is_left_to_who_edited_it(house: Tidied) -> None:
    older, newer = house.add("user likes green tea", "user really likes green tea")
    run = house.go(house.merge)
    house.engine.update(ALICE, older, "user likes coffee")
    house.store.undo(run, house.clock.us)
    assert house.texts() == {"user likes coffee"}
    assert house.ledger.get(ALICE, newer) is None


def test_no_word_of_what_was_erased_stays_with_the_upkeep(house: Tidied) -> None:
    two_homes(house)
    house.add("user likes green tea", "user really likes green tea")
    house.go(house.merge)
    house.go(house.contradictions)
    house.ledger.delete_all(ALICE)
    for table in ("upkeep_steps", "upkeep_runs", "summaries"):
        rows = house.ledger._connections.read().execute(f"SELECT * FROM {table}").fetchall()
        held = repr([tuple(row) for row in rows])
        assert not any(word in held for word in ("Paris", "paris", "before", "tea"))


FILLERS = st.lists(st.sampled_from(["really", "so", "very", "just"]), max_size=2)
THINGS = st.sampled_from(["green tea", "Ann", "2 cats", "no milk"])
WORDS = st.tuples(FILLERS, THINGS).map(lambda one: " ".join(["user likes", *one[0], one[1]]))
PLACES = st.sampled_from(["Paris", "Rome", "Oslo"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), WORDS, st.sampled_from([ALICE, BOB])),
        st.tuples(st.just("claim"), WORDS, st.integers(1, 9)),
        st.tuples(st.just("lives"), PLACES, st.integers(1, 9)),
        st.tuples(st.just("days"), st.integers(1, 900), st.none()),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=30, deadline=None)
@given(STEPS, st.permutations(["merge", "contradictions", "decay"]), st.integers(1, 9))
def test_whatever_passes_did_undoing_them_puts_everything_back(
    steps: list[tuple[str, Any, Any]], order: list[str], rows: int
) -> None:
    house = Tidied()
    for number, (what, word, more) in enumerate(steps):
        match what:
            case "add":
                house.add(word, scope=more)
            case "claim":
                house.claim(word, at_us=more, message=number)
            case "lives":
                house.claim(f"user lives in {word}", "user", "lives in", word, at_us=more, message=number)
                with house.ledger._connections.write() as connection:
                    connection.execute(
                        "UPDATE claims SET slot = slot || 'x' WHERE slot <> '' AND at_us % 2 = 0"
                    )
            case _:
                house.clock.us += word * DAY_US + 1
    house.index()
    before = house.view()
    done = [house.go(getattr(house, job), rows=rows) for job in order]
    for run in reversed(done):
        house.store.undo(run, house.clock.us)
    after = house.view()
    made = after.keys() - before.keys()
    assert {one: row for one, row in after.items() if one not in made} == before
    assert all(house.ledger.get(scope, one) is None for one in made for scope in (ALICE, BOB))
