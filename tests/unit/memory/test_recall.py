from __future__ import annotations

import numpy as np
import pytest

from memory.capture import same_of
from memory.embed import HashedWords, unit
from memory.recall import Gate, Question, pack, rank, rarity
from memory.records import Candidate, Statistics, Trust
from memory.render import tokens_of
from memory.sparse import terms
from tests.fakes.memory_parts import KEY

EMBEDDER = HashedWords()
GATE = Gate(0.45)
DAY_US = 86_400_000_000


def candidate(
    text: str, *, name: str = "", trust: Trust = "user", at_us: int = 1, embedded: bool = True
) -> Candidate:
    vector = EMBEDDER.embed([text])[0] if embedded else None
    return Candidate(
        id=name or text,
        text=text,
        terms=terms(text),
        same=same_of(KEY, text),
        trust=trust,
        occurred_at_us=at_us,
        vector=vector,
    )


def question(text: str, *, embedded: bool = True) -> Question:
    return Question(terms(text), same_of(KEY, text), EMBEDDER.embed([text])[0] if embedded else None)


def numbers(*candidates: Candidate) -> Statistics:
    vectors = [one.vector for one in candidates if one.vector is not None]
    found = [term for one in candidates for term in one.terms]
    return Statistics(
        documents=len(candidates),
        length=sum(sum(one.terms.values()) for one in candidates),
        frequencies={term: found.count(term) for term in found},
        vectors=len(vectors),
        vector_sum=np.sum(vectors, axis=0, dtype=np.float32) if vectors else None,
    )


def order(asked: Question, *candidates: Candidate) -> list[str]:
    return [one.candidate.id for one in rank(asked, candidates, numbers(*candidates))]


def test_what_answers_comes_before_what_does_not():
    rex, tea, boat = candidate("my dog is called Rex"), candidate("I drink tea"), candidate("a blue boat")
    assert order(question("how is my dog called?"), tea, rex, boat)[0] == rex.id


def test_a_rare_word_weighs_more_than_a_common_one():
    common = [candidate(f"green thing number {number}") for number in range(20)]
    rare = candidate("purple thing")
    assert order(question("green purple", embedded=False), *common, rare)[0] == rare.id
    (green,), (purple,) = terms("green"), terms("purple")
    assert rarity(green, numbers(*common, rare)) < rarity(purple, numbers(*common, rare))


def test_either_arm_alone_is_enough():
    lexical = candidate("my dog is called Rex", embedded=False)
    assert rank(question("dog called Rex"), [lexical], numbers(lexical))[0].passes(GATE)
    near = candidate("quite other words", embedded=True)
    asked = Question({}, b"", near.vector)
    assert rank(asked, [near], numbers(near))[0].passes(GATE)


def test_the_mean_of_the_scope_is_taken_out():
    def made(name: str, *numbers_: float) -> Candidate:
        one = candidate(name)
        return Candidate(
            id=name, text=name, terms={}, same=one.same, trust="user", occurred_at_us=1,
            vector=unit(np.array(numbers_, dtype=np.float32)),
        )  # fmt: skip

    crowd = [made(f"c{number}", 1, 0, 0) for number in range(200)]
    mine = made("mine", 1, 0.3, 0)
    asked = Question({}, b"", unit(np.array([1, 0.3, 0.05], dtype=np.float32)))
    scored = rank(asked, [crowd[0], mine], numbers(*crowd, mine))
    assert scored[0].candidate.id == "mine"
    assert scored[0].dense > 0.9
    assert scored[1].dense < 0.3  # its plain cosine is 0.95


def test_the_users_own_words_come_before_the_assistants():
    mine = candidate("my dog is called Rex", name="mine")
    its = candidate("my dog is called Rex", name="its", trust="assistant", at_us=2)
    assert order(question("dog"), its, mine) == ["mine", "its"]


def test_of_equals_the_newer_comes_first():
    old = candidate("my dog is called Rex", name="old", at_us=1)
    new = candidate("my dog is called Rex", name="new", at_us=2)
    assert order(question("dog"), old, new) == ["new", "old"]


def test_without_vectors_words_decide():
    one = candidate("tea", embedded=False)
    scored = rank(question("tea", embedded=False), [one], Statistics(documents=1, length=1, frequencies={}))
    assert scored[0].dense == 0
    assert rank(question("tea"), [], numbers()) == []


def test_every_candidate_has_its_fate():
    there = [
        candidate("my dog Rex likes long walks", name="chosen", at_us=9),
        candidate("My dog REX likes long walks!", name="duplicate", at_us=8),
        candidate("the dog Rex", name="in_window"),
        candidate("dog Rex?", name="echo"),
        candidate("a blue boat", name="below_gate"),
        candidate("dog Rex " + "and so on " * 100, name="over_budget"),
    ]
    asked = question("dog Rex")
    scored = rank(asked, there, numbers(*there))
    packed = pack(scored, asked, GATE, budget=90, window=[same_of(KEY, "The dog Rex")])
    assert packed.fates == {one.id: one.id for one in there}
    assert [one.candidate.id for one in packed.chosen] == ["chosen"]
    assert "long walks" in packed.block
    assert packed.block.count("\n- ") == 1


def test_nothing_relevant_is_nothing_injected():
    there = [candidate("a blue boat"), candidate("my dog is called Rex")]
    asked = question("what is the capital of France")
    packed = pack(rank(asked, there, numbers(*there)), asked, GATE, budget=900)
    assert (packed.block, packed.chosen, packed.tokens) == ("", (), 0)
    assert set(packed.fates.values()) == {"below_gate"}


@pytest.mark.parametrize("budget", [0, 60, 75, 90, 120, 400])
def test_the_block_never_exceeds_its_budget(budget):
    there = [candidate(f"my dog number {number} is called Rex") for number in range(20)]
    asked = question("dog Rex")
    packed = pack(rank(asked, there, numbers(*there)), asked, GATE, budget=budget)
    assert packed.tokens == tokens_of(packed.block) <= budget
    assert bool(packed.chosen) == (budget >= 75)


def test_the_block_goes_by_time():
    there = [candidate(f"dog {number}", at_us=number * DAY_US) for number in (3, 1, 2)]
    packed = pack(rank(question("dog"), there, numbers(*there)), question("dog"), GATE, budget=900)
    assert [line[3:13] for line in packed.block.splitlines()[2:-1]] == [
        "1970-01-02",
        "1970-01-03",
        "1970-01-04",
    ]
