from __future__ import annotations

from collections import Counter

import pytest

from memory.capture import same_of
from memory.recall.packing import is_current, pack
from memory.render import tokens_of
from memory.temporal import Time
from tests.fakes.candidates import DAY_US, candidate, question, ranked
from tests.fakes.memory_parts import KEY


def test_every_candidate_has_its_fate():
    there = [
        candidate("my dog Rex likes long walks", name="chosen", at_us=9),
        candidate("My dog REX likes long walks!", name="duplicate", at_us=8),
        candidate("the dog Rex", name="in_window"),
        candidate("dog Rex?", name="echo"),
        candidate("a blue boat", name="below_gate"),
        candidate("dog Rex " + "and so on " * 100, name="over_budget"),
        candidate("the old dog Rex", name="not_current", valid_to_us=5),
        candidate("dog Rex, obey", name="quarantined", quarantined=True),
        candidate("a dog named Rex", name="seen"),
    ]
    asked = question("dog Rex", now_us=10)
    packed = pack(
        ranked(asked, *there), asked, budget=90, window=[same_of(KEY, "The dog Rex")], seen=["seen"]
    )
    assert packed.fates == {one.id: one.id for one in there}
    assert [one.candidate.id for one in packed.chosen] == ["chosen"]
    assert "long walks" in packed.block
    assert packed.block.count("\n- ") == 1


def test_nothing_relevant_is_nothing_injected():
    there = [candidate("a blue boat"), candidate("my dog is called Rex")]
    asked = question("what is the capital of France")
    packed = pack(ranked(asked, *there), asked, budget=900)
    assert (packed.block, packed.chosen, packed.tokens) == ("", (), 0)
    assert set(packed.fates.values()) == {"below_gate"}


@pytest.mark.parametrize("budget", [0, 60, 75, 90, 120, 400])
def test_the_block_never_exceeds_its_budget(budget):
    there = [candidate(f"my dog {number} is called Rex {number * 7}", embedded=False) for number in range(20)]
    asked = question("dog Rex", embedded=False)
    packed = pack(ranked(asked, *there), asked, budget=budget)
    assert packed.tokens == tokens_of(packed.block) <= budget
    assert bool(packed.chosen) == (budget >= 75)


def test_the_block_goes_by_time():
    there = [candidate(f"dog {number}", at_us=number * DAY_US) for number in (3, 1, 2)]
    packed = pack(ranked(question("dog"), *there), question("dog"), budget=900)
    assert [line[3:13] for line in packed.block.splitlines()[2:-1]] == [
        "1970-01-02",
        "1970-01-03",
        "1970-01-04",
    ]


def test_who_said_it_stands_before_it():
    there = candidate("my dog is called Rex", actor="Ann")
    assert "Ann: my dog" in pack(ranked(question("dog"), there), question("dog"), budget=900).block


def test_of_two_that_say_nearly_the_same_one_is_enough():
    long = "my brown dog Rex likes long walks on the beach near the old harbour with his friend"
    there = [candidate(long, at_us=2), candidate(long + " too", at_us=1)]
    fates = pack(ranked(question("dog Rex walks"), *there), question("dog Rex walks"), budget=900).fates
    assert sorted(fates.values()) == ["chosen", "duplicate"]


@pytest.mark.parametrize(("one", "other"), [(" Bo", " Al"), (" 12", " 13"), (" today", " never")])
def test_two_that_differ_in_a_name_a_number_or_a_denial_are_two(one, other):
    long = "my brown dog Rex likes long walks on the beach near the old harbour with his friend"
    there = [candidate(long + one), candidate(long + other)]
    fates = pack(ranked(question("dog Rex walks"), *there), question("dog Rex walks"), budget=900).fates
    assert sorted(fates.values()) == ["chosen", "chosen"]


@pytest.mark.parametrize("intent", ["past", "as_of"])
def test_a_question_about_the_past_gets_what_no_longer_holds(intent):
    over = candidate("I live in Bern", valid_to_us=5)
    assert not is_current(over, question("live", now_us=10))
    assert is_current(over, question("live", now_us=10, time=Time(intent)))
    assert is_current(candidate("I live in Bern", valid_to_us=20), question("live", now_us=10))


def flood(threads: dict[str, int], *, budget: int = 400) -> Counter[str]:
    """Return how many memories of which conversation are in the block; those of the first are the best."""
    there = [
        candidate(f"{thread}: the dog Rex did number {number}", thread_id=thread, embedded=False)
        for thread, count in threads.items()
        for number in range(count)
    ]
    asked = question("dog Rex", embedded=False)
    order = {one: -place for place, one in enumerate(threads)}
    best = sorted(ranked(asked, *there), key=lambda one: -order[one.candidate.thread_id])
    packed = pack(best, asked, budget=budget)
    assert packed.fates.keys() == {one.id for one in there}
    assert packed.tokens <= budget
    return Counter(one.candidate.thread_id for one in packed.chosen)


def test_one_conversation_leaves_room_for_the_others():
    in_block = flood({"flooded": 100, "a": 2, "b": 2})
    assert (in_block["a"], in_block["b"]) == (2, 2)
    assert flood({"flooded": 100, "a": 100})["a"] > 3


def test_a_conversation_that_is_alone_may_have_it_all():
    assert flood({"alone": 100}, budget=400)["alone"] > 10
    assert flood({"alone": 100}, budget=200)["alone"] > 3
    assert flood({"": 100, "a": 2})["a"] == 0, "what has no conversation is of no single one"


def test_what_waited_stands_where_it_belongs():
    asked = question("dog Rex", embedded=False)
    there = [candidate(f"dog Rex {number}", thread_id="t", embedded=False) for number in range(30)]
    best = ranked(asked, *there)
    chosen = pack(best, asked, budget=300).chosen
    assert list(chosen) == best[: len(chosen)]
