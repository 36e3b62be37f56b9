"""What a ledger needs of a database: one writer at a time, readers beside it, and a scope inside every statement.

Statements are SQLite's and Postgres' alike as far as that goes; `postgres_sql` puts the rest into Postgres' words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from memory.scope import Scope
from memory.store.sealing import OPEN, Sealing, Words

_VISIBLE = (
    "WITH visible AS (SELECT id FROM scopes WHERE project = :scope_project"
    ' AND environment = :scope_environment AND "user" = :scope_user'
    " AND (CAST(:scope_agent AS TEXT) IS NULL OR agent = :scope_agent)"
    " AND (CAST(:scope_run AS TEXT) IS NULL OR run = :scope_run)) "
)
"""Stands before each statement that serves a scope; these are the only words that decide what is visible."""

Parameters = Mapping[str, object] | Sequence[object]


class Row(Protocol):
    """A row, by column's name or place."""

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - as the column is
        """Return a value."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Yield the values."""
        ...

    def keys(self) -> Iterable[str]:
        """Return the columns' names."""
        ...


class Cursor(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        ...

    def fetchone(self) -> Any:  # noqa: ANN401 - a `Row` or None; callers know which
        """Return the next row; None if there is none."""
        ...

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows that are left."""
        ...


class Connection(Protocol):
    """Runs statements with `:name`, `?` or `?1` where the parameters go. What it reads is opened already."""

    sealing: Sealing
    """Asked by those who write words; see `words_of`."""

    def execute(self, statement: str, parameters: Any = ..., /) -> Cursor:  # noqa: ANN401 - `Parameters`
        """Run a statement. Raises LedgerAway."""
        ...

    def executemany(self, statement: str, parameters: Any, /) -> object:  # noqa: ANN401 - `Parameters`, many
        """Run a statement for each of the parameters. Raises LedgerAway."""
        ...


class Connections(Protocol):
    """The writer's connection and one for each reading thread."""

    shared: bool
    """Whether other processes may write too."""

    def write(self) -> AbstractContextManager[Connection]:
        """Yield the writer inside a transaction, durable on exit, rolled back by an exception. Raises LedgerAway."""
        ...

    def read(self) -> Connection:
        """Return this thread's connection, for reading."""
        ...

    def checkpoint(self) -> None:
        """Have overwritten words gone from wherever the database still keeps them."""
        ...

    def close(self) -> None:
        """Close every thread's connection."""
        ...


def within(
    connection: Connection, scope: Scope, statement: str, parameters: Mapping[str, object] | None = None
) -> Cursor:
    """Run a statement that must limit itself to the rows of `visible`, the scopes this one sees."""
    if "visible" not in statement:
        raise AssertionError("a statement without its scope")
    wanted = scope.constraints()
    named = {f"scope_{name}": getattr(wanted, name) for name in wanted.__struct_fields__}
    return connection.execute(_VISIBLE + statement, {**named, **(parameters or {})})


def as_list(values: Collection[object]) -> str:
    """Return the values as `json_each` reads them, in a parameter."""
    return msgspec.json.encode(list(values)).decode()


def words_of(connection: Connection, scope_id: int) -> Words:
    """Return how the words of this scope are kept. Inside a transaction."""
    return connection.sealing.words_of(connection, scope_id)


def words_about(connection: Connection, memory_id: str) -> Words:
    """Return how the words of this memory's scope are kept. Inside a transaction."""
    if not connection.sealing.opens:
        return OPEN
    (scope_id,) = connection.execute("SELECT scope_id FROM memories WHERE id = ?", (memory_id,)).fetchone()
    return connection.sealing.words_of(connection, scope_id)


def names_in(connection: Connection, scope: Scope, names: Iterable[str]) -> dict[str, str]:
    """Return all that these names may be kept as in this scope, and which is which."""
    return connection.sealing.words(scope.project).names(names)
