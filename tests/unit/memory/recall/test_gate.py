from __future__ import annotations

import numpy as np
import pytest

from memory.embed import unit
from memory.recall.gate import MIN_PAIRS, Gate, calibrated
from memory.records import Vector


@pytest.mark.parametrize(("dense", "covered"), [(0.4, 0), (0, 0.5), (0.25, 0.25), (0.9, 0.9)])
def test_words_meaning_or_both_open_it(dense, covered):
    assert Gate(dense=0.4).opens(dense, covered)


@pytest.mark.parametrize(("dense", "covered"), [(0.39, 0), (0, 0.4), (0.2, 0.2), (-0.9, 0.4)])
def test_what_is_neither_does_not(dense, covered):
    assert not Gate(dense=0.4).opens(dense, covered)


def test_evidence_is_on_one_scale_for_every_embedder():
    assert Gate(dense=0.3).evidence(0.3, 0) == Gate(dense=0.6).evidence(0.6, 0)


def _pairs(count: int, nearness: float) -> list[tuple[Vector, Vector]]:
    chance = np.random.default_rng(7)
    pairs = []
    for _ in range(count):
        one, other = (unit(chance.normal(size=384).astype(np.float32)) for _ in range(2))
        pairs.append((one, unit(nearness * one + (1 - nearness) * other)))
    return pairs


def test_an_embedder_that_brings_all_near_each_other_needs_more():
    far, near = calibrated(_pairs(300, 0.1)), calibrated(_pairs(300, 0.25))
    assert far is not None
    assert near is not None
    assert 0.2 <= far < near <= 0.9


def test_a_few_pairs_say_nothing():
    assert calibrated(_pairs(MIN_PAIRS - 1, 0.1)) is None
