"""Where a ledger lies: in a file of its folder, or on a server."""

from __future__ import annotations

from pathlib import Path

from memory.sealed import UNSEALED, Sealer
from memory.store.connection import Connections
from memory.store.sqlite_connections import SqliteConnections


def open_ledger(folder: Path, url: str, *, sealer: Sealer = UNSEALED) -> Connections:
    """Open or make the tables. `url`: of a Postgres server; empty: a file.

    Raises LedgerAway, WrongKey, OSError, sqlite3.Error.
    """
    if not url:
        return SqliteConnections(folder / "memory.sqlite3", sealer=sealer)
    # its client takes a tenth of a second to import, which most houses never need
    from memory.store.postgres import PostgresConnections  # noqa: PLC0415

    return PostgresConnections(url, sealer=sealer)


def shared_key(connections: Connections, mine: bytes) -> bytes:
    """Return the key of the ledger's digests: this folder's, or where several hubs write, that of the first of them."""
    if not connections.shared:
        return mine
    with connections.write() as connection:
        connection.execute("INSERT INTO digest_key (one, key) VALUES (1, ?) ON CONFLICT DO NOTHING", (mine,))
        found: bytes = connection.execute("SELECT key FROM digest_key").fetchone()["key"]
    return found
