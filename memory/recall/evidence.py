"""What speaks for a candidate by itself: the question's words it holds, and how near its meaning is. Pure.

Words count by coverage: the share of the question's words, each by its rarity in the scope. Divided by nothing but
the question itself, a coverage means the same for every question; it also finds as much as BM25 does (on LoCoMo's
development half 79.9 % of the evidence among ten turns against 79.7, November 2026).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from memory.recall.question import Question
from memory.records import Candidate, Statistics, Vector

_STRANGERS = 50
"""Documents a scope is taken to have besides its own: with three memories every word would look common."""
_MEAN_STRANGERS = 20
"""Vectors of zero in every mean: the mean of one vector is that vector, and centred on it nothing is left."""


def rarity(term: int, statistics: Statistics) -> float:
    """Return the weight of a term within this scope (BM25's idf)."""
    found = statistics.frequencies.get(term, 0)
    return math.log(1 + (statistics.documents + _STRANGERS - found + 0.5) / (found + 0.5))


def weights_of(question: Question, statistics: Statistics) -> dict[int, float]:
    """Return the question's terms with their share of it; together they are 1."""
    rare = {term: rarity(term, statistics) for term in question.terms}
    whole = sum(rare.values()) or 1.0
    return {term: weight / whole for term, weight in rare.items()}


def coverage(weights: Mapping[int, float], candidate: Candidate) -> float:
    """Return the share of the question that the candidate's words cover."""
    return sum(weights[term] for term in weights.keys() & candidate.terms.keys())


def cosines(
    query: Vector | None, candidates: Sequence[Candidate], statistics: Statistics
) -> NDArray[np.float32]:
    """Return each candidate's cosine to the query, both seen from the scope's mean; 0 where a vector is missing."""
    result = np.zeros(len(candidates), dtype=np.float32)
    vectors = [one.vector for one in candidates if one.vector is not None]
    there = [place for place, one in enumerate(candidates) if one.vector is not None]
    if query is None or not there:
        return result
    total = statistics.vector_sum
    mean = 0.0 if total is None else total / np.float32(statistics.vectors + _MEAN_STRANGERS)
    asked = query - mean
    rows = np.stack(vectors) - mean
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(asked)
    result[there] = (rows @ asked) / np.where(norms > 0, norms, 1.0)
    return result
