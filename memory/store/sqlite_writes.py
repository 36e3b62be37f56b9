"""The statements that change memories; each runs inside a transaction of the ledger's."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from memory.chain import after, align, id_of, root_of
from memory.records import Draft, Terms, Turn
from memory.scope import Scope
from memory.store.sqlite_outbox import drop_vectors, enqueue, terms_of

_PLACES = 16
"""How many places of the same words are tried when a history begins in the middle."""


def scope_row(connection: sqlite3.Connection, scope: Scope) -> int:
    """Return the row of exactly this scope, made if it is not there."""
    names = (scope.project, scope.environment, scope.user, scope.agent, scope.run)
    connection.execute(
        "INSERT OR IGNORE INTO scopes (project, environment, user, agent, run) VALUES (?, ?, ?, ?, ?)", names
    )
    (found,) = connection.execute(
        "SELECT id FROM scopes WHERE project = ? AND environment = ? AND user = ? AND agent = ? AND run = ?",
        names,
    ).fetchone()
    return int(found)


def reads_the_same(connection: sqlite3.Connection, scope_id: int, same: bytes) -> str | None:
    """Return the id of a memory of this scope that says the same."""
    row = connection.execute(
        "SELECT id FROM memories WHERE scope_id = ? AND same = ? AND deleted = 0", (scope_id, same)
    ).fetchone()
    return None if row is None else str(row["id"])


def insert(connection: sqlite3.Connection, scope_id: int, draft: Draft, now_us: int) -> None:
    """Store a new memory, its first version, its evidence, and tell the index."""
    connection.execute(
        "INSERT INTO memories (id, scope_id, version, text, terms, same, kind, trust, actor, metadata,"
        " created_us, updated_us, occurred_us) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            draft.id,
            scope_id,
            draft.text,
            msgspec.msgpack.encode(draft.terms),
            draft.same,
            draft.kind,
            draft.trust,
            draft.actor,
            msgspec.json.encode(draft.metadata),
            now_us,
            now_us,
            draft.occurred_at_us,
        ),
    )
    _version(connection, draft.id, 1, "ADD", None, draft.text, now_us)
    if (evidence := draft.evidence) is not None:
        connection.execute(
            "INSERT INTO evidence (memory_id, call_id, message_index, thread_id, quote) VALUES (?, ?, ?, ?, ?)",
            (draft.id, evidence.call_id, evidence.message_index, evidence.thread_id, evidence.quote),
        )
    _count(connection, scope_id, draft.terms, 1)
    enqueue(connection, draft.id)


def rewrite(connection: sqlite3.Connection, row: sqlite3.Row, draft: Draft, now_us: int) -> None:
    """Give a memory another text, as its next version."""
    version = row["version"] + 1
    connection.execute(
        "UPDATE memories SET text = ?, terms = ?, same = ?, version = ?, updated_us = ? WHERE id = ?",
        (draft.text, msgspec.msgpack.encode(draft.terms), draft.same, version, now_us, row["id"]),
    )
    _version(connection, row["id"], version, "UPDATE", row["text"], draft.text, now_us)
    _count(connection, row["scope_id"], terms_of(row["terms"]), -1)
    _count(connection, row["scope_id"], draft.terms, 1)
    enqueue(connection, row["id"])


def erase(connection: sqlite3.Connection, row: sqlite3.Row, now_us: int) -> None:
    """Take every word of a memory out of every table, and tell the index."""
    memory_id = row["id"]
    connection.execute(
        "UPDATE memories SET deleted = 1, text = '', terms = x'80', same = x'', actor = '', metadata = x'7b7d',"
        " version = version + 1, updated_us = ? WHERE id = ?",
        (now_us, memory_id),
    )
    connection.execute(
        "UPDATE versions SET old_text = NULL, new_text = NULL WHERE memory_id = ?", (memory_id,)
    )
    connection.execute("UPDATE evidence SET quote = '' WHERE memory_id = ?", (memory_id,))
    _version(connection, memory_id, row["version"] + 1, "DELETE", None, None, now_us)
    _count(connection, row["scope_id"], terms_of(row["terms"]), -1)
    drop_vectors(connection, row["scope_id"], memory_id)
    enqueue(connection, memory_id)


def note(
    connection: sqlite3.Connection,
    scope_id: int,
    now_us: int,
    action: str,
    actor: str,
    memory_id: str,
    count: int,
) -> None:
    """Write an audit row."""
    connection.execute(
        "INSERT INTO audit (scope_id, at_us, action, actor, memory_id, count) VALUES (?, ?, ?, ?, ?, ?)",
        (scope_id, now_us, action, actor, memory_id, count),
    )


def capture(
    connection: sqlite3.Connection,
    scope: Scope,
    scope_id: int,
    thread_id: str,
    turns: Sequence[Turn],
    *,
    key: bytes,
    now_us: int,
) -> list[str]:
    """Store the turns that the chain does not know; return the ids of their memories."""
    root = root_of(key, msgspec.json.encode(msgspec.structs.astuple(scope)), thread_id)
    trail = _Trail(connection, root)
    known, node = align(key, root, [turn.content for turn in turns], trail, named=bool(thread_id))
    added = []
    for turn in turns[known:]:
        following = after(key, node, turn.content)
        connection.execute(
            "INSERT INTO seen (node, root, parent, content, at_us) VALUES (?, ?, ?, ?, ?)",
            (following, root, node, turn.content, now_us),
        )
        draft = msgspec.structs.replace(turn.draft, id=id_of(following))
        insert(connection, scope_id, draft, now_us)
        added.append(draft.id)
        node = following
    return added


class _Trail:
    """The chain of one root, as it stands inside the transaction."""

    def __init__(self, connection: sqlite3.Connection, root: bytes) -> None:
        self._connection = connection
        self._root = root

    def knows(self, node: bytes) -> bool:
        """Say whether the node is there."""
        found = self._connection.execute(
            "SELECT 1 FROM seen WHERE node = ? AND root = ?", (node, self._root)
        ).fetchone()
        return found is not None

    def places(self, content: bytes) -> Sequence[bytes]:
        """Return the latest nodes with this content."""
        rows = self._connection.execute(
            "SELECT node FROM seen WHERE root = ? AND content = ? ORDER BY at_us DESC, node LIMIT ?",
            (self._root, content, _PLACES),
        )
        return [row["node"] for row in rows]

    def is_last(self, node: bytes) -> bool:
        """Say whether nothing was said after it."""
        found = self._connection.execute("SELECT 1 FROM seen WHERE parent = ?", (node,)).fetchone()
        return found is None


def _version(
    connection: sqlite3.Connection,
    memory_id: str,
    version: int,
    event: str,
    old: str | None,
    new: str | None,
    now_us: int,
) -> None:
    connection.execute(
        "INSERT INTO versions (memory_id, version, event, old_text, new_text, at_us) VALUES (?, ?, ?, ?, ?, ?)",
        (memory_id, version, event, old, new, now_us),
    )


def _count(connection: sqlite3.Connection, scope_id: int, terms: Terms, sign: int) -> None:
    connection.execute(
        "UPDATE scopes SET documents = documents + ?, length = length + ? WHERE id = ?",
        (sign, sign * sum(terms.values()), scope_id),
    )
    if sign > 0:
        connection.executemany(
            "INSERT INTO term_counts (scope_id, term, documents) VALUES (?, ?, 1)"
            " ON CONFLICT DO UPDATE SET documents = documents + 1",
            [(scope_id, term) for term in terms],
        )
        return
    rows = [(scope_id, term) for term in terms]
    connection.executemany(
        "UPDATE term_counts SET documents = documents - 1 WHERE scope_id = ? AND term = ?", rows
    )
    connection.executemany("DELETE FROM term_counts WHERE scope_id = ? AND term = ? AND documents <= 0", rows)
