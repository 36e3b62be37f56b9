"""How far the background work is, for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from memory.store.sql_upkeep import Run, SqliteUpkeep


def progress(store: SqliteUpkeep, reindexing: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the passes that are under way, the last one of each job that is over, and how much jobs have changed.

    `reindexing`: how far the next collection of the index is, if one is being built.
    """
    latest = store.latest()
    running = [_row(run) for run in latest if run.state == "running"]
    return {
        "running": running if reindexing is None else [reindexing, *running],
        "last": [_row(run) for run in latest if run.state != "running"],
        "counts": store.counts(),
    }


def _row(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "job": run.job,
        "state": run.state,
        "seen": run.seen,
        "changed": run.changed,
        "began_at": _moment(run.began_us),
        "updated_at": _moment(run.updated_us),
    }


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, UTC).isoformat()
