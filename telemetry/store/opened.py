"""A store whose readers see what lies sealed in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telemetry.sealed import PREFIX, Sealer
from telemetry.store.base import Block, Parameter, Row, Store, StoreState

_TEXT = PREFIX.decode()
_WORDS = ("text", "body", "preview", "memory_block")
"""Columns, as queries name them, that may be sealed. What a caller wrote anywhere else stays as it stands."""


class OpenedStore:
    """Opens what is sealed in another store's rows."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer
        self.ghost_s = store.ghost_s

    def command(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> None:
        """Run a statement."""
        self._store.command(sql, parameters)

    def insert(self, table: str, block: Block, *, token: str) -> None:
        """Add rows as they are."""
        self._store.insert(table, block, token=token)

    def lookup(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        """Read through the writer's connection."""
        return [self._opened(row) for row in self._store.lookup(sql, parameters)]

    def query(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        """Read with limited time and memory."""
        return [self._opened(row) for row in self._store.query(sql, parameters)]

    def ping(self) -> bool:
        """Whether it answers now."""
        return self._store.ping()

    def state(self) -> StoreState:
        """Say which store this is."""
        return self._store.state()

    def close(self) -> None:
        """Close the other one."""
        self._store.close()

    def _opened(self, row: Row) -> Row:
        found = {name: self._open(row[name]) for name in _WORDS if _is_sealed(row.get(name))}
        if "bytes_kept" in row and "text" in found:  # the store counted what it has
            found["bytes_kept"] = len(found["text"].encode())
        return {**row, **found} if found else row

    def _open(self, value: str | bytes) -> Any:  # noqa: ANN401 - what it was given
        if isinstance(value, bytes):
            return self._sealer.open(value)
        return self._sealer.open(value.encode()).decode("utf-8", "replace")


def _is_sealed(value: object) -> bool:
    return (isinstance(value, str) and value.startswith(_TEXT)) or (
        isinstance(value, bytes) and value.startswith(PREFIX)
    )
