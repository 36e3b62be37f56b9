from __future__ import annotations

from itertools import pairwise

import pytest

from memory.store.sqlite import SqlLedger
from memory.upkeep.jobs import DAY_US
from tests.fakes.memory_databases import Database
from tests.fakes.memory_parts import ALICE, BOB, KEY, SetClock
from tests.fakes.tidied_memory import Tidied


@pytest.fixture
def house(memory_database: Database) -> Tidied:
    clock = SetClock()
    return Tidied(SqlLedger(memory_database.open(), key=KEY, clock=clock), clock)


def test_statements_that_say_the_same_become_one_with_both_proofs(house: Tidied) -> None:
    (older,) = house.add("user likes green tea", occurred_at_us=4)
    newer = house.claim("user really likes green tea", at_us=5, message=1)
    assert len(house.texts()) == 2
    run = house.go(house.merge)
    assert house.texts() == {"user likes green tea"}
    assert house.store.counts()["merge"] == 1
    assert [one.quote for one in house.ledger.evidence(ALICE, older)] == ["user really likes green tea"]
    assert [(one.event, one.reason) for one in house.ledger.history(ALICE, newer)][-1] == ("MERGE", run)
    assert [one.actor for one in house.ledger.audit(ALICE, limit=9) if one.reason == run] == ["upkeep"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("user has 2 cats", "user has 3 cats"),
        ("user likes tea with Ann", "user likes tea with Bob"),
        ("user likes tea", "user never likes tea"),
    ],
)
def test_what_differs_in_a_number_a_name_or_a_negation_stays_two(
    house: Tidied, first: str, second: str
) -> None:
    house.add(first, second)
    house.go(house.merge)
    assert house.texts() == {first, second}


def test_nothing_is_merged_across_scopes_speakers_or_expiries(house: Tidied) -> None:
    house.add("user likes green tea")
    house.add("user really likes green tea", scope=BOB)
    house.add("user so likes green tea", expires_at_us=house.clock.us + DAY_US)
    house.add("user very likes green tea", metadata={"category": "drinks"})
    house.go(house.merge)
    assert len(house.texts()) == 3
    assert len(house.texts(BOB)) == 1


def test_below_the_threshold_nothing_is_merged_however_equal_the_facets(house: Tidied) -> None:
    house.add("user likes green tea", "user likes green tea with milk and a biscuit")
    house.go(house.merge)
    assert len(house.texts()) == 2


def test_turns_of_a_conversation_are_never_merged(house: Tidied) -> None:
    house.say("user likes green tea", "user really likes green tea")
    house.go(house.merge)
    assert len(house.texts()) == 2


def stale(house: Tidied, text: str, slot: str) -> None:
    """Have a claim's slot be what an earlier version made of it."""
    with house.ledger._connections.write() as connection:
        (memory,) = (one for one in house.ledger.page(ALICE, limit=99) if one.text == text)
        connection.execute("UPDATE claims SET slot = ? WHERE memory_id = ?", (slot, memory.id))


def two_homes(house: Tidied) -> None:
    house.claim("user lives in Paris", "user", "lives in", "Paris", at_us=5, message=1)
    stale(house, "user lives in Paris", "of before")
    house.claim("user lives in Rome", "user", "lives in", "Rome", at_us=9, message=2)
    assert len(house.texts()) == 2


def test_two_values_of_one_slot_that_an_earlier_version_let_stand_meet(house: Tidied) -> None:
    two_homes(house)
    run = house.go(house.contradictions)
    assert house.texts() == {"user lives in Rome"}
    (paris,) = (one for one, row in house.view().items() if row[2] == "user lives in Paris")
    assert [(one.event, one.reason) for one in house.ledger.history(ALICE, paris)][-1] == ("SUPERSEDE", run)


def test_weights_follow_age_and_use(house: Tidied) -> None:
    house.say("the bus was late", "the tram was late")
    house.add("user likes green tea")
    ids = {row[2]: one for one, row in house.view().items()}
    house.clock.us += 2 * 365 * DAY_US
    house.ledger.confirm(ALICE, "c", [ids["the tram was late"]])
    house.go(house.decay)
    weights = {row[2]: row[-2] for row in house.view().values()}
    assert weights["the bus was late"] < 0.6
    assert weights["the tram was late"] > weights["user likes green tea"] == 1
    assert house.store.counts()["decay"] == 2


def test_no_slice_looks_at_more_rows_than_it_is_given(house: Tidied) -> None:
    house.add(*(f"user has {number} cats" for number in range(30)))
    for number in range(20):
        house.claim(f"user has {number} dogs", "user", "has", f"{number} dogs", message=number)
    house.index()
    for job in (house.merge, house.contradictions, house.decay):
        run = house.store.next_run(job.name, house.clock.us, every_us=DAY_US)
        assert run is not None
        places, seen = [""], 0
        while (found := job.slice(run, places[-1], 7)).seen:
            assert found.seen <= 7
            places.append(found.place)
            seen += found.seen
        assert seen >= 20
        assert all(one != other for one, other in pairwise(places))


def test_a_slice_of_merging_changes_one_thing(house: Tidied) -> None:
    for at_us, word in enumerate(("just", "really", "so"), 1):
        house.add(f"user {word} likes green tea", occurred_at_us=at_us)
    house.index()
    run = house.store.next_run("merge", house.clock.us, every_us=DAY_US)
    assert run is not None
    before = len(house.texts())
    place = ""
    while (found := house.merge.slice(run, place, 64)).seen:
        assert before - len(house.texts()) <= 1
        before, place = len(house.texts()), found.place
    assert before == 1
