"""What the ledger asks of the database that holds it.

* StoreError
  - StoreAway       nobody knows whether it happened: ask again later, with the same token
  - StoreRefused    this data or this question is wrong, and will be wrong again
  - TooExpensive    a read ran into its time or memory limit
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]  # pyarrow 26 ships no types

Parameter = str | int | list[str] | list[int]
Row = dict[str, Any]
Block: TypeAlias = pa.Table


class StoreError(Exception):
    """Base of what a store raises. `code` and `name` are ClickHouse's own; 0 and empty if it said nothing.

    The text may quote values of the row: it belongs into a dead letter, never into a log.
    """

    def __init__(self, message: str, *, code: int = 0, name: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.name = name

    @property
    def label(self) -> str:
        """The error without any of the data: for logs and metrics."""
        return self.name or type(self).__name__


class StoreAway(StoreError):
    """The store could not be reached, was overloaded or out of order."""


class StoreRefused(StoreError):
    """The store understood, and said no."""


class TooExpensive(StoreError):
    """A read needed more time or memory than a reader may have."""


class StoreState(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /health` says of the store."""

    kind: str
    """`chdb` or `server`."""
    version: str


class Store(Protocol):
    """A ClickHouse. Every method blocks: callers run them in threads. Safe to share between threads."""

    ghost_s: float
    """How long an insert may go on at the other end after its caller has given up."""

    def command(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> None:
        """Run a statement that returns nothing, without deduplication; used by migrations and repairs."""
        ...

    def insert(self, table: str, block: Block, *, token: str) -> None:
        """Add the rows as one block; a block whose token was seen before is left out, in views as well."""
        ...

    def lookup(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        """Read through the writer's connection, without a reader's limits."""
        ...

    def query(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        """Read with limited time and memory; parameters are `{name:Type}` in the text."""
        ...

    def ping(self) -> bool:
        """Whether it answers now."""
        ...

    def state(self) -> StoreState:
        """Say which store this is."""
        ...

    def close(self) -> None:
        """Give everything back; calling it twice is fine."""
        ...
