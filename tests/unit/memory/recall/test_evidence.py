from __future__ import annotations

import numpy as np
import pytest

from memory.embed import unit
from memory.recall.evidence import cosines, coverage, rarity, weights_of
from memory.recall.question import Question
from memory.records import Candidate, Statistics
from memory.sparse import terms
from tests.fakes.candidates import candidate, numbers, question


def test_words_weigh_by_their_rarity_and_together_one():
    there = [candidate(f"green thing number {number}") for number in range(20)] + [candidate("purple thing")]
    (green,), (purple,) = terms("green"), terms("purple")
    assert rarity(green, numbers(*there)) < rarity(purple, numbers(*there))
    weights = weights_of(question("green purple"), numbers(*there))
    assert sum(weights.values()) == pytest.approx(1)
    assert weights[green] < weights[purple]


def test_coverage_is_the_share_of_the_questions_words():
    one = candidate("purple boats, purple boats")
    weights = weights_of(question("purple boats"), numbers(one))
    assert coverage(weights, one) == pytest.approx(1)
    assert coverage(weights, candidate("a boat")) == pytest.approx(0.5)
    assert coverage(weights, candidate("tea")) == 0


def test_a_question_without_words_is_covered_by_nothing():
    assert coverage(weights_of(Question({}, b""), numbers()), candidate("tea")) == 0


def test_the_mean_of_the_scope_is_taken_out():
    def made(name: str, *place: float) -> Candidate:
        vector = unit(np.array(place, dtype=np.float32))
        return Candidate(
            id=name, text=name, terms={}, same=b"", trust="user", occurred_at_us=1, vector=vector
        )

    crowd = [made(f"c{number}", 1, 0, 0) for number in range(200)]
    mine = made("mine", 1, 0.3, 0)
    asked = Question({}, b"", unit(np.array([1, 0.3, 0.05], dtype=np.float32)))
    other, own = cosines(asked.vector, [crowd[0], mine], numbers(*crowd, mine))
    assert own > 0.9
    assert other < 0.3  # its plain cosine is 0.95


def test_a_missing_vector_is_neither_near_nor_far():
    there = [candidate("tea", embedded=False), candidate("tea")]
    assert list(cosines(None, there, numbers(*there))) == [0, 0]
    first, second = cosines(question("tea").vector, there, Statistics(documents=2, length=2, frequencies={}))
    assert first == 0
    assert second == pytest.approx(1)
