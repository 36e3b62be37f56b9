"""The outbox and the vectors: how the index follows the ledger. Across scopes; nothing here answers anybody."""

from __future__ import annotations

import secrets
from collections.abc import Collection

import msgspec
import numpy as np

from memory.records import Job, Memory, Terms, Vector
from memory.scope import Scope
from memory.store.connection import Connection, Row, as_list

_TERMS = msgspec.msgpack.Decoder(Terms)


def terms_of(blob: bytes) -> Terms:
    """Read the terms as they are stored."""
    return _TERMS.decode(blob)


def vector_of(blob: bytes | None) -> Vector | None:
    """Read a vector as it is stored."""
    return None if blob is None else np.frombuffer(blob, dtype=np.float32)


def memory_of(row: Row) -> Memory:
    """Read a memory joined with its scope."""
    return Memory(
        id=row["id"],
        text=row["text"],
        scope=Scope(
            project=row["project"],
            environment=row["environment"],
            user=row["user"],
            agent=row["agent"],
            run=row["run"],
        ),
        created_at_us=row["created_us"],
        updated_at_us=row["updated_us"],
        occurred_at_us=row["occurred_us"],
        version=row["version"],
        trust=row["trust"],
        kind=row["kind"],
        actor=row["actor"],
        metadata=msgspec.json.decode(row["metadata"]),
        subject=row["subject"],
        predicate=row["predicate"],
        object=row["object"],
        negative=bool(row["negative"]),
        valid_from_us=row["valid_from_us"],
        valid_to_us=row["valid_to_us"],
        superseded_by=row["superseded_by"],
        proof_count=row["proof_count"],
        confidence=row["confidence"],
        sensitivity=row["sensitivity"],
        quarantined=bool(row["quarantined"]),
        expires_at_us=row["expires_us"],
        thread_id=row["thread_id"],
    )


def enqueue(connection: Connection, memory_id: str) -> None:
    """Have the index look at this memory, at once."""
    connection.execute(
        "INSERT INTO outbox (memory_id, generation) VALUES (?, ?)"
        " ON CONFLICT (memory_id) DO UPDATE SET generation = excluded.generation, attempts = 0, due_us = 0",
        # never the same again: another hub may still be at work on what stood here before
        (memory_id, secrets.randbits(62)),
    )


def pending(
    connection: Connection,
    limit: int,
    now_us: int,
    *,
    fingerprint: str,
    ids: Collection[str] | None,
) -> list[Job]:
    """Return jobs that are due, oldest first; with `ids`, those of these memories, due or not."""
    rows = connection.execute(
        "SELECT o.generation, o.attempts, m.*, s.project, s.environment, s.user, s.agent, s.run, v.vector"
        " FROM outbox o JOIN memories m ON m.id = o.memory_id JOIN scopes s ON s.id = m.scope_id"
        " LEFT JOIN vectors v ON v.memory_id = m.id AND v.fingerprint = :fingerprint AND v.version = m.version"
        " WHERE (CAST(:ids AS TEXT) IS NULL AND o.due_us <= :now)"
        " OR o.memory_id IN (SELECT value FROM json_each(coalesce(CAST(:ids AS TEXT), '[]')))"
        " ORDER BY o.due_us LIMIT :limit",
        {
            "fingerprint": fingerprint,
            "now": now_us,
            "limit": limit,
            "ids": None if ids is None else as_list(ids),
        },
    )
    return [
        Job(
            memory_id=row["id"],
            generation=row["generation"],
            attempts=row["attempts"],
            memory=None if row["deleted"] or row["hidden"] else memory_of(row),
            terms=terms_of(row["terms"]),
            vector=vector_of(row["vector"]),
        )
        for row in rows
    ]


def indexed(connection: Connection, job: Job, vector: Vector | None, fingerprint: str) -> None:
    """Drop the job and keep the vector, unless the memory has changed since."""
    done = connection.execute(
        "DELETE FROM outbox WHERE memory_id = ? AND generation = ?", (job.memory_id, job.generation)
    )
    if not done.rowcount:
        look_again(connection, job)
    elif vector is not None:
        keep(connection, job, vector, fingerprint)


def keep(connection: Connection, job: Job, vector: Vector, fingerprint: str) -> None:
    """Keep a memory's vector, unless the memory has changed since."""
    if job.memory is None:
        return
    row = connection.execute(
        "SELECT scope_id FROM memories WHERE id = ? AND version = ? AND deleted = 0",
        (job.memory_id, job.memory.version),
    ).fetchone()
    if row is None:
        return
    drop_vectors(connection, row["scope_id"], job.memory_id, fingerprint)
    connection.execute(
        "INSERT INTO vectors (memory_id, fingerprint, version, vector) VALUES (?, ?, ?, ?)",
        (job.memory_id, fingerprint, job.memory.version, vector.tobytes()),
    )
    _add_to_sum(connection, row["scope_id"], fingerprint, vector, 1)


def look_again(connection: Connection, job: Job) -> None:
    """Have the index look at a memory again if another hub was quicker, and what we told the index is not so any more."""
    row = connection.execute(
        "SELECT version FROM memories WHERE id = ? AND deleted = 0 AND hidden = 0", (job.memory_id,)
    ).fetchone()
    if (row and row["version"]) != (job.memory and job.memory.version):
        enqueue(connection, job.memory_id)


def live(connection: Connection) -> dict[str, str]:
    """Return the collections that must be told of every change, and their embedders."""
    rows = connection.execute("SELECT name, fingerprint FROM collections WHERE state <> 'leaving'")
    return {row["name"]: row["fingerprint"] for row in rows}


def drop_vectors(
    connection: Connection, scope_id: int, memory_id: str, fingerprint: str | None = None
) -> None:
    """Forget the memory's vectors, of one embedder or of all, in the sums too."""
    rows = connection.execute(
        "DELETE FROM vectors WHERE memory_id = ?1 AND (CAST(?2 AS TEXT) IS NULL OR fingerprint = ?2)"
        " RETURNING fingerprint, vector",
        (memory_id, fingerprint),
    ).fetchall()
    for row in rows:
        gone = np.frombuffer(row["vector"], dtype=np.float32)
        _add_to_sum(connection, scope_id, row["fingerprint"], -gone, -1)


def shown(connection: Connection, fingerprint: str) -> dict[str, bool]:
    """Return the id of every memory that the index should have, and whether its vector is known."""
    rows = connection.execute(
        "SELECT m.id, v.memory_id AS embedded FROM memories m LEFT JOIN vectors v"
        " ON v.memory_id = m.id AND v.fingerprint = ? AND v.version = m.version"
        " WHERE m.deleted = 0 AND m.hidden = 0",
        (fingerprint,),
    )
    return {row["id"]: row["embedded"] is not None for row in rows}


def reconcile(connection: Connection, present: set[str], fingerprint: str) -> tuple[int, list[str]]:
    """Make jobs for what the index or the vectors lack; return how many, and whose points nobody wants."""
    wanted = shown(connection, fingerprint)
    lacking = [one for one, embedded in wanted.items() if not embedded or one not in present]
    for memory_id in lacking:
        enqueue(connection, memory_id)
    return len(lacking), sorted(present - wanted.keys())


def _add_to_sum(connection: Connection, scope_id: int, fingerprint: str, vector: Vector, count: int) -> None:
    row = connection.execute(
        "SELECT vectors, total FROM vector_sums WHERE scope_id = ? AND fingerprint = ?",
        (scope_id, fingerprint),
    ).fetchone()
    before = np.frombuffer(row["total"], dtype=np.float32) if row else np.zeros_like(vector)
    connection.execute(
        "INSERT INTO vector_sums (scope_id, fingerprint, vectors, total) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (scope_id, fingerprint) DO UPDATE SET vectors = excluded.vectors, total = excluded.total",
        (scope_id, fingerprint, (row["vectors"] if row else 0) + count, (before + vector).tobytes()),
    )
