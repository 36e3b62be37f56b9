"""How memories are found: the arms of a search, ranking, and what a call is given."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping

from memory.capture import Redact, cut, same_of
from memory.clock import Clock, SystemClock
from memory.embed import Embedder
from memory.errors import EmbedderAway, IndexAway, LedgerAway
from memory.recall.evidence import rarity
from memory.recall.gate import Gate
from memory.recall.packing import Packed, is_current, pack
from memory.recall.question import Question, asked, names_in
from memory.recall.ranking import Scored, rank, weigh
from memory.records import Candidate, Memory, Moment, Recall, Statistics, Vector
from memory.scope import Scope
from memory.shelf import Opened, Shelf
from memory.store.ledger import Ledger
from memory.temporal import Time, time_of

logger = logging.getLogger(__name__)

_ARM = 60
"""Candidates of each of the arms that search words and vectors."""
_SMALL_ARM = 40
"""And of those that search entities and time."""
_LATEST = 400
"""Memories that are gone through, the latest first, as long as the collection has not all of them."""
_NEVER_US = 1 << 62
_WIDENED = 40
"""So many of the best candidates bring their neighbours."""
_EMBEDDED = 400
"""Characters of a question that are embedded: embedding 200 tokens takes as long as ten searches."""
_WORDS_LOOKED_UP = 2000
"""Characters of a question whose words are looked up."""
_DAY_US = 86_400_000_000
_WIDEST_SEARCHED_US = 100 * _DAY_US
"""A longer time holds too much for an arm of its own; it counts in ranking."""
_TOLD_LATER_US = 7 * _DAY_US
_EVER = Moment(superseded=True)
"""What no longer holds is looked at too, so that it can be said why it was left out."""


class Finder:
    """Safe to call from several threads; every method may block on disk or embedder."""

    def __init__(
        self,
        ledger: Ledger,
        shelf: Shelf,
        *,
        key: bytes,
        redact: Redact = str,
        clock: Clock | None = None,
    ) -> None:
        self._ledger = ledger
        self._shelf = shelf
        self._key = key
        self._redact = redact
        self._clock = clock or SystemClock()

    def search(self, scope: Scope, query: str, *, limit: int, threshold: float) -> list[tuple[Memory, float]]:
        """Return memories and their scores (0 to 1), best first. Raises IndexAway."""
        _, question, _, scored = self._asked(scope, query)
        there = [one for one in scored if one.score >= threshold and is_current(one.candidate, question)]
        found = ((self._ledger.get(scope, one.candidate.id), min(1.0, one.score)) for one in there[:limit])
        return [(memory, score) for memory, score in found if memory is not None]

    def recall(
        self,
        scope: Scope,
        query: str,
        *,
        budget: int,
        window: Iterable[str] = (),
        seen: Collection[str] = (),
    ) -> Recall:
        """Return what to inject for this question; a failure is a status, never an exception.

        `window`: texts the model reads anyway. `seen`: ids it was shown before. `budget`: tokens of the whole block.
        """
        try:
            opened, question, statistics, scored = self._asked(scope, query)
            if not statistics.documents or (not question.terms and question.vector is None):
                return Recall(status="empty", reason="no_memories" if question.terms else "no_question")
        except (IndexAway, LedgerAway) as error:
            return Recall(status="error", reason=error.code)
        except Exception:
            # the caller's completion must not fail because of a memory
            logger.exception("memory_recall_failed")
            return Recall(status="error", reason="memory_error")
        read = [self._same(text) for text in window]
        packed = pack(scored, question, budget=budget, window=read, seen=seen)
        return _recall(packed, away=question.vector is None, whole=opened.whole)

    def _asked(self, scope: Scope, query: str) -> tuple[Opened, Question, Statistics, list[Scored]]:
        """Ask the collection that answers; once more, if another one has taken its place meanwhile."""
        opened = self._shelf.answering
        try:
            return opened, *self._ranked(scope, query, opened)
        except IndexAway:
            if not self._shelf.moved(opened):
                raise
        opened = self._shelf.answering
        return opened, *self._ranked(scope, query, opened)

    def _ranked(self, scope: Scope, query: str, opened: Opened) -> tuple[Question, Statistics, list[Scored]]:
        question, statistics = self._question(scope, query, opened.embedder)
        return question, statistics, self._find(scope, question, statistics, opened)

    def _question(self, scope: Scope, query: str, embedder: Embedder) -> tuple[Question, Statistics]:
        """Return the question and the scope's numbers; nothing is embedded for a scope without memories."""
        about = asked(_ends(query.strip(), _WORDS_LOOKED_UP), self._ledger.speakers(scope))
        statistics = self._ledger.statistics(scope, about.terms, fingerprint=embedder.fingerprint)
        if not statistics.documents:
            return Question(about.terms, self._same(query)), statistics
        now_us = self._clock.now_us()
        question = Question(
            terms=about.terms,
            same=self._same(query),
            vector=_vector(embedder, about.text),
            speakers=about.speakers,
            time=time_of(_ends(query, _EMBEDDED), now_us),
            now_us=now_us,
            linked=self._linked(scope, _ends(query, _EMBEDDED)),
        )
        return question, statistics

    def _linked(self, scope: Scope, query: str) -> Mapping[str, int]:
        names = self._ledger.named(scope, names_in(query))
        return dict(self._ledger.about(scope, names, hops=2, limit=_SMALL_ARM, moment=_EVER)) if names else {}

    def _same(self, text: str) -> bytes:
        """Return the digest that a memory made of this text has."""
        return same_of(self._key, cut(self._redact(text).strip()))

    def _find(self, scope: Scope, question: Question, statistics: Statistics, opened: Opened) -> list[Scored]:
        """Ask every arm, let the best bring their neighbours, and put all of them in order."""
        if not statistics.documents:
            return []
        fingerprint = opened.embedder.fingerprint
        found = self._candidates(scope, self._arms(scope, question, statistics, opened), fingerprint)
        gate = Gate(self._ledger.gate(fingerprint) or opened.embedder.gate)
        own = weigh(question, found, statistics, gate)
        best = sorted(own, key=own.__getitem__, reverse=True)[:_WIDENED]
        nearby = self._ledger.around(scope, best)
        further = {other for beside in nearby.values() for _, other in beside} - own.keys()
        found += self._candidates(scope, further, fingerprint)
        return rank(question, found, statistics, gate, nearby)

    def _arms(self, scope: Scope, question: Question, statistics: Statistics, opened: Opened) -> set[str]:
        weights = {
            term: rarity(term, statistics) for term in question.terms if term in statistics.frequencies
        }
        hits = opened.index.matching(scope, weights, _ARM)
        if question.vector is not None:
            hits += opened.index.nearest(scope, question.vector, _ARM)
        latest = [] if opened.whole else self._ledger.dated(scope, 0, _NEVER_US, limit=_LATEST)
        return (
            {hit.id for hit in hits} | {*latest} | question.linked.keys() | self._dated(scope, question.time)
        )

    def _dated(self, scope: Scope, time: Time) -> set[str]:
        found: set[str] = set()
        for window in time.windows:
            if window.end_us - window.start_us <= _WIDEST_SEARCHED_US:
                end_us = window.end_us + _TOLD_LATER_US
                found.update(self._ledger.dated(scope, window.start_us, end_us, limit=_SMALL_ARM))
        return found

    def _candidates(self, scope: Scope, ids: Collection[str], fingerprint: str) -> list[Candidate]:
        if not ids:
            return []
        return self._ledger.candidates(scope, ids, fingerprint=fingerprint, moment=_EVER)


def _vector(embedder: Embedder, query: str) -> Vector | None:
    text = _ends(query, _EMBEDDED)
    try:
        return embedder.embed([text])[0] if text else None
    except EmbedderAway as error:
        logger.warning("memory_embedder_away", extra={"reason": error.code, "jobs": 0})
        return None


def _ends(text: str, most: int) -> str:
    """Return the text, or its beginning and its end: a question stands before or after what it is about."""
    return text if len(text) <= most else f"{text[: most // 2]} {text[-most // 2 :]}"


def _recall(packed: Packed, *, away: bool, whole: bool) -> Recall:
    missing = "embedder_unavailable" if away else "" if whole else "index_incomplete"
    if not packed.chosen:
        return Recall(status="empty", reason=missing or "nothing_relevant", fates=packed.fates)
    return Recall(
        status="injected",
        reason=missing,
        block=packed.block,
        ids=tuple(one.candidate.id for one in packed.chosen),
        scores=tuple(round(one.score, 4) for one in packed.chosen),
        tokens=packed.tokens,
        fates=packed.fates,
    )
