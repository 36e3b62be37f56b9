"""A store over clickhouse-connect: the same statements whether the engine is in this process or on a server."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from telemetry.store.base import (
    Block,
    Parameter,
    Row,
    StoreAway,
    StoreError,
    StoreRefused,
    StoreState,
    TooExpensive,
)

# One block per insert, whatever its size: a token stands for the whole block. A batch that waited long
# may span more daily partitions than the default of 100.
INSERT_SETTINGS: dict[str, Any] = {
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "async_insert": 0,
    "min_insert_block_size_rows": 1_000_000,
    "min_insert_block_size_bytes": 2**32,
    "max_partitions_per_insert_block": 0,
}

_COMMAND_SETTINGS: dict[str, Any] = {"insert_deduplicate": 0, "async_insert": 0}

# Not the row's fault: limits, disks, Keeper, rights, missing tables. Everything else a server says about
# an insert is taken to be about its data. Names: ClickHouse, src/Common/ErrorCodes.cpp, 26.9 (Nov 2026).
_NOT_THE_DATA = frozenset(
    (
        *(16, 60, 81),  # no such column, table, database: a migration is missing
        *(74, 75, 76, 243, 27001),  # disk
        *(159, 160, 202, 203, 209, 210, 236, 241, 252, 319, 394, 439, 473),  # time, load, memory, network
        *(164, 242, 344, 497, 516, 192, 193, 194),  # read-only, rights, password
        *(225, 244, 254, 285, 286, 287, 305, 722, 999),  # Keeper and replicas
    )
)
_LIMITS = frozenset((159, 160, 241, 307, 396))
_READERS = 3
_READER_WAIT_S = 20.0


class ClickHouseStore:
    """One connection that writes and a few that read.

    A connection answers one question at a time, so readers are handed out; what one question
    may spend is set on their connections.
    """

    def __init__(self, writer: Client, reader: Callable[[], Client], *, kind: str, ghost_s: float) -> None:
        self.ghost_s = ghost_s
        self._kind = kind
        self._writer = writer
        self._connect_reader = reader
        self._version = str(writer.server_version)
        self._writing = threading.Lock()
        self._readers: queue.LifoQueue[Client | None] = queue.LifoQueue()
        for _ in range(_READERS):
            self._readers.put(None)
        self._closed = False

    def command(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> None:
        """Run a statement that returns nothing, without deduplication."""
        with self._writing, translated():
            self._writer.command(sql, parameters=dict(parameters or {}), settings=_COMMAND_SETTINGS)

    def insert(self, table: str, block: Block, *, token: str) -> None:
        """Add the rows as one block, once."""
        settings = {**INSERT_SETTINGS, "insert_deduplication_token": token}
        with self._writing, translated():
            self._writer.insert_arrow(table, block, settings=settings)

    def lookup(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        """Read through the writer's connection."""
        with self._writing, translated():
            return list(self._writer.query(sql, parameters=dict(parameters)).named_results())

    def query(self, sql: str, parameters: Mapping[str, Parameter]) -> list[Row]:
        """Read with limited time and memory."""
        with self._reader() as client, translated(reading=True):
            return list(client.query(sql, parameters=dict(parameters)).named_results())

    def ping(self) -> bool:
        """Whether it answers now."""
        with contextlib.suppress(StoreError):
            return self.query("SELECT 1 AS one", {}) == [{"one": 1}]
        return False

    def state(self) -> StoreState:
        """Say which store this is."""
        return StoreState(kind=self._kind, version=self._version)

    def close(self) -> None:
        """Close every connection that is not in use; those in use close when they are given back."""
        self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                _close(self._readers.get_nowait())
        with self._writing:
            _close(self._writer)

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Client]:
        try:
            client = self._readers.get(timeout=_READER_WAIT_S)
        except queue.Empty:
            raise StoreAway("every reader is busy") from None
        try:
            if self._closed:
                raise StoreAway("the store is closed")
            if client is None:
                with translated():
                    client = self._connect_reader()
            yield client
        finally:
            if self._closed:
                _close(client)
            else:
                self._readers.put(client)


def _close(client: Client | None) -> None:
    if client is not None:
        with contextlib.suppress(ClickHouseError, OSError):
            client.close()


@contextlib.contextmanager
def translated(*, reading: bool = False) -> Iterator[None]:
    """Turn the driver's exceptions into the store's own."""
    try:
        yield
    except Error as error:
        raise _store_error(error, reading=reading) from error
    except OSError as error:
        raise StoreAway(str(error), name=type(error).__name__) from error


def _store_error(error: Error, *, reading: bool) -> StoreError:
    code = error.code or 0
    name = error.name or type(error).__name__
    if reading and code in _LIMITS:
        return TooExpensive(str(error), code=code, name=name)
    if code in _NOT_THE_DATA or not code:
        return StoreAway(str(error), code=code, name=name)
    return StoreRefused(str(error), code=code, name=name)
