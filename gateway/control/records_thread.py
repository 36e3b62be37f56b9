"""The control records as the hub's loop uses them: in a thread of their own, opened when first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from gateway.clock import Clock
from gateway.control.database import Database
from gateway.control.migrate import migrate
from gateway.control.records import Narrowing
from gateway.control.sql_store import SqlStore
from gateway.control.sqlite import Sqlite
from gateway.control.store import ControlAway, ControlStore

T = TypeVar("T")


class RecordsThread:
    """`url` empty: the file at `path`, which is not made before somebody writes."""

    def __init__(self, path: Path, url: str, clock: Clock) -> None:
        self._path = path
        self._url = url
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="control")
        self._opened: ControlStore | None = None

    @property
    def there(self) -> bool:
        """Whether there may be records: reading need not make a database."""
        return bool(self._url) or self._opened is not None or self._path.exists()

    async def do(self, work: Callable[[ControlStore], T]) -> T:
        """Return what the work returns; raise what it raises, and ControlAway, MigrationError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._store()))

    async def close(self) -> None:
        """Finish what is asked already and let go of the database."""
        if self._opened is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._opened.close)
        self._thread.shutdown()

    def _store(self) -> ControlStore:
        if self._opened is None:
            self._opened = open_store(self._path, self._url, self._clock)
        return self._opened


def open_store(path: Path, url: str, clock: Clock) -> ControlStore:
    """Open the records, and bring their tables up to date. Raises ControlAway, MigrationError."""
    database = _database(path, url)
    migrate(database, clock.now_us())
    return SqlStore(database)


def any_issued(path: Path, url: str, *, otherwise: bool) -> bool:
    """Whether anybody was ever given a key; `otherwise`: what to say if the records cannot be read."""
    if not url and not path.exists():
        return False
    store = SqlStore(_database(path, url))
    try:
        return bool(store.keys(Narrowing(limit=1)))
    except ControlAway:
        return otherwise
    finally:
        store.close()


def _database(path: Path, url: str) -> Database:
    if not url:
        return Sqlite(path)
    # Not at the top: most have no server, and need not load its client.
    from gateway.control.postgres import Postgres  # noqa: PLC0415

    return Postgres(url)
