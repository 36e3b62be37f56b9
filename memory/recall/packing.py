"""Fills the budget of a call, and says of every candidate why it is in or out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import msgspec
import numpy as np

from memory.facets import facets_of
from memory.recall.question import Question
from memory.recall.ranking import Scored
from memory.records import Candidate, Vector
from memory.render import block_of, line_of, tokens_of

_NEARLY_THE_SAME = 0.95
"""Cosine of two memories of which one says it all."""

_OF_A_CONVERSATION = 0.5
"""Share of the budget beyond which a conversation waits until all others have had their say: what was told in one of
them a hundred times is no truer for it."""

Fate = Literal[
    "chosen",
    "below_gate",
    "duplicate",
    "echo",
    "in_window",
    "not_current",
    "over_budget",
    "quarantined",
    "seen",
]


class Packed(msgspec.Struct, frozen=True):
    """The block, what is in it, and every candidate's fate."""

    block: str
    chosen: tuple[Scored, ...]
    tokens: int
    fates: dict[str, str]


class _Read:
    """What the model has before it already."""

    def __init__(self, window: Iterable[bytes], seen: Collection[str]) -> None:
        self._window = frozenset(window)
        self._seen = seen
        self._said: set[bytes] = set()
        self._meant: Vector | None = None
        self._texts: list[str] = []
        """Of the rows of `_meant`."""

    def add(self, candidate: Candidate) -> None:
        self._said.add(candidate.same)
        if candidate.vector is not None:
            self._texts.append(candidate.text)
            rows = candidate.vector[np.newaxis]
            self._meant = rows if self._meant is None else np.concatenate((self._meant, rows))

    def holds(self, candidate: Candidate) -> Fate | None:
        if candidate.id in self._seen:
            return "seen"
        if candidate.same in self._window:
            return "in_window"
        if candidate.same in self._said:
            return "duplicate"
        if candidate.vector is None or self._meant is None:
            return None
        return "duplicate" if self._told(candidate.text, self._meant @ candidate.vector) else None

    def _told(self, text: str, cosines: Vector) -> bool:
        """Say whether something near enough has the same numbers, names and negation: flight AB12 is not AB13."""
        near = np.flatnonzero(cosines >= _NEARLY_THE_SAME)
        return len(near) > 0 and any(facets_of(text) == facets_of(self._texts[one]) for one in near)


def is_current(candidate: Candidate, question: Question) -> bool:
    """Say whether the memory may be spoken of as it is: it holds now, or the question looks elsewhere."""
    if question.time.looks_back or not question.now_us:
        return True
    return candidate.valid_from_us <= question.now_us and not 0 < candidate.valid_to_us <= question.now_us


def pack(
    scored: Sequence[Scored],
    question: Question,
    *,
    budget: int,
    window: Iterable[bytes] = (),
    seen: Collection[str] = (),
) -> Packed:
    """Fill the budget (tokens), best first, and say why each of the others is left out.

    `window`: digests (`same`) of what the model reads anyway; `seen`: ids of what it was shown. What stands in the
    block goes by time.
    """
    filling = _Filling(question, budget, _Read(window, seen))
    waiting = [one for one in scored if not filling.take(one, share=_OF_A_CONVERSATION)]
    for one in waiting:
        filling.take(one, share=1.0)
    chosen = tuple(one for one in scored if one.candidate.id in filling.lines)
    by_time = sorted(
        chosen, key=lambda one: (one.candidate.occurred_at_us, one.candidate.seq, one.candidate.id)
    )
    block = block_of(filling.lines[one.candidate.id] for one in by_time)
    return Packed(block, chosen, tokens_of(block), filling.fates)


class _Filling:
    """The block as it fills."""

    def __init__(self, question: Question, budget: int, read: _Read) -> None:
        self.lines: dict[str, str] = {}
        self.fates: dict[str, str] = {}
        self._question = question
        self._budget = budget
        self._read = read
        self._tokens = tokens_of(block_of(["-"]))
        self._told: Counter[str] = Counter()
        """Tokens of each conversation."""

    def take(self, one: Scored, *, share: float) -> bool:
        """Take the candidate, or note why not; False if its conversation has had its share."""
        candidate = one.candidate
        fate = _unfit(one, self._question) or self._read.holds(candidate)
        line = "" if fate else line_of(said(candidate), candidate.occurred_at_us)
        cost = tokens_of(line) + 1
        if not fate and self._tokens + cost > self._budget:
            fate = "over_budget"
        if fate:
            self.fates[candidate.id] = fate
            return True
        if candidate.thread_id and self._told[candidate.thread_id] + cost > share * self._budget:
            return False
        self._told[candidate.thread_id] += cost
        self._tokens += cost
        self._read.add(candidate)
        self.lines[candidate.id] = line
        self.fates[candidate.id] = "chosen"
        return True


def said(candidate: Candidate) -> str:
    """Return the text with who said it, if that has a name."""
    return f"{candidate.actor}: {candidate.text}" if candidate.actor else candidate.text


def _unfit(one: Scored, question: Question) -> Fate | None:
    if one.candidate.quarantined:
        return "quarantined"
    if not one.passes:
        return "below_gate"
    if not is_current(one.candidate, question):
        return "not_current"
    return "echo" if one.candidate.same == question.same else None
