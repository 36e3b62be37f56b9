"""How an embedder is judged by an installation's own memories. Across scopes; nothing here answers anybody."""

from __future__ import annotations

import itertools
from operator import itemgetter

import numpy as np

from memory.records import Vector
from memory.store.connection import Connection, Row
from memory.store.sql_outbox import terms_of, vector_of

_SHRUNK = 20
"""As many vectors of zero are in a scope's mean, as in ranking."""
_DAY_US = 86_400_000_000
_SAMPLE = (
    "SELECT m.scope_id, m.terms, m.occurred_us, v.vector FROM vectors v JOIN memories m ON m.id = v.memory_id"
    " WHERE v.fingerprint = ? AND v.version = m.version AND m.deleted = 0 "
    " ORDER BY random() LIMIT ?"
)


def gate(connection: Connection, fingerprint: str) -> float | None:
    """Return what was calibrated for this embedder."""
    row = connection.execute("SELECT dense FROM gates WHERE fingerprint = ?", (fingerprint,)).fetchone()
    return None if row is None else float(row["dense"])


def set_gate(connection: Connection, fingerprint: str, dense: float, pairs: int, now_us: int) -> None:
    """Keep what was calibrated for this embedder."""
    connection.execute(
        "INSERT INTO gates (fingerprint, dense, pairs, at_us) VALUES (?, ?, ?, ?) ON CONFLICT (fingerprint)"
        " DO UPDATE SET dense = excluded.dense, pairs = excluded.pairs, at_us = excluded.at_us",
        (fingerprint, dense, pairs, now_us),
    )


def fingerprints(connection: Connection) -> list[str]:
    """Return the embedders of which there are vectors."""
    rows = connection.execute("SELECT DISTINCT fingerprint FROM vectors ORDER BY fingerprint")
    return [row["fingerprint"] for row in rows]


def unrelated(connection: Connection, fingerprint: str, limit: int) -> list[tuple[Vector, Vector]]:
    """Return pairs of mean-centred vectors of one scope's memories that share no word and no day."""
    means = {
        row["scope_id"]: np.frombuffer(row["total"], dtype=np.float32) / (row["vectors"] + _SHRUNK)
        for row in connection.execute(
            "SELECT scope_id, vectors, total FROM vector_sums WHERE fingerprint = ?", (fingerprint,)
        )
    }
    sample = connection.execute(_SAMPLE, (fingerprint, 2 * limit)).fetchall()
    rows = sorted(sample, key=itemgetter("scope_id"))
    found: list[tuple[Vector, Vector]] = []
    for one, other in itertools.pairwise(rows):
        if one["scope_id"] == other["scope_id"] and _unrelated(one, other):
            mean = means[one["scope_id"]]
            found.append((_vector(one) - mean, _vector(other) - mean))
    return found[:limit]


def _unrelated(one: Row, other: Row) -> bool:
    apart = abs(one["occurred_us"] - other["occurred_us"]) > _DAY_US
    return apart and not terms_of(one["terms"]).keys() & terms_of(other["terms"]).keys()


def _vector(row: Row) -> Vector:
    vector = vector_of(row["vector"])
    assert vector is not None
    return vector
