"""Control records in a file of their own."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gateway.control.database import Row
from gateway.control.store import ControlAway

_BUSY_S = 5.0


class Sqlite:
    """The file is made, for its owner only, when it is first asked for anything."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: sqlite3.Connection | None = None

    @contextmanager
    def write(self) -> Iterator[_Session]:
        """Hold the write lock from the beginning: two writers cannot both read first."""
        with self._transaction("begin immediate") as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[_Session]:
        """See one state of everything."""
        with self._transaction("begin") as session:
            yield session

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[_Session]:
        try:
            connection = self._connection()
            connection.execute(begin)
            try:
                yield _Session(connection)
                connection.execute("commit")
            finally:
                if connection.in_transaction:
                    connection.execute("rollback")
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.Error, OSError) as error:  # locked, full, unreadable, spoilt
            raise ControlAway(f"{self._path.name}: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            made = sqlite3.connect(self._path, isolation_level=None, timeout=_BUSY_S, check_same_thread=False)
            made.execute("pragma journal_mode = wal")
            made.execute("pragma synchronous = full")  # what was answered survives a power cut
            made.execute("pragma foreign_keys = on")
            self._opened = made
        return self._opened


class _Session:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, *values: object) -> Sequence[Row]:
        return self._connection.execute(sql, values).fetchall()
