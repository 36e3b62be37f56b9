"""What speaks for a candidate beside what it says: who said it, when, how often. Bounded, so that none decides alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from memory.recall.neighbours import asks
from memory.recall.question import Question
from memory.records import Candidate, Trust

_SPEAKER = 0.1
_TIME = 0.2
_ASKING = 0.1
_LINKED = 0.1
"""For what mentions whom the question names; half of it for what an edge connects with them."""
_TRUST: Mapping[Trust, float] = {"user": 1.0, "assistant": 0.85, "tool": 0.7, "document": 0.7}
_HALF_LIFE_US: Mapping[str, int] = {"event": 180 * 86_400_000_000, "plan": 90 * 86_400_000_000}
"""Kinds of which the recent is asked for more often; what somebody likes does not age."""
_RECENCY = 0.1
_PROOF = 0.05


def boosted(score: float, candidate: Candidate, question: Question) -> float:
    """Return the score with what is known about the candidate; at least 0."""
    score *= _TRUST[candidate.trust] * _recency(candidate, question.now_us) * _proof(candidate.proof_count)
    if not question.time.windows:  # who asks about a time wants what was said then, however old
        score *= candidate.weight
    score += _TIME * _nearness(candidate, question)
    if candidate.actor in question.speakers:
        score += _SPEAKER
    if hops := question.linked.get(candidate.id):
        score += _LINKED / hops
    if asks(candidate.text):
        score -= _ASKING
    return max(0.0, score)


def _nearness(candidate: Candidate, question: Question) -> float:
    near = question.time.nearness(candidate.occurred_at_us)
    if near < 1 and candidate.valid_to_us:
        held = any(
            candidate.valid_from_us < window.end_us and candidate.valid_to_us > window.start_us
            for window in question.time.windows
        )
        return 1.0 if held else near
    return near


def _recency(candidate: Candidate, now_us: int) -> float:
    half_life = _HALF_LIFE_US.get(candidate.kind)
    if half_life is None:
        return 1.0
    fresh: float = 0.5 ** (max(0, now_us - candidate.occurred_at_us) / half_life)
    return 1 + _RECENCY * (fresh - 0.5)


def _proof(count: int) -> float:
    return 1 + _PROOF * min(count - 1, 4) / 4
