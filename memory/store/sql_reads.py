"""Rows as the values that ranking and people are given."""

from __future__ import annotations

from collections.abc import Iterable

from memory.records import Candidate, Evidence, Version
from memory.store.connection import Row
from memory.store.sql_outbox import terms_of, vector_of

CANDIDATES = (
    # CROSS JOIN: begin with the few ids, not with the scope
    "SELECT m.*, v.vector FROM json_each(:ids) wanted CROSS JOIN memories m"
    " LEFT JOIN vectors v ON v.memory_id = m.id AND v.fingerprint = :fingerprint AND v.version = m.version"
    " WHERE m.id = wanted.value AND m.deleted = 0 AND m.scope_id IN (SELECT id FROM visible) "
)


def candidate_of(row: Row) -> Candidate:
    """Read a row of `CANDIDATES`."""
    return Candidate(
        id=row["id"],
        text=row["text"],
        terms=terms_of(row["terms"]),
        same=row["same"],
        trust=row["trust"],
        occurred_at_us=row["occurred_us"],
        vector=vector_of(row["vector"]),
        kind=row["kind"],
        actor=row["actor"],
        valid_from_us=row["valid_from_us"],
        valid_to_us=row["valid_to_us"],
        superseded_by=row["superseded_by"],
        proof_count=row["proof_count"],
        confidence=row["confidence"],
        quarantined=bool(row["quarantined"]),
        thread_id=row["thread_id"],
        seq=row["seq"],
        weight=row["weight"],
    )


def version_of(row: Row, proofs: Iterable[Row]) -> Version:
    """Read an entry of a history; `proofs` are rows of evidence, among them those of its operation."""
    return Version(
        memory_id=row["memory_id"],
        version=row["version"],
        event=row["event"],
        old_text=row["old_text"],
        new_text=row["new_text"],
        at_us=row["at_us"],
        valid_from_us=row["valid_from_us"],
        valid_to_us=row["valid_to_us"],
        operation=row["claim_id"],
        reason=row["reason"],
        evidence=tuple(evidence_of(one for one in proofs if one["claim_id"] == row["claim_id"])),
    )


def evidence_of(rows: Iterable[Row]) -> list[Evidence]:
    """Return the evidence in these rows, each once: the database cannot compare what is sealed in it."""
    found = {
        Evidence(
            call_id=row["call_id"],
            message_index=row["message_index"],
            quote=row["quote"],
            thread_id=row["thread_id"],
        )
        for row in rows
    }
    return sorted(found, key=lambda one: (one.call_id, one.message_index, one.quote))
