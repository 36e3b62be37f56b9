"""The ledger in a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from memory.clock import Clock, SystemClock
from memory.records import (
    AuditEntry,
    Candidate,
    Draft,
    Evidence,
    Job,
    Memory,
    Statistics,
    Turn,
    Vector,
    Version,
)
from memory.scope import Scope
from memory.store import sqlite_outbox as outbox
from memory.store import sqlite_writes as writes
from memory.store.connection import Connections, as_list, within

_MEMORY = (
    "SELECT m.*, s.project, s.environment, s.user, s.agent, s.run"
    " FROM memories m JOIN scopes s ON s.id = m.scope_id"
    " WHERE m.deleted = 0 AND m.scope_id IN (SELECT id FROM visible) "
)
_HISTORY = (
    "SELECT v.* FROM memories m JOIN versions v ON v.memory_id = m.id"
    " WHERE m.id = :id AND m.scope_id IN (SELECT id FROM visible) ORDER BY v.version"
)
_EVIDENCE = (
    "SELECT e.call_id, e.message_index, e.quote, e.thread_id FROM memories m"
    " JOIN evidence e ON e.memory_id = m.id"
    " WHERE m.id = :id AND m.scope_id IN (SELECT id FROM visible) ORDER BY e.call_id, e.message_index"
)
_USES = (
    "SELECT u.call_id FROM memories m JOIN uses u ON u.memory_id = m.id"
    " WHERE m.id = :id AND m.scope_id IN (SELECT id FROM visible) ORDER BY u.at_us, u.call_id"
)


class SqliteLedger:
    """One file, one writing process. Safe to call from several threads."""

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connections = Connections(path)
        self._clock = clock or SystemClock()

    def add(self, scope: Scope, drafts: Sequence[Draft], *, actor: str = "") -> list[tuple[str, bool]]:
        """Store them; return each one's id and whether it is new: what reads the same is not stored again."""
        now_us = self._clock.now_us()
        done: list[tuple[str, bool]] = []
        with self._connections.write() as connection:
            scope_id = writes.scope_row(connection, scope)
            for draft in drafts:
                there = writes.reads_the_same(connection, scope_id, draft.same)
                if there is None:
                    writes.insert(connection, scope_id, draft, now_us)
                    writes.note(connection, scope_id, now_us, "add", actor, draft.id, 1)
                done.append((there or draft.id, there is None))
        return done

    def capture(self, scope: Scope, thread_id: str, turns: Sequence[Turn], *, key: bytes) -> list[str]:
        """Store the turns that the chain does not know yet; return their ids."""
        now_us = self._clock.now_us()
        with self._connections.write() as connection:
            scope_id = writes.scope_row(connection, scope)
            added = writes.capture(connection, scope, scope_id, thread_id, turns, key=key, now_us=now_us)
            if added:
                writes.note(connection, scope_id, now_us, "capture", "", "", len(added))
        return added

    def get(self, scope: Scope, memory_id: str) -> Memory | None:
        """Return the memory, if it is visible."""
        return self._get(self._connections.read(), scope, memory_id)

    def page(self, scope: Scope, *, limit: int, offset: int = 0) -> list[Memory]:
        """Return memories, newest first."""
        rows = within(
            self._connections.read(),
            scope,
            _MEMORY + "ORDER BY m.created_us DESC, m.rowid DESC LIMIT :limit OFFSET :offset",
            {"limit": limit, "offset": offset},
        )
        return [outbox.memory_of(row) for row in rows]

    def update(
        self,
        scope: Scope,
        memory_id: str,
        draft: Draft | None,
        *,
        metadata: dict[str, Any] | None = None,
        actor: str = "",
    ) -> Memory | None:
        """Give the memory the text of the draft, the metadata, or both; None if it is not visible."""
        now_us = self._clock.now_us()
        with self._connections.write() as connection:
            row = within(connection, scope, _MEMORY + "AND m.id = :id", {"id": memory_id}).fetchone()
            if row is None:
                return None
            if draft is not None and draft.text != row["text"]:
                writes.rewrite(connection, row, draft, now_us)
            if metadata is not None:
                connection.execute(
                    "UPDATE memories SET metadata = ?, updated_us = ? WHERE id = ?",
                    (msgspec.json.encode(metadata), now_us, memory_id),
                )
            writes.note(connection, row["scope_id"], now_us, "update", actor, memory_id, 1)
            return self._get(connection, scope, memory_id)

    def delete(self, scope: Scope, memory_id: str, *, actor: str = "") -> bool:
        """Delete it; False if it is not visible."""
        return self._delete(scope, "AND m.id = :id", {"id": memory_id}, "delete", actor) > 0

    def delete_all(self, scope: Scope, *, actor: str = "") -> int:
        """Delete everything visible; return how much it was."""
        return self._delete(scope, "", {}, "delete_all", actor)

    def history(self, scope: Scope, memory_id: str) -> list[Version]:
        """Return every version, oldest first; empty if it is not visible."""
        rows = within(
            self._connections.read(),
            scope,
            _HISTORY,
            {"id": memory_id},
        )
        return [
            Version(
                memory_id=row["memory_id"],
                version=row["version"],
                event=row["event"],
                old_text=row["old_text"],
                new_text=row["new_text"],
                at_us=row["at_us"],
            )
            for row in rows
        ]

    def evidence(self, scope: Scope, memory_id: str) -> list[Evidence]:
        """Return where the memory comes from."""
        rows = within(
            self._connections.read(),
            scope,
            _EVIDENCE,
            {"id": memory_id},
        )
        return [Evidence(**dict(row)) for row in rows]

    def confirm(self, scope: Scope, call_id: str, ids: Collection[str]) -> int:
        """Note that these memories went into this call; return how many of them are visible."""
        with self._connections.write() as connection:
            found = within(
                connection,
                scope,
                "SELECT id FROM memories WHERE deleted = 0 AND scope_id IN (SELECT id FROM visible)"
                " AND id IN (SELECT value FROM json_each(:ids))",
                {"ids": as_list(ids)},
            ).fetchall()
            connection.executemany(
                "INSERT OR IGNORE INTO uses (memory_id, call_id, at_us) VALUES (?, ?, ?)",
                [(row["id"], call_id, self._clock.now_us()) for row in found],
            )
        return len(found)

    def uses(self, scope: Scope, memory_id: str) -> list[str]:
        """Return the ids of the calls the memory went into."""
        rows = within(
            self._connections.read(),
            scope,
            _USES,
            {"id": memory_id},
        )
        return [row["call_id"] for row in rows]

    def audit(self, scope: Scope, *, limit: int) -> list[AuditEntry]:
        """Return what was changed in this scope, latest first."""
        rows = within(
            self._connections.read(),
            scope,
            "SELECT at_us, action, actor, memory_id, count FROM audit"
            " WHERE scope_id IN (SELECT id FROM visible) ORDER BY id DESC LIMIT :limit",
            {"limit": limit},
        )
        return [AuditEntry(**dict(row)) for row in rows]

    def statistics(self, scope: Scope, terms: Collection[int], *, fingerprint: str) -> Statistics:
        """Return the scope's numbers; `vectors` and `vector_sum` are of this embedder."""
        connection = self._connections.read()
        size = within(
            connection,
            scope,
            "SELECT coalesce(sum(documents), 0) AS documents, coalesce(sum(length), 0) AS length"
            " FROM scopes WHERE id IN (SELECT id FROM visible)",
        ).fetchone()
        frequencies = within(
            connection,
            scope,
            "SELECT term, sum(documents) AS documents FROM term_counts"
            " WHERE scope_id IN (SELECT id FROM visible) AND term IN (SELECT value FROM json_each(:terms))"
            " GROUP BY term",
            {"terms": as_list(terms)},
        )
        sums = within(
            connection,
            scope,
            "SELECT vectors, total FROM vector_sums"
            " WHERE fingerprint = :fingerprint AND scope_id IN (SELECT id FROM visible)",
            {"fingerprint": fingerprint},
        ).fetchall()
        totals = [np.frombuffer(row["total"], dtype=np.float32) for row in sums if row["vectors"]]
        return Statistics(
            documents=size["documents"],
            length=size["length"],
            frequencies={row["term"]: row["documents"] for row in frequencies},
            vectors=sum(row["vectors"] for row in sums),
            vector_sum=np.sum(totals, axis=0, dtype=np.float32) if totals else None,
        )

    def candidates(self, scope: Scope, ids: Collection[str], *, fingerprint: str) -> list[Candidate]:
        """Return those of the memories that are visible, in any order."""
        rows = within(
            self._connections.read(),
            scope,
            # CROSS JOIN: begin with the few ids, not with the scope
            "SELECT m.id, m.text, m.terms, m.same, m.trust, m.occurred_us, v.vector"
            " FROM json_each(:ids) wanted CROSS JOIN memories m ON m.id = wanted.value"
            " LEFT JOIN vectors v"
            " ON v.memory_id = m.id AND v.fingerprint = :fingerprint AND v.version = m.version"
            " WHERE m.deleted = 0 AND m.scope_id IN (SELECT id FROM visible)",
            {"ids": as_list(ids), "fingerprint": fingerprint},
        )
        return [
            Candidate(
                id=row["id"],
                text=row["text"],
                terms=outbox.terms_of(row["terms"]),
                same=row["same"],
                trust=row["trust"],
                occurred_at_us=row["occurred_us"],
                vector=outbox.vector_of(row["vector"]),
            )
            for row in rows
        ]

    def pending(self, limit: int, *, fingerprint: str, ids: Collection[str] | None = None) -> list[Job]:
        """Return jobs that are due, oldest first; with `ids`, those of these memories, due or not."""
        now_us = self._clock.now_us()
        return outbox.pending(self._connections.read(), limit, now_us, fingerprint=fingerprint, ids=ids)

    def indexed(self, jobs: Sequence[tuple[Job, Vector | None]], *, fingerprint: str) -> None:
        """Note the vectors and drop the jobs, unless a memory has changed since."""
        with self._connections.write() as connection:
            for job, vector in jobs:
                outbox.indexed(connection, job, vector, fingerprint)

    def postponed(self, jobs: Sequence[Job], *, until_us: int) -> None:
        """Leave the jobs for later."""
        with self._connections.write() as connection:
            connection.executemany(
                "UPDATE outbox SET attempts = attempts + 1, due_us = ? WHERE memory_id = ? AND generation = ?",
                [(until_us, job.memory_id, job.generation) for job in jobs],
            )

    def backlog(self) -> int:
        """Return how many jobs there are."""
        (count,) = self._connections.read().execute("SELECT count(*) FROM outbox").fetchone()
        return int(count)

    def reconcile(self, present: Collection[str], *, fingerprint: str) -> tuple[int, list[str]]:
        """Make jobs for memories that the index or their vectors lack; return how many, and whose points to drop."""
        with self._connections.write() as connection:
            return outbox.reconcile(connection, set(present), fingerprint)

    def close(self) -> None:
        """Close the file."""
        self._connections.close()

    def _get(self, connection: sqlite3.Connection, scope: Scope, memory_id: str) -> Memory | None:
        row = within(connection, scope, _MEMORY + "AND m.id = :id", {"id": memory_id}).fetchone()
        return None if row is None else outbox.memory_of(row)

    def _delete(
        self, scope: Scope, which: str, parameters: dict[str, object], action: str, actor: str
    ) -> int:
        now_us = self._clock.now_us()
        with self._connections.write() as connection:
            rows = within(connection, scope, _MEMORY + which, parameters).fetchall()
            for row in rows:
                writes.erase(connection, row, now_us)
                writes.note(connection, row["scope_id"], now_us, action, actor, row["id"], 1)
        if rows:
            self._connections.checkpoint()
        return len(rows)
