"""The control records as the hub's loop uses them: in a thread of their own, opened when first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from gateway.clock import Clock
from gateway.control.database import Database
from gateway.control.migrate import migrate
from gateway.control.sql_store import SqlStore
from gateway.control.sqlite import Sqlite
from gateway.control.store import ControlAway, ControlStore

T = TypeVar("T")


class Records(Protocol):
    """What services need of the control records, wherever the work on them is done."""

    @property
    def there(self) -> bool:
        """Whether there may be records: reading need not make a database."""
        ...

    async def do(self, work: Callable[[ControlStore], T]) -> T:
        """Return what the work returns; raise what it raises, and ControlAway, MigrationError."""
        ...

    async def query(self, work: Callable[[Database], T]) -> T:
        """Do the same with the database itself, for kinds of records that have a module of their own."""
        ...


class RecordsThread:
    """`url` empty: the file at `path`, which is not made before somebody writes."""

    def __init__(self, path: Path, url: str, clock: Clock) -> None:
        self._path = path
        self._url = url
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="control")
        self._opened: ControlStore | None = None
        self._database: Database | None = None

    @property
    def there(self) -> bool:
        """Whether there may be records: reading need not make a database."""
        return bool(self._url) or self._opened is not None or self._path.exists()

    async def do(self, work: Callable[[ControlStore], T]) -> T:
        """Return what the work returns; raise what it raises, and ControlAway, MigrationError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._store()))

    async def query(self, work: Callable[[Database], T]) -> T:
        """Do the same with the database itself, for kinds of records that have a module of their own."""

        def with_database() -> T:
            self._store()
            assert self._database is not None, "the store was opened"
            return work(self._database)

        return await asyncio.get_running_loop().run_in_executor(self._thread, with_database)

    async def close(self) -> None:
        """Finish what is asked already and let go of the database."""
        if self._opened is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._opened.close)
        self._thread.shutdown()

    def _store(self) -> ControlStore:
        if self._opened is None:
            database = _database(self._path, self._url)
            migrate(database, self._clock.now_us())
            self._database, self._opened = database, SqlStore(database)
        return self._opened


def any_issued(path: Path, url: str, *, otherwise: bool) -> bool:
    """Whether anybody was ever given a key, or a password; `otherwise`: what to say if the records cannot be read."""
    if not url and not path.exists():
        return False
    database = _database(path, url)
    try:
        with database.read() as session:
            return any(session.run(f"select 1 from {table} limit 1") for table in ("keys", "people"))  # noqa: S608
    except ControlAway:
        return otherwise
    finally:
        database.close()


def _database(path: Path, url: str) -> Database:
    if not url:
        return Sqlite(path)
    # Not at the top: most have no server, and need not load its client.
    from gateway.control.postgres import Postgres  # noqa: PLC0415

    return Postgres(url)
