"""A ledger's database on a Postgres server, which the hubs of several hosts may share.

Its tables have a schema of their own. One advisory lock lets one transaction write at a time, of all hubs': the order
in which the ledger learns, entities and sums are the whole ledger's business, as they are in a SQLite file.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.adapt import Loader
from psycopg.types.string import StrDumper
from typing_extensions import override

from memory.errors import LedgerAway
from memory.sealed import UNSEALED, Sealer
from memory.store.postgres_sql import statement, tables
from memory.store.schema import steps
from memory.store.sealing import Sealing

logger = logging.getLogger(__name__)

T = TypeVar("T")
Parameters = Mapping[str, object] | Sequence[object]

SCHEMA = "tidegate_memory"
_CONNECT_S = 3
_AGAIN_S = 1.0
"""So long nobody knocks again where nobody answered: a recall has no time for it."""
_OPTIONS = (
    f"-c search_path={SCHEMA} -c statement_timeout=30000 -c lock_timeout=10000"
    " -c idle_in_transaction_session_timeout=30000"
)
_BEGIN = "BEGIN; SELECT pg_advisory_xact_lock(7453193)"
"""Any number, as long as all hubs use the same; the control records have the one before."""
_PASSES = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    psycopg.errors.FeatureNotSupported,
)
"""What may be well later: nobody is there, the disk is full, it became a standby."""


class Row:
    """A row, by column's name or place."""

    __slots__ = ("_places", "_values")

    def __init__(self, places: Mapping[str, int], values: Sequence[Any]) -> None:
        self._places = places
        self._values = values

    def __getitem__(self, key: str | int) -> Any:  # noqa: ANN401 - as the column is
        """Return a value."""
        return self._values[self._places[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        """Yield the values."""
        return iter(self._values)

    def keys(self) -> Iterable[str]:
        """Return the columns' names."""
        return self._places


class _Whole(Loader):
    """Sums of bigints are numerics, and whole."""

    @override
    def load(self, data: bytes | bytearray | memoryview) -> int:
        return int(bytes(data))


class Server:
    """Where to connect to. Raises LedgerAway, and for a moment afterwards does so at once."""

    def __init__(self, url: str, sealing: Sealing) -> None:
        self.sealing = sealing
        self._url = url
        self._away_until = 0.0

    def connect(self) -> psycopg.Connection[Row]:
        """Open a connection on which each statement is a transaction of its own."""
        if time.monotonic() < self._away_until:
            raise LedgerAway("Postgres did not answer a moment ago, or this ledger is closed")
        try:
            made = psycopg.connect(
                self._url,
                autocommit=True,
                row_factory=self._rows,
                connect_timeout=_CONNECT_S,
                tcp_user_timeout=_CONNECT_S * 1000,
                options=_OPTIONS,
                application_name="tidegate memory",
            )
        except psycopg.Error as error:
            self._away_until = time.monotonic() + _AGAIN_S
            raise _away(error) from error
        made.adapters.register_dumper(str, StrDumper)  # or it has to guess which type a text is
        made.adapters.register_loader("numeric", _Whole)
        return made

    def close(self) -> None:
        """Let nobody in any more."""
        self._away_until = math.inf

    def _rows(self, cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:
        places = {column.name: place for place, column in enumerate(cursor.description or ())}
        if not self.sealing.opens:
            return lambda values: Row(places, values)
        names = [column.name for column in cursor.description or ()]
        return lambda values: Row(places, self.sealing.opened(names, values))


class Session:
    """A connection, made when it is first needed and again after it broke. For one thread at a time."""

    def __init__(self, server: Server) -> None:
        self.sealing = server.sealing
        self._server = server
        self._opened: psycopg.Connection[Row] | None = None
        self._inside = False

    def execute(self, text: str, parameters: Parameters = (), /) -> psycopg.Cursor[Row]:
        """Run a statement. Raises LedgerAway."""
        words, values = statement(text), _named(parameters)
        return self._do(lambda connection: connection.execute(words, values))

    def executemany(self, text: str, parameters: Iterable[Parameters], /) -> None:
        """Run a statement for each of the parameters. Raises LedgerAway."""
        words, values = statement(text), [_named(one) for one in parameters]
        if values:
            self._do(lambda connection: connection.cursor().executemany(words, values))

    def script(self, text: str) -> None:
        """Run several statements in Postgres' own words. Raises LedgerAway."""
        self._do(lambda connection: connection.execute(text.encode()))

    @contextlib.contextmanager
    def alone(self) -> Iterator[Session]:
        """Be in a transaction that no other writer is in. Raises LedgerAway."""
        try:
            self._do(lambda connection: connection.execute(_BEGIN))
            self._inside = True
            yield self
            ended = self._do(lambda connection: connection.execute("COMMIT"))
            if ended.statusmessage != "COMMIT":  # what failed inside was passed over, and took the rest along
                raise LedgerAway("Postgres rolled the transaction back")
        except BaseException:
            if self._opened is not None and not self._lost():
                with contextlib.suppress(psycopg.Error):
                    self._opened.execute("ROLLBACK")
            raise
        finally:
            self._inside = False

    def close(self) -> None:
        """Hang up."""
        if self._opened is not None:
            self._opened.close()

    def _do(self, work: Callable[[psycopg.Connection[Row]], T]) -> T:
        if self._opened is None:
            self._opened = self._server.connect()
        with _faults(self._lost):
            try:
                return work(self._opened)
            except _PASSES as error:
                if isinstance(error, psycopg.errors.FeatureNotSupported):
                    self._opened.close()  # a newer hub has given tables columns that prepared statements do not know
                if self._inside or not self._lost():
                    raise
            # the server went and may be back; reading may be done twice, and so may the beginning of a transaction
            self._opened = self._server.connect()
            return work(self._opened)

    def _lost(self) -> bool:
        return self._opened is not None and bool(self._opened.closed)


class PostgresConnections:
    """A writing session, and a reading one for each thread."""

    shared = True

    def __init__(self, url: str, *, sealer: Sealer = UNSEALED) -> None:
        """Connect, and bring the tables to the newest schema. Raises LedgerAway, WrongKey."""
        self._sealing = Sealing(sealer)
        self._server = Server(url, self._sealing)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._writer = Session(self._server)
        self._all = [self._writer]
        try:
            with self.write() as session:
                _migrate(session)
                self._sealing.prepare(session)
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """Yield the writer inside a transaction, durable on exit, rolled back by an exception. Raises LedgerAway."""
        with self._lock, self._writer.alone():
            self._sealing.begin()
            yield self._writer

    def read(self) -> Session:
        """Return this thread's session, for reading."""
        found: Session | None = getattr(self._local, "session", None)
        if found is None:
            found = self._local.session = Session(self._server)
            self._all.append(found)
        return found

    def checkpoint(self) -> None:
        """Leave it to the server, whose autovacuum overwrites what was erased."""

    def close(self) -> None:
        """Hang up everywhere."""
        self._server.close()
        for session in self._all:
            session.close()


def _migrate(session: Session) -> None:
    (there,) = session.execute("SELECT to_regnamespace(?) IS NOT NULL", (SCHEMA,)).fetchall()[0]
    if not there:
        session.script(f"CREATE SCHEMA {SCHEMA}; CREATE TABLE applied (step BIGINT PRIMARY KEY)")
    (version,) = session.execute("SELECT coalesce(max(step), 0) FROM applied").fetchall()[0]
    for step in steps("postgres", after=version):
        session.script(f"{tables(step.shared)}\n{step.own}")
        session.execute("INSERT INTO applied VALUES (?)", (step.number,))


def _named(parameters: Parameters) -> dict[str, object]:
    if isinstance(parameters, Mapping):
        return {name: _clean(value) for name, value in parameters.items()}
    return {f"n{place}": _clean(value) for place, value in enumerate(parameters, 1)}


def _clean(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd") if "\0" in value else value  # it takes any character but this
    return int(value) if isinstance(value, bool) else value


@contextlib.contextmanager
def _faults(lost: Callable[[], bool]) -> Iterator[None]:
    try:
        yield
    except _PASSES as error:
        if lost():
            logger.warning("memory_ledger_away", extra={"error": type(error).__name__})
        raise _away(error) from error


def _away(error: psycopg.Error) -> LedgerAway:
    return LedgerAway(f"Postgres: {(str(error).splitlines() or [type(error).__name__])[0]}")
