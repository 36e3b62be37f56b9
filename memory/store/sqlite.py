"""The ledger in a SQL database, and in a SQLite file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from memory.apply import Asserted
from memory.clock import Clock, SystemClock
from memory.filters import EVERYTHING, Condition
from memory.records import (
    NOW,
    AuditEntry,
    Candidate,
    Change,
    Draft,
    Edge,
    Evidence,
    Graph,
    Job,
    Memory,
    Moment,
    Statistics,
    Turn,
    Vector,
    Version,
)
from memory.scope import Scope
from memory.sealed import UNSEALED, Sealer
from memory.store import sql_arms as arms
from memory.store import sql_claims as claims
from memory.store import sql_gates as gates
from memory.store import sql_graph as graph
from memory.store import sql_outbox as outbox
from memory.store import sql_reads as reads
from memory.store import sql_summaries as summaries
from memory.store import sql_suppression as suppression
from memory.store import sql_writes as writes
from memory.store.connection import Connection, Connections, Row, as_list, within
from memory.store.sql_calls import SqliteCalls
from memory.store.sql_collections import SqlCollections
from memory.store.sql_job_turns import all_erased
from memory.store.sql_jobs import SqliteJobs
from memory.store.sql_upkeep import SqliteUpkeep
from memory.store.sqlite_connections import SqliteConnections
from memory.store.where import AT, at, where

_STORED = (
    "SELECT m.*, s.project, s.environment, s.user, s.agent, s.run"
    " FROM memories m JOIN scopes s ON s.id = m.scope_id"
    " WHERE m.deleted = 0 AND m.scope_id IN (SELECT id FROM visible) "
)
_MEMORY = _STORED + "AND m.hidden = 0 "
_HISTORY = (
    "SELECT v.* FROM memories m JOIN versions v ON v.memory_id = m.id"
    " WHERE m.id = :id AND m.scope_id IN (SELECT id FROM visible) ORDER BY v.version"
)
_EVIDENCE = (
    "SELECT e.call_id, e.message_index, e.quote, e.thread_id FROM memories m"
    " JOIN evidence e ON e.memory_id = m.id"
    " WHERE m.id = :id AND m.scope_id IN (SELECT id FROM visible)"
)
_USES = (
    "SELECT u.call_id FROM memories m JOIN uses u ON u.memory_id = m.id"
    " WHERE m.id = :id AND m.scope_id IN (SELECT id FROM visible) ORDER BY u.at_us, u.call_id"
)


class SqlLedger:
    """Safe to call from several threads, and over a database that is shared from several processes."""

    def __init__(self, connections: Connections, *, key: bytes, clock: Clock | None = None) -> None:
        """`key` is that of the digests of what was erased. The connections are closed with the ledger."""
        self._connections = connections
        self._key = key
        self._clock = clock or SystemClock()
        self.jobs = SqliteJobs(self._connections)
        self.upkeep = SqliteUpkeep(self._connections)
        self.calls = SqliteCalls(self._connections)
        self.collections = SqlCollections(self._connections)

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
            before = connection.execute("SELECT max(id) AS last FROM scopes").fetchone()["last"] or 0
            scope_id = writes.scope_row(connection, scope)
            kept = suppression.kept(connection, self._key, scope, turns)
            added = writes.capture(
                connection, scope, scope_id, thread_id, turns, key=key, now_us=now_us, kept=kept
            )
            if added:
                writes.note(connection, scope_id, now_us, "capture", "", "", len(added))
            elif scope_id > before:
                # it was all known or erased: nothing is to be written under a name that may have been erased
                connection.execute("DELETE FROM scopes WHERE id = ?", (scope_id,))
        return added

    def apply(
        self,
        scope: Scope,
        asserted: Sequence[Asserted],
        *,
        batch: str,
        fingerprint: str,
        actor: str = "",
    ) -> list[Change]:
        """Let the memories follow from these claims and all earlier ones; a claim that is known changes nothing."""
        now_us = self._clock.now_us()
        with self._connections.write() as connection:
            wanted = suppression.wanted(connection, self._key, scope, asserted)
            if not wanted:
                return []
            scope_id = writes.scope_row(connection, scope)
            changes = claims.apply(
                connection, scope_id, wanted, batch=batch, fingerprint=fingerprint, now_us=now_us
            )
            for change in changes:
                if change.event != "NONE":
                    action = change.event.lower()
                    writes.note(
                        connection, scope_id, now_us, action, actor, change.memory_id, 1, reason=batch
                    )
        return changes

    def get(self, scope: Scope, memory_id: str) -> Memory | None:
        """Return the memory, if it is visible, whether it still holds or not."""
        return self._get(self._connections.read(), scope, memory_id)

    def page(
        self,
        scope: Scope,
        *,
        limit: int,
        offset: int = 0,
        moment: Moment = NOW,
        condition: Condition = EVERYTHING,
    ) -> list[Memory]:
        """Return memories, newest first."""
        asked, parameters = where(condition)
        rows = within(
            self._connections.read(),
            scope,
            _MEMORY + AT + asked + "ORDER BY m.created_us DESC, m.seq DESC LIMIT :limit OFFSET :offset",
            {"limit": limit, "offset": offset, **at(moment, self._clock.now_us()), **parameters},
        )
        return [outbox.memory_of(row) for row in rows]

    def among(self, scope: Scope, ids: Collection[str], condition: Condition) -> set[str]:
        """Return which of the visible memories are as asked for."""
        asked, parameters = where(condition)
        statement = _MEMORY + asked + "AND m.id IN (SELECT value FROM json_each(:ids))"  # noqa: S608 - ours
        rows = within(self._connections.read(), scope, statement, {"ids": as_list(ids), **parameters})
        return {row["id"] for row in rows}

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
                writes.spend(connection, memory_id)
                writes.rewrite(connection, row, draft, now_us)
                connection.execute(
                    "UPDATE memories SET subject = '', predicate = '', object = '' WHERE id = ?", (memory_id,)
                )
            if metadata is not None:
                connection.execute(
                    "UPDATE memories SET metadata = ?, updated_us = ? WHERE id = ?",
                    (msgspec.json.encode(metadata), now_us, memory_id),
                )
            writes.note(connection, row["scope_id"], now_us, "update", actor, memory_id, 1)
            return self._get(connection, scope, memory_id)

    def delete(self, scope: Scope, memory_id: str, *, actor: str = "") -> bool:
        """Delete it; False if it is not visible."""
        which = (
            "AND m.id IN (WITH RECURSIVE same (id) AS (SELECT id FROM memories WHERE id = :id"
            " UNION SELECT o.id FROM memories o JOIN same"
            " ON o.superseded_by = same.id WHERE o.hidden = 1) SELECT id FROM same)"
        )
        with self._connections.write() as connection:
            rows = within(connection, scope, _STORED + which, {"id": memory_id}).fetchall()
            gone = self._erase(connection, rows, "delete", actor)
            summaries.retract(connection, rows, self._clock.now_us())
        if gone:
            self._connections.checkpoint()
        return memory_id in gone

    def delete_all(self, scope: Scope, *, actor: str = "") -> int:
        """Delete everything visible and the names of the scopes; return how much it was."""
        with self._connections.write() as connection:
            rows = within(connection, scope, _STORED).fetchall()
            gone = self._erase(connection, rows, "delete_all", actor)
            all_erased(connection, scope, self._clock.now_us())
            suppression.forget_scopes(connection, self._key, scope, self._clock.now_us())
        self._connections.checkpoint()
        return len(gone)

    def expire(self, *, limit: int) -> int:
        """Delete memories whose time is up, of any scope; return how many it were."""
        now_us = self._clock.now_us()
        with self._connections.write() as connection:
            rows = connection.execute(
                "SELECT * FROM memories WHERE deleted = 0 AND expires_us BETWEEN 1 AND ? LIMIT ?",
                (now_us, limit),
            ).fetchall()
            for row in rows:
                writes.erase(connection, row, now_us)
                writes.note(
                    connection, row["scope_id"], now_us, "expire", "", row["id"], 1, reason="expires_at"
                )
            summaries.retract(connection, rows, now_us)
        if rows:
            self._connections.checkpoint()
        return len(rows)

    def history(self, scope: Scope, memory_id: str) -> list[Version]:
        """Return every version, oldest first; empty if it is not visible."""
        connection = self._connections.read()
        rows = within(connection, scope, _HISTORY, {"id": memory_id}).fetchall()
        proofs = connection.execute(
            "SELECT claim_id, call_id, message_index, quote, thread_id FROM evidence"
            " WHERE claim_id IN (SELECT value FROM json_each(?))",
            (as_list({row["claim_id"] for row in rows} - {""}),),
        ).fetchall()
        return [reads.version_of(row, proofs) for row in rows]

    def evidence(self, scope: Scope, memory_id: str) -> list[Evidence]:
        """Return where the memory comes from."""
        rows = within(
            self._connections.read(),
            scope,
            _EVIDENCE,
            {"id": memory_id},
        )
        return reads.evidence_of(rows)

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
                "INSERT INTO uses (memory_id, call_id, at_us) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
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
            "SELECT at_us, action, actor, memory_id, count, reason FROM audit"
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
            " WHERE scope_id IN (SELECT id FROM visible) AND term IN (SELECT CAST(value AS BIGINT) FROM json_each(:terms))"
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

    def candidates(
        self, scope: Scope, ids: Collection[str], *, fingerprint: str, moment: Moment = NOW
    ) -> list[Candidate]:
        """Return those of the memories that are visible, in any order."""
        rows = within(
            self._connections.read(),
            scope,
            reads.CANDIDATES + AT,
            {"ids": as_list(ids), "fingerprint": fingerprint, **at(moment, self._clock.now_us())},
        )
        return [reads.candidate_of(row) for row in rows]

    def named(self, scope: Scope, names: Collection[str]) -> list[str]:
        """Return which of the names are entities or aliases here."""
        return graph.named(self._connections.read(), scope, names)

    def about(
        self, scope: Scope, names: Collection[str], *, hops: int = 1, limit: int = 60, moment: Moment = NOW
    ) -> list[tuple[str, int]]:
        """Return memories about the entities with these names, and how far away they are."""
        when = at(moment, self._clock.now_us())
        return graph.about(self._connections.read(), scope, names, when, hops=hops, limit=limit)

    def around(self, scope: Scope, ids: Collection[str]) -> dict[str, list[tuple[int, str]]]:
        """Return the neighbours of each turn within its conversation: where they stand, and their ids."""
        return arms.around(self._connections.read(), scope, ids)

    def dated(self, scope: Scope, start_us: int, end_us: int, *, limit: int) -> list[str]:
        """Return what was said in a span of time, latest first."""
        return arms.dated(self._connections.read(), scope, start_us, end_us, limit)

    def speakers(self, scope: Scope) -> list[str]:
        """Return the names of those who said something."""
        return arms.speakers(self._connections.read(), scope)

    def edges(self, scope: Scope, ids: Collection[str], *, moment: Moment = NOW) -> list[Edge]:
        """Return the edges of these memories and of those that share an entity with them."""
        return graph.edges(self._connections.read(), scope, ids, at(moment, self._clock.now_us()))

    def graph(self, scope: Scope, *, limit: int, moment: Moment = NOW) -> Graph:
        """Return the newest edges, and the entities they connect."""
        return graph.graph(self._connections.read(), scope, at(moment, self._clock.now_us()), limit=limit)

    def gate(self, fingerprint: str) -> float | None:
        """Return `Gate.dense` as it was calibrated for this embedder, if it was."""
        return gates.gate(self._connections.read(), fingerprint)

    def pending(self, limit: int, *, fingerprint: str, ids: Collection[str] | None = None) -> list[Job]:
        """Return jobs that are due, oldest first; with `ids`, those of these memories, due or not."""
        now_us = self._clock.now_us()
        return outbox.pending(self._connections.read(), limit, now_us, fingerprint=fingerprint, ids=ids)

    def indexed(
        self,
        jobs: Sequence[tuple[Job, Vector | None]],
        *,
        fingerprint: str,
        told: Collection[str] = (),
    ) -> bool:
        """Note the vectors and drop the jobs, unless a memory has changed since."""
        with self._connections.write() as connection:
            if not outbox.live(connection).keys() <= {*told}:
                return False
            for job, vector in jobs:
                outbox.indexed(connection, job, vector, fingerprint)
        return True

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

    def shown(self, *, fingerprint: str) -> dict[str, bool]:
        """Return the id of every memory that the index should have, and whether its vector is known."""
        return outbox.shown(self._connections.read(), fingerprint)

    def enqueue(self, ids: Sequence[str]) -> None:
        """Have the index look at these memories."""
        with self._connections.write() as connection:
            for memory_id in ids:
                outbox.enqueue(connection, memory_id)

    def close(self) -> None:
        """Close the file."""
        self._connections.close()

    def _get(self, connection: Connection, scope: Scope, memory_id: str) -> Memory | None:
        row = within(connection, scope, _MEMORY + "AND m.id = :id", {"id": memory_id}).fetchone()
        return None if row is None else outbox.memory_of(row)

    def _erase(self, connection: Connection, rows: Sequence[Row], action: str, actor: str) -> set[str]:
        """Erase memories, joined with their scopes, and have them stay away; return the ids of those that were shown."""
        now_us = self._clock.now_us()
        for row in rows:
            suppression.suppress(connection, self._key, row, now_us)
            writes.erase(connection, row, now_us)
            writes.note(connection, row["scope_id"], now_us, action, actor, row["id"], 1)
        return {row["id"] for row in rows if not row["hidden"]}


class SqliteLedger(SqlLedger):
    """In a file: one writing process."""

    def __init__(
        self, path: Path, *, key: bytes, clock: Clock | None = None, sealer: Sealer = UNSEALED
    ) -> None:
        """Open or make the file. Raises WrongKey."""
        super().__init__(SqliteConnections(path, sealer=sealer), key=key, clock=clock)
