"""Which memories answer a question: ranking, gate and packing over candidates. Pure.

Fusion: half BM25 (divided by the best), half the mean-centred cosine. On LoCoMo this finds 69 % of the evidence
among ten turns where reciprocal rank fusion finds 61 % (all-MiniLM-L6-v2, November 2026).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from memory.records import Candidate, Statistics, Terms, Trust, Vector
from memory.render import block_of, line_of, tokens_of

_K1 = 1.2
_B = 0.75
_STRANGERS = 50
"""Documents a scope is taken to have besides its own: with three memories every word would look common."""
_MEAN_STRANGERS = 20
"""Vectors of zero in every mean: the mean of one vector is that vector, and centred on it nothing is left."""
_DENSE_SHARE = 0.5
_BESIDE_WORDS = 1.5
"""How much steeper the cosine is measured when words are added to it."""
_TRUST: Mapping[Trust, float] = {"user": 1.0, "assistant": 0.85, "tool": 0.7, "document": 0.7}

Fate = Literal["chosen", "below_gate", "duplicate", "echo", "in_window", "over_budget"]


class Gate(msgspec.Struct, frozen=True):
    """What a candidate must reach, whatever its rank: better nothing than noise.

    It passes by its meaning alone, or by meaning and words together: a cosine that proves nothing by itself
    does so beside a shared rare word. Calibrated on LoCoMo's development half: of the evidence among the first
    ten 0.64 pass (0.71 without a gate), and 77 % of questions put to a stranger's memories get nothing.
    """

    dense: float
    """Cosine, mean-centred; depends on the embedder."""
    lexical: float = 0.5
    """Share of the question's words, weighted by rarity, that is enough without any cosine."""

    def lets(self, dense: float, coverage: float) -> bool:
        """Say whether this is evidence at all."""
        together = max(0.0, dense) / (self.dense * _BESIDE_WORDS) + coverage / self.lexical
        return dense >= self.dense or together >= 1


class Question(msgspec.Struct, frozen=True):
    """What is asked: its terms, and its vector if the embedder was there."""

    terms: Terms
    same: bytes
    vector: Vector | None = None


class Scored(msgspec.Struct, frozen=True):
    """A candidate with what speaks for it."""

    candidate: Candidate
    score: float
    dense: float
    coverage: float

    def passes(self, gate: Gate) -> bool:
        """Say whether it is evidence at all."""
        return gate.lets(self.dense, self.coverage)


class Packed(msgspec.Struct, frozen=True):
    """The block, what is in it, and every candidate's fate."""

    block: str
    chosen: tuple[Scored, ...]
    tokens: int
    fates: dict[str, str]


def rarity(term: int, statistics: Statistics) -> float:
    """Return the weight of a term within this scope (BM25's idf)."""
    found = statistics.frequencies.get(term, 0)
    return math.log(1 + (statistics.documents + _STRANGERS - found + 0.5) / (found + 0.5))


def rank(question: Question, candidates: Sequence[Candidate], statistics: Statistics) -> list[Scored]:
    """Return the candidates, best first; the newer first where they are equal."""
    weights = {term: rarity(term, statistics) for term in question.terms}
    all_words = sum(weights.values()) or 1.0
    average = statistics.length / statistics.documents if statistics.documents else 1.0
    lexical = [_bm25(weights, candidate.terms, average) for candidate in candidates]
    best = max(lexical, default=0.0) or 1.0
    dense = _centred(question.vector, candidates, statistics)
    scored = []
    for candidate, words, cosine in zip(candidates, lexical, dense, strict=True):
        covered = sum(weight for term, weight in weights.items() if term in candidate.terms) / all_words
        fused = (1 - _DENSE_SHARE) * (words / best) * min(1.0, covered / 0.5) + _DENSE_SHARE * max(
            0.0, cosine
        )
        scored.append(Scored(candidate, fused * _TRUST[candidate.trust], cosine, covered))
    return sorted(scored, key=lambda one: (-one.score, -one.candidate.occurred_at_us, one.candidate.id))


def pack(
    scored: Sequence[Scored], question: Question, gate: Gate, *, budget: int, window: Iterable[bytes] = ()
) -> Packed:
    """Fill the budget (tokens), best first, and say why each of the others is left out.

    `window`: digests (`same`) of what the model reads anyway. What stands in the block goes by time.
    """
    read = frozenset(window)
    fates: dict[str, str] = {}
    chosen: list[Scored] = []
    lines: dict[str, str] = {}
    said: set[bytes] = set()
    tokens = tokens_of(block_of(["-"]))
    for one in scored:
        candidate = one.candidate
        fate = _unfit(one, question, gate, read, said)
        line = "" if fate else line_of(candidate.text, candidate.occurred_at_us)
        cost = tokens_of(line) + 1
        if not fate and tokens + cost > budget:
            fate = "over_budget"
        if not fate:
            tokens += cost
            said.add(candidate.same)
            chosen.append(one)
            lines[candidate.id] = line
        fates[candidate.id] = fate or "chosen"
    by_time = sorted(chosen, key=lambda one: (one.candidate.occurred_at_us, one.candidate.id))
    block = block_of(lines[one.candidate.id] for one in by_time)
    return Packed(block, tuple(chosen), tokens_of(block), fates)


def _unfit(
    one: Scored, question: Question, gate: Gate, read: frozenset[bytes], said: set[bytes]
) -> Fate | None:
    if not one.passes(gate):
        return "below_gate"
    if one.candidate.same == question.same:
        return "echo"
    if one.candidate.same in read:
        return "in_window"
    if one.candidate.same in said:
        return "duplicate"
    return None


def _bm25(weights: Mapping[int, float], document: Terms, average: float) -> float:
    stretch = _K1 * (1 - _B + _B * sum(document.values()) / (average or 1.0))
    return sum(
        weight * count * (_K1 + 1) / (count + stretch)
        for term, weight in weights.items()
        if (count := document.get(term))
    )


def _centred(
    query: Vector | None, candidates: Sequence[Candidate], statistics: Statistics
) -> Sequence[float]:
    """Return each candidate's cosine to the query, both seen from the scope's mean."""
    placed = [(place, one.vector) for place, one in enumerate(candidates) if one.vector is not None]
    result = [0.0] * len(candidates)
    if query is None or not placed:
        return result
    total = statistics.vector_sum
    mean = 0.0 if total is None else total / np.float32(statistics.vectors + _MEAN_STRANGERS)
    asked = query - mean
    rows = np.stack([vector for _, vector in placed]) - mean
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(asked)
    cosines = (rows @ asked) / np.where(norms > 0, norms, 1.0)
    for (place, _), cosine in zip(placed, cosines.tolist(), strict=True):
        result[place] = cosine
    return result
