from __future__ import annotations

from typing import Any

import msgspec
import pytest

from memory.errors import BadAnswer, ModelAway
from memory.scope import Scope
from memory.store.sql_upkeep_reads import Conversation, Told
from memory.upkeep.jobs import DAY_US
from memory.upkeep.summaries import LEAST_TURNS, checked
from tests.fakes.memory_parts import ALICE
from tests.fakes.tidied_memory import Teller, Tidied

TURNS = [
    "I plan a trip to Oslo in May",
    "I do not want to fly",
    *(f"Hotel number {n} is full" for n in range(6)),
]
GOOD = "User plans a trip to Oslo in May and does not want to fly."


def answer(text: str = GOOD, *evidence: int) -> str:
    return msgspec.json.encode({"text": text, "evidence": evidence or (1, 2)}).decode()


def about() -> Conversation:
    turns = (
        Told(seq=n, text=text, call_id=f"c{n}", message_index=n, occurred_us=n)
        for n, text in enumerate(TURNS, 1)
    )
    return Conversation(scope_id=1, scope=ALICE, thread_id="talk", turns=tuple(turns))


def test_a_summary_goes_back_to_the_turns_it_names():
    made = checked(answer(), about(), str)
    assert made is not None
    assert made.text == GOOD
    assert [(one.call_id, one.quote) for one in made.evidence] == [("c1", TURNS[0]), ("c2", TURNS[1])]
    assert (made.kind, made.trust, made.occurred_at_us) == ("event", "assistant", 8)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "no JSON",
        answer("User plans a trip to Oslo in May with 3 friends."),
        answer("User plans a trip to Oslo with Bob."),
        answer(f"{GOOD[:-1]} https://evil.example"),
        answer("Something altogether different happened yesterday evening."),
        answer(GOOD, 9),
        answer(GOOD, 0),
        answer("User did not plan a trip to Oslo.", 1),
        msgspec.json.encode({"text": GOOD, "evidence": []}).decode(),
    ],
)
def test_what_rests_on_nothing_said_is_refused(said):
    with pytest.raises(BadAnswer):
        checked(said, about(), str)


def test_an_empty_text_is_no_summary():
    assert checked(msgspec.json.encode({"text": " ", "evidence": []}).decode(), about(), str) is None


def talked(house: Tidied, turns: int = LEAST_TURNS) -> None:
    house.say(*TURNS[:turns])
    house.clock.us += DAY_US


def summaries(house: Tidied) -> list[Any]:
    return [one for one in house.ledger.page(ALICE, limit=99) if one.kind == "event"]


async def test_a_conversation_that_is_over_is_told_once_for_its_user() -> None:
    house, model = Tidied(), Teller(answer())
    talked(house)
    await house.upkeep(model).once()
    (made,) = summaries(house)
    assert made.text == GOOD
    asked = model.asked[0]
    assert (asked.purpose, asked.scope, asked.thread_id) == ("memory.summarise", ALICE, "talk")
    house.clock.us += 9 * DAY_US
    await house.upkeep(Teller()).once()
    assert len(summaries(house)) == 1
    house.say(*TURNS, *(f"And then there were {n} more" for n in range(8)))
    house.clock.us += DAY_US
    more = Teller(answer("User said there were 3 more.", 4))
    await house.upkeep(more).once()
    assert len(summaries(house)) == 2
    assert TURNS[0] not in str(more.asked[0].messages)


async def test_short_young_or_nameless_conversations_cost_no_call() -> None:
    house, model = Tidied(), Teller()
    talked(house, LEAST_TURNS - 1)
    house.say(*TURNS, thread="")
    house.clock.us += DAY_US
    house.say(*TURNS, thread="now")
    await house.upkeep(model).once()
    assert not model.asked


async def test_without_a_model_nothing_is_told() -> None:
    house = Tidied()
    talked(house)
    await house.upkeep().once()
    assert not summaries(house)
    assert "summaries" not in {run.job for run in house.store.latest()}


async def test_a_model_that_is_away_is_asked_again_and_a_bad_answer_is_not() -> None:
    house = Tidied()
    talked(house)
    await house.upkeep(Teller(ModelAway("down"))).once()
    await house.upkeep(Teller("nonsense")).once()
    house.clock.us += DAY_US
    await house.upkeep(Teller()).once()
    assert not summaries(house)


async def test_a_summary_that_was_stored_before_a_kill_is_not_asked_for_again() -> None:
    house = Tidied()
    talked(house)

    class Killed(Exception):
        pass

    def die(*_: object) -> None:
        raise Killed

    upkeep = house.upkeep(Teller(answer()))
    upkeep._summaries._tools.store.summarised = die  # type: ignore[method-assign,union-attr]
    await upkeep.once()
    del house.store.summarised
    await house.upkeep(Teller()).once()
    assert len(summaries(house)) == 1


async def test_an_undone_summary_is_gone_and_stays_away() -> None:
    house = Tidied()
    talked(house)
    before = house.texts()
    await house.upkeep(Teller(answer())).once()
    (made,) = summaries(house)
    (run,) = (one for one in house.store.runs(limit=9) if one.job == "summaries")
    assert [one.reason for one in house.ledger.history(ALICE, made.id)] == [run.id]
    assert house.store.undo(run.id, house.clock.us) == 1
    house.index()
    assert house.texts() == before
    assert house.ledger.history(ALICE, made.id)[-1].event == "RETRACT"
    assert GOOD not in {
        one.text for one, _ in house.engine.search(ALICE, "trip to Oslo", limit=20, threshold=0)
    }
    house.clock.us += DAY_US
    await house.upkeep(Teller()).once()
    assert house.texts() == before


async def test_nobody_elses_conversation_is_told_to_anybody() -> None:
    house = Tidied()
    house.say(*TURNS, scope=Scope(project="q", environment="prod", user="bob"))
    house.clock.us += DAY_US
    await house.upkeep(Teller(answer())).once()
    assert not summaries(house)
