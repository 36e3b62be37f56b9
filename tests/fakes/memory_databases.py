"""The databases a ledger may lie in: a file, and a real Postgres server that one test after the other empties."""

from __future__ import annotations

from pathlib import Path

import psycopg

from memory.sealed import UNSEALED, Sealer
from memory.store.connection import Connections
from memory.store.place import open_ledger
from memory.store.postgres import SCHEMA

_KEPT = ("applied", "digest_key")


class Database:
    """Opens connections of its own to one and the same ledger, as often as it is asked."""

    def __init__(self, folder: Path, url: str, sealer: Sealer = UNSEALED) -> None:
        self.folder = folder
        self.url = url
        self.sealer = sealer
        self._opened: list[Connections] = []

    def open(self) -> Connections:
        """Return them; they are closed when the test is over."""
        made = open_ledger(self.folder, self.url, sealer=self.sealer)
        self._opened.append(made)
        return made

    def held(self) -> str:
        """Return every row of every table."""
        connection = self.open().read()
        names = (
            f"SELECT tablename AS name FROM pg_tables WHERE schemaname = '{SCHEMA}'"
            if self.url
            else "SELECT name FROM sqlite_master WHERE type = 'table'"
        )
        tables = [row["name"] for row in connection.execute(names).fetchall()]
        return "\n".join(
            repr(tuple(row)) for one in tables for row in connection.execute(f"SELECT * FROM {one}")
        )

    def on_disk(self) -> bytes:
        """Return what the files hold; of a server, what its tables do."""
        if self.url:
            return self.held().encode()
        return b"".join(path.read_bytes() for path in self.folder.iterdir())

    def close(self) -> None:
        """Close all of them."""
        for one in self._opened:
            one.close()


def empty(url: str) -> None:
    """Take every row out of a ledger, if there is one."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (SCHEMA,))
        names = [name for (name,) in rows if name not in _KEPT]
        connection.execute("SET session_replication_role = replica")  # in any order
        for name in names:
            connection.execute(f"DELETE FROM {SCHEMA}.{name}".encode())
