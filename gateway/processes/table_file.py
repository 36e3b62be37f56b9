"""A file of the hub's with a few tables, asked from a thread of its own; made when it is first needed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from gateway.link import CallFailed

T = TypeVar("T")


class TableFile:
    """One SQLite file. What goes wrong with it becomes CallFailed with the code `<name>_away`."""

    def __init__(self, path: Path, schema: str, *, name: str) -> None:
        self._path = path
        self._schema = schema
        self._name = name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._opened: sqlite3.Connection | None = None

    async def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run it as one transaction; raise CallFailed if the file cannot be used."""

        def run() -> T:
            with self._open() as table:
                return work(table)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except (sqlite3.Error, OSError) as error:
            raise CallFailed(f"{self._name}_away", f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Finish what is asked already and let go of the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _open(self) -> sqlite3.Connection:
        if self._opened is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            table = sqlite3.connect(self._path, check_same_thread=False)
            table.execute("pragma journal_mode = wal")
            table.execute("pragma synchronous = normal")  # what a process's death leaves is whole
            table.executescript(self._schema)
            self._opened = table
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
