from __future__ import annotations

import sqlite3

import pytest

from memory.store.sqlite_connections import SqliteConnections


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    connections = SqliteConnections(tmp_path / "m.sqlite3")
    insert = "INSERT INTO scopes (project, environment, user, agent, run) VALUES ('p', 'e', 'u', '', '')"

    def twice(connections: SqliteConnections) -> None:
        with connections.write() as connection:
            connection.execute(insert)
            connection.execute(insert)

    with pytest.raises(sqlite3.IntegrityError):
        twice(connections)
    assert connections.read().execute("SELECT count(*) FROM scopes").fetchone()[0] == 0
    with connections.write() as connection:
        connection.execute(insert)
    assert connections.read().execute("SELECT count(*) FROM scopes").fetchone()[0] == 1
    connections.close()


def test_an_acknowledged_write_is_synced_and_erased_words_are_overwritten(tmp_path):
    connections = SqliteConnections(tmp_path / "m.sqlite3")
    with connections.write() as connection:
        pragmas = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1}
    connections.close()


def test_a_ledger_of_a_newer_program_is_left_alone(tmp_path):
    path = tmp_path / "m.sqlite3"
    SqliteConnections(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RuntimeError, match="newer"):
        SqliteConnections(path)
