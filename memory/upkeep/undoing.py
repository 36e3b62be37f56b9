"""Puts back what the background work did, from outside of a house; one that is running need not stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory.clock import SystemClock
from memory.sealed import UNSEALED, Sealer
from memory.store.place import open_ledger
from memory.store.sql_upkeep import Run, SqliteUpkeep

_LISTED = 50


def passes(folder: Path, *, ledger_url: str = "", sealer: Sealer = UNSEALED) -> list[Run]:
    """Return the latest passes, latest first."""
    with _opened(folder, ledger_url, sealer) as upkeep:
        return upkeep.runs(limit=_LISTED)


def undo(folder: Path, run_id: str, *, ledger_url: str = "", sealer: Sealer = UNSEALED) -> int | None:
    """Put back what a pass has changed; return how many steps that were, or None if there is no such pass."""
    with _opened(folder, ledger_url, sealer) as upkeep:
        return upkeep.undo(run_id, SystemClock().now_us())


@contextmanager
def _opened(folder: Path, ledger_url: str, sealer: Sealer) -> Iterator[SqliteUpkeep]:
    connections = open_ledger(folder, ledger_url, sealer=sealer)
    try:
        yield SqliteUpkeep(connections)
    finally:
        connections.close()
