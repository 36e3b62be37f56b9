"""Memory at work, blocking: the ledger, the index and the embedder as one. `service` makes it awaitable."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from memory.capture import Redact, cut, draft_of, same_of, turns_of
from memory.clock import Clock, SystemClock
from memory.embed import Embedder
from memory.errors import BadMemory, EmbedderAway, IndexAway
from memory.indexer import Indexer
from memory.recall import Gate, Packed, Question, Scored, pack, rank, rarity
from memory.records import Captured, Draft, Memory, Recall, Said, SearchHit, Statistics, Trust, Vector
from memory.scope import Scope
from memory.sparse import terms
from memory.store.index import Index
from memory.store.ledger import Ledger

logger = logging.getLogger(__name__)

MAX_GIVEN = 8000
"""Characters of a text given to `add` or `update`."""
_ARM = 60
"""Candidates of each arm."""
_EMBEDDED = 400
"""Characters of a question that are embedded: embedding 200 tokens takes as long as ten searches."""
_WORDS_LOOKED_UP = 2000
"""Characters of a question whose words are looked up."""
_KEY_BYTES = 32


class Engine:
    """Safe to call from several threads; every method may block on disk or embedder."""

    def __init__(
        self,
        ledger: Ledger,
        index: Index,
        embedder: Embedder,
        *,
        key: bytes,
        redact: Redact = str,
        clock: Clock | None = None,
    ) -> None:
        self._ledger = ledger
        self._index = index
        self._embedder = embedder
        self._key = key
        self._redact = redact
        self._clock = clock or SystemClock()
        self._gate = Gate(embedder.gate)
        self._indexer = Indexer(ledger, index, embedder, self._clock)

    def start(self) -> None:
        """Heal what a kill has left between ledger and index, then follow the outbox."""
        self._indexer.start()

    def close(self) -> None:
        """Write everything and let go of the folder."""
        self._indexer.close()
        with contextlib.suppress(IndexAway):
            self._index.flush()
        self._index.close()
        self._ledger.close()

    def backlog(self) -> int:
        """Return how many memories wait to be indexed."""
        return self._ledger.backlog()

    # what people ask for

    def add(
        self,
        scope: Scope,
        texts: Sequence[tuple[str, Trust]],
        *,
        metadata: dict[str, Any] | None = None,
        actor: str = "",
    ) -> list[tuple[str, str, bool]]:
        """Store each text as it is; return id, text, and whether it is new. Searchable when this returns."""
        now_us = self._clock.now_us()
        drafts = [self._draft(text, trust, now_us, metadata or {}) for text, trust in texts]
        stored = self._ledger.add(scope, drafts, actor=actor)
        self._indexer.index_now([memory_id for memory_id, new in stored if new])
        return [(memory_id, draft.text, new) for (memory_id, new), draft in zip(stored, drafts, strict=True)]

    def update(
        self,
        scope: Scope,
        memory_id: str,
        text: str | None,
        *,
        metadata: dict[str, Any] | None = None,
        actor: str = "",
    ) -> Memory | None:
        """Change the text, the metadata or both; None if there is no such memory in this scope."""
        draft = None if text is None else self._draft(text, "user", self._clock.now_us(), {})
        clean = None if metadata is None else self._clean(metadata)
        changed = self._ledger.update(scope, memory_id, draft, metadata=clean, actor=actor)
        if changed is not None and draft is not None:
            self._indexer.index_now([memory_id])
        return changed

    def get(self, scope: Scope, memory_id: str) -> Memory | None:
        """Return the memory, if this scope sees it."""
        return self._ledger.get(scope, memory_id)

    def delete(self, scope: Scope, memory_id: str, *, actor: str = "") -> bool:
        """Delete it from ledger and index; False if there is no such memory in this scope."""
        there = self._ledger.delete(scope, memory_id, actor=actor)
        if there:
            self._indexer.index_now([memory_id])
        return there

    def delete_all(self, scope: Scope, *, actor: str = "") -> int:
        """Delete everything this scope sees; return how much it was."""
        count = self._ledger.delete_all(scope, actor=actor)
        self._indexer.wake()
        return count

    @property
    def ledger(self) -> Ledger:
        """What only has to be read."""
        return self._ledger

    def search(self, scope: Scope, query: str, *, limit: int, threshold: float) -> list[tuple[Memory, float]]:
        """Return memories and their scores (0 to 1), best first. Raises IndexAway."""
        question, statistics = self._question(scope, query)
        scored = self._find(scope, question, statistics)
        hits = [SearchHit(one.candidate.id, one.score) for one in scored if one.score >= threshold][:limit]
        found = ((self._ledger.get(scope, hit.id), hit.score) for hit in hits)
        return [(memory, score) for memory, score in found if memory is not None]

    # what calls need

    def recall(self, scope: Scope, query: str, *, budget: int, window: Iterable[str] = ()) -> Recall:
        """Return what to inject for this question; a failure is a status, never an exception.

        `window`: texts the model reads anyway. `budget`: tokens of the whole block.
        """
        try:
            question, statistics = self._question(scope, query)
            if not statistics.documents or (not question.terms and question.vector is None):
                return Recall(status="empty", reason="no_memories" if question.terms else "no_question")
            scored = self._find(scope, question, statistics)
        except IndexAway as error:
            return Recall(status="error", reason=error.code)
        except Exception:
            # the caller's completion must not fail because of a memory
            logger.exception("memory_recall_failed")
            return Recall(status="error", reason="memory_error")
        read = [self._same(text) for text in window]
        packed = pack(scored, question, self._gate, budget=budget, window=read)
        return _recall(packed, away=question.vector is None)

    def capture(self, batch: Sequence[Said]) -> Captured:
        """Store what users said in these calls and was not known; durable when this returns.

        Giving a batch again changes nothing. It is indexed in the background.
        """
        added: list[str] = []
        known = 0
        for said in batch:
            turns = turns_of(said, key=self._key, redact=self._redact)
            if turns:
                new = self._ledger.capture(said.scope, said.thread_id, turns, key=self._key)
                added += new
                known += len(turns) - len(new)
        if added:
            self._indexer.wake()
        return Captured(calls=len(batch), added=tuple(added), known=known)

    def confirm(self, scope: Scope, call_id: str, ids: Collection[str]) -> int:
        """Note that these memories went into this call."""
        return self._ledger.confirm(scope, call_id, ids)

    def _draft(self, text: str, trust: Trust, now_us: int, metadata: dict[str, Any]) -> Draft:
        words = self._redact(text).strip()
        if not words:
            raise BadMemory("a memory needs a text", param="text")
        if len(words) > MAX_GIVEN:
            raise BadMemory(f"a memory's text has at most {MAX_GIVEN} characters", param="text")
        draft = draft_of(words, key=self._key, occurred_at_us=now_us)
        return msgspec.structs.replace(draft, trust=trust, kind="fact", metadata=self._clean(metadata))

    def _clean(self, value: Any) -> Any:  # noqa: ANN401 - metadata is the caller's JSON
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, list):
            return [self._clean(item) for item in value]
        if isinstance(value, dict):
            return {self._redact(key): self._clean(item) for key, item in value.items()}
        return value

    def _question(self, scope: Scope, query: str) -> tuple[Question, Statistics]:
        """Return the question and the scope's numbers; nothing is embedded for a scope without memories."""
        asked = terms(_ends(query, _WORDS_LOOKED_UP))
        statistics = self._ledger.statistics(scope, asked, fingerprint=self._embedder.fingerprint)
        vector = self._vector(query) if statistics.documents else None
        return Question(asked, self._same(query), vector), statistics

    def _same(self, text: str) -> bytes:
        """Return the digest that a memory made of this text has."""
        return same_of(self._key, cut(self._redact(text).strip()))

    def _vector(self, query: str) -> Vector | None:
        text = _ends(query.strip(), _EMBEDDED)
        try:
            return self._embedder.embed([text])[0] if text else None
        except EmbedderAway as error:
            logger.warning("memory_embedder_away", extra={"reason": error.code, "jobs": 0})
            return None

    def _find(self, scope: Scope, question: Question, statistics: Statistics) -> list[Scored]:
        if not statistics.documents:
            return []
        weights = {
            term: rarity(term, statistics) for term in question.terms if term in statistics.frequencies
        }
        hits = self._index.matching(scope, weights, _ARM)
        if question.vector is not None:
            hits += self._index.nearest(scope, question.vector, _ARM)
        ids = {hit.id for hit in hits}
        candidates = self._ledger.candidates(scope, ids, fingerprint=self._embedder.fingerprint)
        return rank(question, candidates, statistics)


def _ends(text: str, most: int) -> str:
    """Return the text, or its beginning and its end: a question stands before or after what it is about."""
    return text if len(text) <= most else f"{text[: most // 2]} {text[-most // 2 :]}"


def _recall(packed: Packed, *, away: bool) -> Recall:
    missing = "embedder_unavailable" if away else ""
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


def key_of(folder: Path, make: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """Return the key of this folder's digests, made at the first start."""
    path = folder / "capture.key"
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    new = folder / "capture.key.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(make(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return path.read_bytes()
