"""SQLite as a ledger needs it: one writer at a time, readers beside it, and a scope inside every statement."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from memory.scope import Scope

_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_MS = 5000

_VISIBLE = (
    "WITH visible AS (SELECT id FROM scopes WHERE project = :scope_project"
    " AND environment = :scope_environment AND user = :scope_user"
    " AND (:scope_agent IS NULL OR agent = :scope_agent) AND (:scope_run IS NULL OR run = :scope_run)) "
)
"""Stands before each statement that serves a scope; these are the only words that decide what is visible."""

Parameters = Mapping[str, object]


class Connections:
    """The writer's connection and one for each reading thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._writer = self._connect()
        _migrate(self._writer)

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield the writer inside a transaction, durable on exit, rolled back by an exception."""
        with self._lock:
            # a deferred transaction that reads first cannot become a writer while another one writes
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    def read(self) -> sqlite3.Connection:
        """Return this thread's connection, for reading."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
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

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._all.append(connection)
        connection.row_factory = sqlite3.Row
        for pragma in (
            f"busy_timeout = {_BUSY_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",  # NORMAL does not sync a commit, and a commit is an acknowledgement here
            "secure_delete = ON",  # erased words are overwritten, not just unlinked
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection


def within(
    connection: sqlite3.Connection, scope: Scope, statement: str, parameters: Parameters | None = None
) -> sqlite3.Cursor:
    """Run a statement that must limit itself to the rows of `visible`, the scopes this one sees."""
    if "visible" not in statement:
        raise AssertionError("a statement without its scope")
    wanted = scope.constraints()
    named = {f"scope_{name}": getattr(wanted, name) for name in wanted.__struct_fields__}
    return connection.execute(_VISIBLE + statement, {**named, **(parameters or {})})


def as_list(values: Collection[object]) -> str:
    """Return the values as `json_each` reads them, in a parameter."""
    return msgspec.json.encode(list(values)).decode()


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the newest schema; each numbered file of `migrations` is applied once, whole or not at all."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    steps = [(int(path.name[:4]), path) for path in sorted(_MIGRATIONS.glob("*.sql"))]
    if version > steps[-1][0]:
        raise RuntimeError(f"the memory ledger is of a newer version ({version}) than this program knows")
    for number, path in steps:
        if number > version:
            statements = path.read_text(encoding="utf-8")
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{statements}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
