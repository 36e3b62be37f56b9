from __future__ import annotations

import msgspec
import pytest
from typing_extensions import override

from memory.records import Memory
from memory.store.sqlite import SqlLedger
from memory.upkeep.jobs import DAY_US
from tests.fakes.memory_databases import Database
from tests.fakes.memory_parts import ALICE, KEY, SetClock
from tests.fakes.tidied_memory import Teller, Tidied

TURNS = [f"Canary {n} sings in the garden of the red house" for n in range(1, 11)]
MORE = [f"Finch {n} flies over the roof of the old mill" for n in range(11, 21)]


@pytest.fixture
def house(memory_database: Database) -> Tidied:
    clock = SetClock()
    return Tidied(SqlLedger(memory_database.open(), key=KEY, clock=clock), clock)


def answer(*evidence: int, text: str = "Canaries sing in the garden of the red house.") -> str:
    return msgspec.json.encode({"text": text, "evidence": evidence or (1, 2)}).decode()


async def tidied(house: Tidied, *answers: str) -> Teller:
    """Let a day go by, and the upkeep after it."""
    house.clock.us += DAY_US
    model = Teller(*answers)
    await house.upkeep(model).once()
    house.index()
    return model


def summaries(house: Tidied) -> list[Memory]:
    return [one for one in house.ledger.page(ALICE, limit=99) if one.kind == "event"]


def turn(house: Tidied, text: str) -> str:
    (found,) = (one.id for one in house.ledger.page(ALICE, limit=99) if one.text == text)
    return found


@pytest.mark.parametrize("number", [1, 5], ids=["a turn that is cited", "a turn that was only read"])
async def test_a_summary_goes_with_any_turn_it_was_told_from_and_is_told_anew(
    house: Tidied, memory_database: Database, number: int
) -> None:
    house.say(*TURNS)
    await tidied(house, answer(1, 2))
    (old,) = summaries(house)

    assert house.engine.delete(ALICE, turn(house, TURNS[number - 1]))

    assert summaries(house) == []
    house.index()
    found = house.engine.search(ALICE, "who sings in the garden", limit=99, threshold=0)
    assert old.id not in {one.id for one, _ in found}
    assert f"anary {number} sings" not in memory_database.held()
    assert "Canaries sing" not in memory_database.held()
    assert [one.event for one in house.ledger.history(ALICE, old.id)] == ["ADD", "DELETE"]
    assert ("retract", old.id) in [(one.action, one.memory_id) for one in house.ledger.audit(ALICE, limit=9)]

    model = await tidied(house, answer(2, 3))
    assert TURNS[number - 1] not in str(model.asked[0].messages)
    (new,) = summaries(house)
    assert (new.text, new.id != old.id) == (old.text, True), "the same words again"
    assert {one.quote for one in house.ledger.evidence(ALICE, new.id)}.isdisjoint({TURNS[number - 1]})
    assert not (await tidied(house)).asked


async def test_what_was_told_before_the_turn_stays_and_what_came_after_it_is_told_again(
    house: Tidied,
) -> None:
    house.say(*TURNS)
    await tidied(house, answer())
    (first,) = summaries(house)
    house.say(*TURNS, *MORE)
    await tidied(house, answer(text="Finches fly over the roof of the old mill."))
    assert len(summaries(house)) == 2

    house.engine.delete(ALICE, turn(house, MORE[0]))
    assert [one.id for one in summaries(house)] == [first.id]
    model = await tidied(house, answer(text="Finches fly over the roof of the old mill."))
    assert str(model.asked[0].messages).count("Canary") == 0
    assert len(summaries(house)) == 2

    house.engine.delete(ALICE, turn(house, TURNS[0]))
    assert summaries(house) == []
    model = await tidied(house, answer())
    assert str(model.asked[0].messages).count("Canary") == 9


async def test_other_conversations_and_other_memories_are_left_alone(house: Tidied) -> None:
    house.say(*TURNS)
    house.say(*MORE, thread="other")
    (fact,) = house.add("user has a canary")
    await tidied(house, answer(), answer(text="Finches fly over the roof of the old mill."))
    assert len(summaries(house)) == 2

    house.engine.delete(ALICE, fact)
    assert len(summaries(house)) == 2
    house.engine.delete(ALICE, turn(house, TURNS[3]))
    assert [one.text for one in summaries(house)] == ["Finches fly over the roof of the old mill."]


async def test_a_summary_that_was_put_back_loses_its_words_and_stays_away(
    house: Tidied, memory_database: Database
) -> None:
    house.say(*TURNS)
    await tidied(house, answer())
    (run,) = (one for one in house.store.runs(limit=9) if one.job == "summaries")
    assert house.store.undo(run.id, house.clock.us) == 1
    assert "Canaries sing" in memory_database.held()

    house.engine.delete(ALICE, turn(house, TURNS[0]))

    assert "Canaries sing" not in memory_database.held()
    assert not (await tidied(house)).asked


async def test_a_pass_can_be_undone_after_one_of_its_summaries_went(house: Tidied) -> None:
    house.say(*TURNS)
    house.say(*MORE, thread="other")
    await tidied(house, answer(), answer(text="Finches fly over the roof of the old mill."))
    (run,) = (one for one in house.store.runs(limit=9) if one.job == "summaries")

    house.engine.delete(ALICE, turn(house, TURNS[0]))

    assert house.store.undo(run.id, house.clock.us) == 1
    assert summaries(house) == []


async def test_a_turn_that_is_deleted_while_a_model_reads_it_is_in_no_summary(
    house: Tidied, memory_database: Database
) -> None:
    house.say(*TURNS)

    class Slow(Teller):
        @override
        async def ask(self, asked: object) -> str:
            house.engine.delete(ALICE, turn(house, TURNS[0]))
            return answer(1, 2)

    house.clock.us += DAY_US
    await house.upkeep(Slow()).once()

    assert summaries(house) == []
    assert "Canaries sing" not in memory_database.held()
    await tidied(house, answer(2, 3))
    assert len(summaries(house)) == 1
