"""Puts candidates in order, and says which of them are evidence at all. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from memory.recall.boosts import boosted
from memory.recall.evidence import cosines, coverage, weights_of
from memory.recall.gate import Gate
from memory.recall.neighbours import Nearby, asks, shared
from memory.recall.question import Question
from memory.records import Candidate, Statistics


class Weighed(NamedTuple):
    """A candidate's own evidence, and whether it is enough to say anything."""

    evidence: float
    opens: bool


class Scored(msgspec.Struct, frozen=True):
    """A candidate with what speaks for it."""

    candidate: Candidate
    score: float
    """By which they are ordered: 0 to 1 and a little more."""
    evidence: float
    """Of its own words and meaning, 0 to 1."""
    passes: bool = False
    """The gate lets it through."""


def rank(
    question: Question,
    candidates: Sequence[Candidate],
    statistics: Statistics,
    gate: Gate,
    nearby: Nearby,
) -> list[Scored]:
    """Return the candidates, best first; the newer first where they are equal."""
    weighed = weigh(question, candidates, statistics, gate)
    own = {one: found.evidence for one, found in weighed.items()}
    together = shared(own, frozenset(one.id for one in candidates if asks(one.text)), nearby)
    enough = gate.share * max(together.values(), default=0.0)
    opened = any(found.opens for found in weighed.values())
    scored = [
        Scored(
            candidate=one,
            score=boosted(together[one.id], one, question),
            evidence=own[one.id],
            passes=opened and together[one.id] >= enough,
        )
        for one in candidates
    ]
    return sorted(scored, key=lambda one: (-one.score, -one.candidate.occurred_at_us, one.candidate.id))


def weigh(
    question: Question, candidates: Sequence[Candidate], statistics: Statistics, gate: Gate
) -> dict[str, Weighed]:
    """Return each candidate's own evidence, by its id."""
    weights = weights_of(question, statistics)
    near = cosines(question.vector, candidates, statistics).tolist()
    covered = [coverage(weights, one) for one in candidates]
    return {
        one.id: Weighed(gate.evidence(cosine, share), gate.opens(cosine, share))
        for one, cosine, share in zip(candidates, near, covered, strict=True)
    }
