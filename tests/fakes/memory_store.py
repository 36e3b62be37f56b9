"""An index in a plain dictionary, a chain in another, and a ledger that leaves nothing behind."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memory.clock import Clock, SystemClock
from memory.embed import Embedder, HashedWords
from memory.engine import Engine
from memory.errors import IndexAway
from memory.records import SearchHit, Vector
from memory.scope import Scope, sees
from memory.service import AsyncMemory, Threads
from memory.shelf import Shelf
from memory.store.connection import Connection
from memory.store.index import Point
from memory.store.sqlite import SqliteLedger, SqlLedger
from tests.fakes.memory_parts import KEY

_MEMORY = Path("/dev/shm")
"""Where a sync costs nothing."""


class Trail:
    """The chain of one root: node -> parent and content."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, tuple[bytes, bytes]] = {}

    def knows(self, node: bytes) -> bool:
        """Say whether the node is there."""
        return node in self.nodes

    def places(self, content: bytes) -> Sequence[bytes]:
        """Return the nodes with this content, latest first."""
        return [node for node, (_, own) in reversed(self.nodes.items()) if own == content]

    def is_last(self, node: bytes) -> bool:
        """Say whether nothing was said after it."""
        return all(parent != node for parent, _ in self.nodes.values())


class PassingLedger(SqliteLedger):
    """A real ledger, in a folder that nobody misses."""

    def __init__(self, clock: Clock, *, key: bytes = KEY) -> None:
        folder = tempfile.mkdtemp(prefix="ledger-", dir=_MEMORY if _MEMORY.is_dir() else None)
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        super().__init__(Path(folder) / "memory.sqlite3", key=key, clock=clock)

    def connection(self) -> Connection:
        """Return a connection that sees every row."""
        return self._connections.read()


class IndexInMemory:
    """Compares with every point; `away` makes it fail."""

    def __init__(self) -> None:
        self.points: dict[str, Point] = {}
        self.away = False

    def put(self, points: Sequence[Point]) -> None:
        """Add or replace the points."""
        self._there()
        self.points |= {point.id: point for point in points}

    def drop(self, ids: Collection[str]) -> None:
        """Remove them."""
        self._there()
        for one in ids:
            self.points.pop(one, None)

    def nearest(self, scope: Scope, vector: Vector, limit: int) -> list[SearchHit]:
        """Return what lies nearest."""
        return self._best(
            scope,
            limit,
            lambda point: None if point.vector is None else float(point.vector @ vector),
        )

    def matching(self, scope: Scope, weights: Mapping[int, float], limit: int) -> list[SearchHit]:
        """Return what shares terms with the query."""
        return self._best(
            scope,
            limit,
            lambda point: sum(weights[term] for term in point.terms if term in weights) or None,
        )

    def ids(self) -> Iterator[str]:
        """Yield all ids."""
        yield from list(self.points)

    def present(self, ids: Collection[str]) -> set[str]:
        """Return which of them are there."""
        self._there()
        return {one for one in ids if one in self.points}

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def _best(self, scope: Scope, limit: int, score: Any) -> list[SearchHit]:
        self._there()
        hits = [
            SearchHit(point.id, found)
            for point in self.points.values()
            if sees(scope, point.scope) and (found := score(point)) is not None
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    def _there(self) -> None:
        if self.away:
            raise IndexAway("told to be away")


class IndexesInMemory:
    """Collections by name; `first` is the one that is made first."""

    def __init__(self, first: IndexInMemory | None = None) -> None:
        self.collections: dict[str, IndexInMemory] = {}
        self._first = first

    def open(self, name: str, dimensions: int) -> IndexInMemory | None:
        """Return a collection, if it is there."""
        del dimensions
        return self.collections.get(name)

    def make(self, name: str, dimensions: int) -> IndexInMemory:
        """Return an empty one."""
        del dimensions
        made, self._first = self._first or IndexInMemory(), None
        self.collections[name] = made
        return made

    def forget(self, name: str) -> None:
        """Take it away."""
        self.collections.pop(name, None)

    def close(self) -> None:
        """Nothing is open."""


def shelf_of(ledger: SqlLedger, index: IndexInMemory, embedder: Embedder, clock: Clock) -> Shelf:
    """Return a shelf on which this index serves."""
    return Shelf(ledger.collections, IndexesInMemory(index), embedder, clock=clock)


def service(*, key: bytes) -> AsyncMemory:
    """Return the whole service over fakes, with hashed words for an embedder."""
    clock = SystemClock()
    ledger = PassingLedger(clock, key=key)
    shelf = Shelf(ledger.collections, IndexesInMemory(), HashedWords(), clock=clock)
    engine = Engine(ledger, shelf, key=key, clock=clock)
    engine.start()
    return AsyncMemory(engine, Threads())
