"""A memory that is killed between any two things it writes, and begins again from what it has written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from typing_extensions import override

from memory.embed import Embedder, HashedWords
from memory.engine import Engine
from memory.errors import EmbedderAway
from memory.records import Vector
from memory.shelf import Shelf
from memory.store.connection import Connection, Connections
from memory.store.index import Index, Indexes, Point
from memory.store.sqlite import SqlLedger
from tests.fakes.memory_parts import KEY, SetClock

PATIENCE_US = 400_000_000


class Killed(BaseException):
    """Nobody catches this."""


class Fuse:
    """Kills after so many writes; 0: never."""

    left = 0

    def burn(self) -> None:
        """Note a write."""
        if self.left:
            self.left -= 1
            if not self.left:
                raise Killed


class Few(HashedWords):
    """Another embedder: fewer numbers, of the same words."""

    fingerprint = "few-words-64"
    dimensions = 64


class MortalLedger:
    """Connections on which a kill comes before or after a commit."""

    def __init__(self, connections: Connections, fuse: Fuse) -> None:
        self.shared = connections.shared
        self._connections = connections
        self._fuse = fuse

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield the writer."""
        with self._connections.write() as connection:
            yield connection
            self._fuse.burn()
        self._fuse.burn()

    def read(self) -> Connection:
        """Return the reader."""
        return self._connections.read()

    def checkpoint(self) -> None:
        """Do so."""
        self._connections.checkpoint()

    def close(self) -> None:
        """Stay open: they are the test's."""


class MortalIndex:
    """A collection on which a kill comes before or after a write."""

    def __init__(self, index: Index, fuse: Fuse) -> None:
        self.index = index
        self.fuse = fuse
        self.nearest, self.matching = index.nearest, index.matching
        self.ids, self.present = index.ids, index.present
        self.flush, self.close = index.flush, index.close

    def put(self, points: Sequence[Point]) -> None:
        """Add or replace the points."""
        self.fuse.burn()
        self.index.put(points)
        self.fuse.burn()

    def drop(self, ids: Collection[str]) -> None:
        """Remove them."""
        self.fuse.burn()
        self.index.drop(ids)
        self.fuse.burn()


class MortalIndexes:
    """Their place. Knows which names were made and not forgotten; the last of them open for looking at."""

    def __init__(self, indexes: Indexes, fuse: Fuse) -> None:
        self.names: set[str] = set()
        self._indexes = indexes
        self._fuse = fuse

    def open(self, name: str, dimensions: int) -> MortalIndex | None:
        """Return a collection, if it is there."""
        found = self._indexes.open(name, dimensions)
        return None if found is None else MortalIndex(found, self._fuse)

    def make(self, name: str, dimensions: int) -> MortalIndex:
        """Return an empty one."""
        self._fuse.burn()
        made = MortalIndex(self._indexes.make(name, dimensions), self._fuse)
        self.names.add(name)
        try:
            self._fuse.burn()
        except Killed:
            made.close()
            raise
        return made

    def forget(self, name: str) -> None:
        """Take it away."""
        self._fuse.burn()
        self._indexes.forget(name)
        self.names.discard(name)
        self._fuse.burn()

    def close(self) -> None:
        """Stay open: they are the test's."""


class Reindexed:
    """A memory without threads: the test says what is done when."""

    def __init__(self, connections: Connections, indexes: Indexes, *, shared: bool | None = None) -> None:
        """`shared`: whether another hub has the ledger too, if not as the connections say."""
        self.fuse = Fuse()
        self.clock = SetClock()
        self.indexes = MortalIndexes(indexes, self.fuse)
        self.embedder: Embedder = HashedWords()
        self.known = True
        """Whether embedders of before can still be made."""
        mortal = MortalLedger(connections, self.fuse)
        mortal.shared = mortal.shared if shared is None else shared
        self.ledger = SqlLedger(mortal, key=KEY, clock=self.clock)
        self.begin()

    def begin(self) -> None:
        """Be a new process over the same stores."""
        self.shelf = Shelf(
            self.ledger.collections, self.indexes, self.embedder, former=self._former, clock=self.clock
        )
        self.engine = Engine(self.ledger, self.shelf, key=KEY, clock=self.clock)
        self.engine._indexer.settle()

    def kill(self) -> None:
        """End without a word, and begin again."""
        self.fuse.left = 0
        for one in self.shelf.told:
            one.index.close()
        self.begin()

    def change(self, embedder: Embedder) -> None:
        """Begin again with other settings."""
        self.embedder = embedder
        self.kill()

    def index(self) -> bool:
        """Do a batch of the outbox."""
        return self.engine._indexer.batch()

    def build(self) -> bool:
        """Do a slice of building."""
        return self.engine._builder.slice()

    def rest(self) -> None:
        """Do all that is to be done."""
        for _ in range(10_000):
            self.clock.us += PATIENCE_US
            if not self.index() and not self.build():
                return
        raise AssertionError("it never ends")

    def waiting(self) -> set[str]:
        """Return what waits in the outbox."""
        rows = self.ledger._connections.read().execute("SELECT memory_id FROM outbox")
        return {row["memory_id"] for row in rows}

    def count(self, table: str, fingerprint: str) -> int:
        """Return how many rows of an embedder a table has."""
        statement = f"SELECT count(*) FROM {table} WHERE fingerprint = ?"
        (found,) = self.ledger._connections.read().execute(statement, (fingerprint,)).fetchone()
        return int(found)

    def _former(self, fingerprint: str) -> Embedder:
        for one in (HashedWords(), Few()):
            if self.known and one.fingerprint == fingerprint:
                return one
        raise EmbedderAway("nobody knows it")


class Interrupted(Few):
    """Has something happen while it embeds."""

    def __init__(self) -> None:
        self.happens: list[Callable[[], object]] = []

    @override
    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return a vector for each text."""
        found = super().embed(texts)
        while self.happens:
            self.happens.pop()()
        return found
