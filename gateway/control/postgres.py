"""Control records on a Postgres server, which the hubs of several hosts may share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from gateway.control.database import Row
from gateway.control.store import ControlAway

_CONNECT_S = 5
_OPTIONS = "-c statement_timeout=5000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=10000"
_ALONE = "select pg_advisory_xact_lock(7453192)"
"""Any number, as long as all hubs use the same."""


class Postgres:
    """Connects to a `postgresql://` URL when it is first asked, and again after the connection broke."""

    dialect = "postgres"

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: psycopg.Connection[Row] | None = None

    @contextmanager
    def write(self) -> Iterator[_Session]:
        """Let one writer in at a time, so that revisions are committed in their order."""
        with self._transaction() as session:
            session.run(_ALONE)
            yield session

    @contextmanager
    def read(self) -> Iterator[_Session]:
        """See what was committed."""
        with self._transaction() as session:
            session.run("set transaction isolation level repeatable read read only")
            yield session

    def close(self) -> None:
        """Hang up."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @contextmanager
    def _transaction(self) -> Iterator[_Session]:
        try:
            connection = self._connection()
            with connection.transaction():
                yield _Session(connection)
        except psycopg.IntegrityError:
            raise
        except psycopg.Error as error:  # nobody is there, the tables are not, or they are not ours to write
            self.close()
            raise ControlAway(f"Postgres: {str(error).splitlines()[0]}") from error

    def _connection(self) -> psycopg.Connection[Row]:
        if self._opened is None or self._opened.closed:
            self._opened = psycopg.connect(
                self._url,
                autocommit=True,  # transactions are ours to begin
                connect_timeout=_CONNECT_S,
                options=_OPTIONS,
                application_name="tidegate",
            )
        return self._opened


class _Session:
    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def run(self, sql: str, *values: object) -> Sequence[Row]:
        text = sql.replace("?", "%s")
        # without values a percent sign is one, and several statements may be sent at once
        cursor = self._connection.execute(text, values) if values else self._connection.execute(text)
        return cursor.fetchall() if cursor.description is not None else []
