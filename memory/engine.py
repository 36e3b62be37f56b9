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

from memory.apply import Asserted, claim_of, id_of, is_sound
from memory.capture import Redact, draft_of, same_of, turns_of
from memory.clock import Clock, SystemClock
from memory.errors import BadMemory, EmbedderAway, IndexAway
from memory.finder import Finder
from memory.given import Statement
from memory.indexer import Indexer
from memory.records import Captured, Change, Draft, Memory, Operation, Recall, Said, Trust, Vector
from memory.reindex import Builder
from memory.scope import Scope
from memory.shelf import Shelf
from memory.store.ledger import Ledger
from memory.verify import is_planted

logger = logging.getLogger(__name__)

MAX_GIVEN = 8000
"""Characters of a text given to `add` or `update`."""
_KEY_BYTES = 32
_TOLD = 64
"""Slices after which it is said how much is left."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What ledger and index do not agree about: ids."""

    memories: int
    points: int
    not_indexed: list[str]
    unwanted: list[str]
    """Points of memories that are not there."""
    without_vector: list[str]
    """Found by their words alone, until the embedder has made one."""


class Engine:
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
        self._embedder = shelf.embedder
        self._key = key
        self._redact = redact
        self._clock = clock or SystemClock()
        self._finder = Finder(ledger, shelf, key=key, redact=redact, clock=self._clock)
        self._builder = Builder(shelf, self._clock)
        self._indexer = Indexer(ledger, shelf, self._clock, build=self._builder.slice)

    def start(self) -> None:
        """Heal what a kill has left between ledger and index, then follow the outbox."""
        self._indexer.start()

    def close(self) -> None:
        """Write everything and let go of the folder."""
        self._indexer.close()
        with contextlib.suppress(IndexAway):
            self._shelf.close()
        self._ledger.close()

    @property
    def fingerprint(self) -> str:
        """Of the embedder that the settings name; another one may answer until its collection is built."""
        return self._embedder.fingerprint

    def wake(self) -> None:
        """Have the index follow the ledger."""
        self._indexer.wake()

    def expire(self, limit: int) -> int:
        """Delete some memories whose time is up; return how many."""
        gone = self._ledger.expire(limit=limit)
        if gone:
            self._indexer.wake()
        return gone

    def backlog(self) -> int:
        """Return how many memories wait to be indexed."""
        return self._ledger.backlog()

    def check(self) -> Difference:
        """Compare ledger and index, and change nothing. Raises IndexAway."""
        serving = self._shelf.serving
        fingerprint = self._embedder.fingerprint if serving is None else serving.kept.fingerprint
        wanted = self._ledger.shown(fingerprint=fingerprint)
        present = set() if serving is None else set(serving.index.ids())
        return Difference(
            memories=len(wanted),
            points=len(present),
            not_indexed=sorted(wanted.keys() - present),
            unwanted=sorted(present - wanted.keys()),
            without_vector=sorted(one for one, embedded in wanted.items() if not embedded),
        )

    def reindex(self) -> None:
        """Have the index built anew for this embedder while it goes on answering; vectors that are known are not made again."""
        self._shelf.begin(lost=self._shelf.serving is None)
        self._builder.hurry()
        self._indexer.wake()

    def reindexing(self) -> dict[str, Any] | None:
        """Return how far that is, in the shape of a pass of the upkeep; None if it is not under way."""
        return self._builder.progress()

    def reindex_now(self, progress: Callable[[int], None]) -> int:
        """Do it before returning, in an engine that was not started; return how many memories there are.

        `progress` is told how many are left. Raises IndexAway, EmbedderAway.
        """
        self.reindex()
        while self._indexer.batch():
            pass
        slices = 0
        while self._shelf.building is not None:
            if slices % _TOLD == 0:
                progress(self._builder.left())
            if not self._builder.slice():
                raise IndexAway("the index is not built to the end", code=self._builder.waits)
            slices += 1
        progress(0)
        while self._builder.slice():
            pass  # what the old one has left
        return len(self._ledger.shown(fingerprint=self._embedder.fingerprint))

    # what people ask for

    def add(
        self,
        scope: Scope,
        statements: Sequence[Statement],
        *,
        metadata: dict[str, Any] | None = None,
        occurred_at_us: int = 0,
        expires_at_us: int = 0,
        actor: str = "",
    ) -> list[tuple[str, str, bool]]:
        """Store each text as it is; return id, text, and whether it is new. Searchable when this returns.

        `occurred_at_us`: when it was said; 0: now. `expires_at_us`: when it is deleted; 0: never.
        """
        said_us = occurred_at_us or self._clock.now_us()
        thread_id = scope.run
        drafts = [
            msgspec.structs.replace(
                draft,
                actor=self._redact(one.name),
                kind=one.kind,
                quarantined=draft.quarantined or is_planted(one.name, one.trust),
                thread_id=thread_id,
                expires_at_us=expires_at_us,
            )
            for one in statements
            for draft in [self._draft(one.text, one.trust, one.occurred_at_us or said_us, metadata or {})]
        ]
        stored = self._ledger.add(scope, drafts, actor=actor)
        self._indexer.index_now([memory_id for memory_id, new in stored if new])
        return [(memory_id, draft.text, new) for (memory_id, new), draft in zip(stored, drafts, strict=True)]

    def apply(
        self, scope: Scope, operations: Sequence[Operation], batch_id: str, *, actor: str = ""
    ) -> list[Change]:
        """Carry out verified operations; return what became of which memory. The same ones again change nothing.

        Operations without evidence are left out. Indexed in the background.
        """
        sound = [operation for operation in operations if is_sound(operation)]
        vectors = self._vectors([operation.text for operation in sound])
        asserted = [
            Asserted(
                claim=claim_of(
                    id_of(scope, operation, self._key), operation, same_of(self._key, operation.text)
                ),
                vector=vector,
            )
            for operation, vector in zip(sound, vectors, strict=True)
        ]
        fingerprint = self._embedder.fingerprint
        changes = self._ledger.apply(scope, asserted, batch=batch_id, fingerprint=fingerprint, actor=actor)
        self._indexer.wake()
        return changes

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
            self._indexer.wake()  # the summaries of a turn go with it
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
        return self._finder.search(scope, query, limit=limit, threshold=threshold)

    # what calls need

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
        return self._finder.recall(scope, query, budget=budget, window=window, seen=seen)

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

    def _vectors(self, texts: Sequence[str]) -> list[Vector | None]:
        """Return each text's vector; None for all of them if the embedder is away."""
        try:
            return [*self._embedder.embed(texts)] if texts else []
        except EmbedderAway as error:
            logger.warning("memory_embedder_away", extra={"reason": error.code, "jobs": len(texts)})
            return [None] * len(texts)

    def _draft(self, text: str, trust: Trust, now_us: int, metadata: dict[str, Any]) -> Draft:
        words = self._redact(text).strip()
        if not words:
            raise BadMemory("a memory needs a text", param="text")
        if len(words) > MAX_GIVEN:
            raise BadMemory(f"a memory's text has at most {MAX_GIVEN} characters", param="text")
        draft = draft_of(words, key=self._key, occurred_at_us=now_us, trust=trust)
        return msgspec.structs.replace(draft, kind="fact", metadata=self._clean(metadata))

    def _clean(self, value: Any) -> Any:  # noqa: ANN401 - metadata is the caller's JSON
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, list):
            return [self._clean(item) for item in value]
        if isinstance(value, dict):
            return {self._redact(key): self._clean(item) for key, item in value.items()}
        return value


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
