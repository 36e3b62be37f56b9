"""A ledger's database in a SQLite file."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from memory.errors import WrongKey
from memory.sealed import UNSEALED, Sealer
from memory.store.schema import steps
from memory.store.sealing import Sealing

_BUSY_MS = 5000


class SqliteConnection(sqlite3.Connection):
    """One thread's connection."""

    sealing: Sealing


class SqliteConnections:
    """One file, one writing process."""

    shared = False

    def __init__(self, path: Path, *, sealer: Sealer = UNSEALED) -> None:
        """Open or make the file. Raises WrongKey if words in it cannot be opened by the `sealer`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()
        self._local = threading.local()
        self._all: list[SqliteConnection] = []
        self._sealing = Sealing(sealer)
        self._writer = self._connect()
        _migrate(self._writer)
        try:
            self._sealing.prepare(self._writer)
        except WrongKey:
            self.close()
            raise
        self._open_rows(self._writer)

    @contextlib.contextmanager
    def write(self) -> Iterator[SqliteConnection]:
        """Yield the writer inside a transaction, durable on exit, rolled back by an exception."""
        with self._lock:
            # a deferred transaction that reads first cannot become a writer while another one writes
            self._writer.execute("BEGIN IMMEDIATE")
            self._sealing.begin()
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    def read(self) -> SqliteConnection:
        """Return this thread's connection, for reading."""
        found: SqliteConnection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._connect()
        return found

    def checkpoint(self) -> None:
        """Move the log into the file, so that overwritten words are gone from both."""
        with self._lock:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close every thread's connection."""
        for connection in self._all:
            connection.close()

    def _connect(self) -> SqliteConnection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, factory=SqliteConnection
        )
        self._all.append(connection)
        connection.sealing = self._sealing
        self._open_rows(connection)
        for pragma in (
            f"busy_timeout = {_BUSY_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",  # NORMAL does not sync a commit, and a commit is an acknowledgement here
            "secure_delete = ON",  # erased words are overwritten, not just unlinked
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _open_rows(self, connection: SqliteConnection) -> None:
        # in a ledger without anything sealed, rows cost nothing more
        connection.row_factory = self._sealing.row if self._sealing.opens else sqlite3.Row


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the newest schema."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for step in steps("sqlite", after=version):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{step.shared}\n{step.own}\nPRAGMA user_version = {step.number};\nCOMMIT;"
        )
