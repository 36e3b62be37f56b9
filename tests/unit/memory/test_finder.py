from __future__ import annotations

from collections.abc import Iterator

import pytest

from memory.engine import Engine
from memory.finder import Finder
from memory.given import Statement
from memory.records import Entity, Evidence, Operation, SearchHit
from memory.scope import Scope
from tests.fakes.memory_parts import ALICE, BOB, KEY, Moody, SetClock
from tests.fakes.memory_store import IndexInMemory, PassingLedger, shelf_of

DAY_US = 86_400_000_000
NOW_US = 1_700_000_000_000_000  # 14 November 2023


class House:
    """A finder, and an engine that fills what it searches."""

    def __init__(self) -> None:
        clock = SetClock(NOW_US)
        ledger, index, embedder = PassingLedger(clock), IndexInMemory(), Moody()
        self.ledger = ledger
        shelf = shelf_of(ledger, index, embedder, clock)
        self.engine = Engine(ledger, shelf, key=KEY, clock=clock)
        self.finder = Finder(ledger, shelf, key=KEY, clock=clock)

    def said(self, *statements: Statement, scope: Scope = ALICE) -> list[str]:
        return [one for one, _, _ in self.engine.add(scope, statements)]

    def learnt(
        self, text: str, *, about: tuple[str, str, str] = ("", "", ""), days_ago: int = 0, until: int = 0
    ) -> str:
        """Apply what a manager understood; return the memory's id."""
        subject, predicate, thing = about
        operation = Operation(
            op="ADD",
            evidence=(Evidence(call_id="c", message_index=0, quote=text),),
            occurred_at_us=NOW_US - days_ago * DAY_US,
            text=text,
            subject=subject,
            predicate=predicate,
            object=thing,
            entities=tuple(Entity(name) for name in (subject, thing) if name),
            valid_to_us=until,
        )
        (change,) = self.engine.apply(ALICE, [operation], f"batch {text}")
        self.engine._indexer.index_now([change.memory_id])
        return change.memory_id

    def found(self, query: str, scope: Scope = ALICE) -> list[str]:
        return [memory.text for memory, _ in self.finder.search(scope, query, limit=10, threshold=0.05)]


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.engine.close()


def turn(text: str, by: str = "", *, day: float = 0) -> Statement:
    return Statement(text, name=by, occurred_at_us=NOW_US - round(day * DAY_US), kind="episode")


def test_who_is_asked_about_comes_before_who_is_spoken_to(house):
    house.said(
        turn("I adopted a cat", "Ann", day=9),
        turn("I adopted a dog", "Bo", day=5),
        turn("Nice, Ann!", "Bo", day=1),
    )
    assert house.found("What did Ann adopt?")[0] == "I adopted a cat"
    assert house.found("What did Bo adopt?")[0] == "I adopted a dog"


def test_an_answer_is_found_by_the_question_before_it(house):
    house.said(turn("Where did you grow up?", "Ann"), turn("In Turin, near the river.", "Bo"))
    assert "In Turin, near the river." in house.found("Where did Bo grow up?")
    recalled = house.finder.recall(ALICE, "Where did Bo grow up?", budget=900)
    assert "Bo: In Turin" in recalled.block


def test_a_neighbour_is_never_somebody_elses(house):
    house.said(turn("Where did you grow up?"))
    house.said(turn("In Turin, near the river."), scope=BOB)
    assert house.found("Where did she grow up?") == ["Where did you grow up?"]


def test_what_was_said_at_the_time_that_is_asked_about_comes_first(house):
    house.said(turn("I went for a walk", day=400), turn("I went for a walk again", day=1))
    assert house.found("What about my walk in October 2022?")[0] == "I went for a walk"
    assert house.found("What about my walk yesterday?")[0] == "I went for a walk again"


def test_a_time_finds_what_no_word_finds(house):
    house.said(
        *(turn(f"tea number {number}", day=100 + number) for number in range(70)),
        turn("the roof leaks", day=1),
    )
    recalled = house.finder.recall(ALICE, "tea yesterday", budget=900)
    (leak,) = [
        one for one, fate in recalled.fates.items() if house.ledger.get(ALICE, one).text == "the roof leaks"
    ]
    assert recalled.fates[leak] == "below_gate"


def test_what_no_longer_holds_answers_only_the_past(house):
    old = house.learnt("Alice lives in Bern", days_ago=900, until=NOW_US - 300 * DAY_US)
    new = house.learnt("Alice lives in Rome", days_ago=300)
    now = house.finder.recall(ALICE, "Where does Alice live?", budget=900)
    assert (now.fates[old], now.fates[new]) == ("not_current", "chosen")
    assert house.found("Alice lives where?") == ["Alice lives in Rome"]
    then = house.finder.recall(ALICE, "Where did Alice live in 2022?", budget=900)
    assert old in then.ids
    used_to = house.finder.recall(ALICE, "Where Alice lives, formerly?", budget=900)
    assert set(used_to.ids) == {old, new}


def test_an_edge_leads_to_what_shares_no_word_with_the_question(house):
    house.learnt("Clara is the sister of Alice", about=("Clara", "sister of", "Alice"))
    far = house.learnt("Clara studies law", about=("Clara", "studies", "law"))
    house.said(*(Statement(f"what of Alice's sister, number {number}") for number in range(130)))
    recalled = house.finder.recall(ALICE, "What of Alice's sister?", budget=900)
    assert far in recalled.fates


def test_a_calibrated_gate_goes_before_the_embedders_own(house):
    house.said(turn("green tea and a long walk along the river"))
    asked = "tea river boats engines harbours sails"
    assert house.finder.recall(ALICE, asked, budget=900).status == "injected"
    with house.ledger._connections.write() as connection:
        connection.execute("INSERT INTO gates VALUES (?, 0.9, 1000, 1)", (Moody.fingerprint,))
    assert house.finder.recall(ALICE, asked, budget=900).reason == "nothing_relevant"


def test_a_bug_in_an_arm_is_a_status(house, monkeypatch, caplog):
    house.said(turn("green tea"))

    def broken(*_: object) -> list[SearchHit]:
        raise ZeroDivisionError

    monkeypatch.setattr(house.ledger, "around", broken)
    assert house.finder.recall(ALICE, "tea", budget=900).reason == "memory_error"
    assert "memory_recall_failed" in caplog.text
