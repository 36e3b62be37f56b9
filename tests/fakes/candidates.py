"""Candidates, questions and a scope's numbers, made of words; vectors are hashed words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from memory.capture import same_of
from memory.embed import HashedWords
from memory.recall.gate import Gate
from memory.recall.neighbours import Nearby
from memory.recall.question import Question
from memory.recall.ranking import Scored, rank
from memory.records import Candidate, Statistics
from memory.sparse import terms
from tests.fakes.memory_parts import KEY

EMBEDDER = HashedWords()
GATE = Gate(EMBEDDER.gate)
DAY_US = 86_400_000_000
NOBODY: Nearby = {}


def candidate(text: str, *, name: str = "", at_us: int = 1, embedded: bool = True, **more: Any) -> Candidate:
    """Return a memory that says `text`."""
    values: Mapping[str, Any] = {"trust": "user", **more}
    return Candidate(
        id=name or text,
        text=text,
        terms=terms(text),
        same=same_of(KEY, text),
        occurred_at_us=at_us,
        vector=EMBEDDER.embed([text])[0] if embedded else None,
        **values,
    )


def question(text: str, *, embedded: bool = True, **more: Any) -> Question:
    """Return a question as it is when nobody in the memories has a name."""
    vector = EMBEDDER.embed([text])[0] if embedded else None
    return Question(terms=terms(text), same=same_of(KEY, text), vector=vector, **more)


def numbers(*candidates: Candidate) -> Statistics:
    """Return the numbers of a scope that holds these and nothing else."""
    vectors = [one.vector for one in candidates if one.vector is not None]
    found = [term for one in candidates for term in one.terms]
    return Statistics(
        documents=len(candidates),
        length=sum(sum(one.terms.values()) for one in candidates),
        frequencies={term: found.count(term) for term in found},
        vectors=len(vectors),
        vector_sum=np.sum(vectors, axis=0, dtype=np.float32) if vectors else None,
    )


def ranked(asked: Question, *candidates: Candidate, nearby: Nearby = NOBODY) -> list[Scored]:
    """Rank candidates that are all there is."""
    return rank(asked, candidates, numbers(*candidates), GATE, nearby)


def order(asked: Question, *candidates: Candidate, nearby: Nearby = NOBODY) -> list[str]:
    """Return the ids, best first."""
    return [one.candidate.id for one in ranked(asked, *candidates, nearby=nearby)]
