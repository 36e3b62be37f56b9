"""What the store needs of a database, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]


class Session(Protocol):
    """Inside one transaction."""

    def run(self, sql: str, *values: object) -> Sequence[Row]:
        """Run a statement with `?` for each value; return its rows."""
        ...


class Database(Protocol):
    """One connection, made when it is first needed and again when it broke."""

    dialect: str
    """As in the names of migrations."""

    def write(self) -> AbstractContextManager[Session]:
        """Open a transaction that no other writer can be in between. Raises ControlAway."""
        ...

    def read(self) -> AbstractContextManager[Session]:
        """Open one that only reads. Raises ControlAway."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
