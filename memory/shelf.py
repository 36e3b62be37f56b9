"""The collections of the index that are open: the one that answers, and the one that is to take its place.

What the ledger says of them decides (`store/sql_collections.py`), here as in any other hub over the same ledger.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from memory.clock import Clock, SystemClock
from memory.embed import Embedder
from memory.errors import EmbedderAway, IndexAway
from memory.records import Vector
from memory.store.index import Index, Indexes
from memory.store.sql_collections import Kept, SqlCollections

Former = Callable[[str], Embedder]
"""Returns the embedder of a fingerprint that the settings do not name any more. Raises EmbedderAway."""


class Opened(msgspec.Struct, frozen=True):
    """A collection at work."""

    kept: Kept
    index: Index
    embedder: Embedder

    @property
    def whole(self) -> bool:
        """Whether it has every memory, but for those that wait in the outbox."""
        return self.kept.state == "serving"


class Gone:
    """An embedder that nobody can make any more. What it embedded is found by its words."""

    gate = 0.35

    def __init__(self, fingerprint: str, dimensions: int) -> None:
        self.fingerprint = fingerprint
        self.dimensions = dimensions

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Raise EmbedderAway."""
        del texts
        raise EmbedderAway(f"the settings do not tell how to reach {self.fingerprint}", code="embedder_gone")


def nobody(fingerprint: str) -> Embedder:
    """Know no former embedder."""
    raise EmbedderAway(f"nobody knows {fingerprint}")


class Shelf:
    """Safe to read from several threads. `embedder`: by which memories are to be found."""

    def __init__(
        self,
        store: SqlCollections,
        indexes: Indexes,
        embedder: Embedder,
        *,
        former: Former = nobody,
        clock: Clock | None = None,
    ) -> None:
        """Open what there is. Raises IndexAway, LedgerAway."""
        self.store = store
        self.embedder = embedder
        self.serving: Opened | None = None
        self.building: Opened | None = None
        self.writing = threading.Lock()
        """Held from reading in the ledger what a memory is until the collections know it."""
        self._indexes = indexes
        self._former = former
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        store.adopt(embedder.fingerprint, embedder.dimensions, self._clock.now_us())
        self.refresh()

    @property
    def answering(self) -> Opened:
        """What a search goes by. Raises IndexAway."""
        found = self.serving or self.building
        if found is None:
            raise IndexAway("the index is lost, and has to be built anew")
        return found

    @property
    def told(self) -> list[Opened]:
        """Return what must know of every change, first the one that stays."""
        return [one for one in (self.building, self.serving) if one is not None]

    def begin(self, *, lost: bool = False) -> None:
        """Have a collection for today's embedder built, if none is yet; `lost`: the serving one answers no more."""
        name = next((row.name for row in self.store.rows() if lost and row.state == "serving"), "")
        self.store.begin(self.embedder.fingerprint, self.embedder.dimensions, self._clock.now_us(), lost=name)
        self.refresh()

    def moved(self, opened: Opened) -> bool:
        """Say whether another collection answers now than the one that failed."""
        if self.store.shared:
            self.refresh()
        return self.answering.index is not opened.index

    def refresh(self) -> None:
        """Go by what the ledger says now. Raises IndexAway, LedgerAway."""
        with self._lock:
            rows = {row.state: row for row in self.store.rows()}
            before = self.told
            self.serving, self.building = (
                self._serving(rows.get("serving")),
                self._building(rows.get("building")),
            )
            now = [one.index for one in self.told]
        for one in before:
            if one.index not in now:
                one.index.close()

    def forget(self, name: str) -> None:
        """Take away a collection that is not open. Raises IndexAway."""
        self._indexes.forget(name)

    def close(self) -> None:
        """Write everything and let go of all of it."""
        with contextlib.ExitStack() as closing:
            closing.callback(self._indexes.close)
            for one in self.told:
                closing.callback(one.index.close)
                closing.callback(one.index.flush)

    def _serving(self, kept: Kept | None) -> Opened | None:
        if kept is None:
            return None
        index = self._at_hand(kept) or self._indexes.open(kept.name, kept.dimensions)
        if index is None and not self.store.settled(0, 1):
            index = self._indexes.make(kept.name, kept.dimensions)  # nothing is lost that never was
        return None if index is None else Opened(kept, index, self._embedder(kept))

    def _building(self, kept: Kept | None) -> Opened | None:
        if kept is None:
            return None
        index = self._at_hand(kept)
        if index is None and kept.place >= 0:
            index = self._indexes.open(kept.name, kept.dimensions)
            if index is None:
                self.store.move(kept.name, -1)
        if index is None:
            index = self.store.make(kept.name, partial(self._indexes.make, kept.name, kept.dimensions))
            kept = msgspec.structs.replace(kept, place=0)
        if index is None:  # another hub has just made it
            index = self._indexes.open(kept.name, kept.dimensions)
        return None if index is None else Opened(kept, index, self._embedder(kept))

    def _at_hand(self, kept: Kept) -> Index | None:
        return next((one.index for one in self.told if one.kept.name == kept.name), None)

    def _embedder(self, kept: Kept) -> Embedder:
        for one in (self.embedder, *(opened.embedder for opened in self.told)):
            if one.fingerprint == kept.fingerprint:
                return one
        try:
            return self._former(kept.fingerprint)
        except EmbedderAway:
            return Gone(kept.fingerprint, kept.dimensions)
