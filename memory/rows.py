"""Memories, versions and edges as people and clients see them: Mem0's names, times in ISO 8601. No I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from memory.records import Edge, Memory, Version

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT_ONCE_US = 1_000_000


def row_of(memory: Memory) -> dict[str, Any]:
    """Return a memory; what it does not have, and what goes without saying, is left out."""
    row: dict[str, Any] = {
        "id": memory.id,
        "memory": memory.text,
        "metadata": memory.metadata,
        "created_at": moment_of(memory.created_at_us),
        "updated_at": moment_of(memory.updated_at_us),
        "role": memory.trust,
    }
    scope = memory.scope
    said_earlier = abs(memory.occurred_at_us - memory.created_at_us) > _AT_ONCE_US
    began_apart = memory.valid_from_us != memory.occurred_at_us
    optional = {
        "user_id": scope.user,
        "agent_id": scope.agent,
        "run_id": scope.run,
        "actor_id": memory.actor,
        "kind": memory.kind if memory.kind != "fact" else "",
        "occurred_at": said_earlier and moment_of(memory.occurred_at_us),
        "valid_from": began_apart and moment_of(memory.valid_from_us),
        "subject": memory.subject,
        "predicate": memory.predicate,
        "object": memory.object,
        "valid_to": memory.valid_to_us and moment_of(memory.valid_to_us),
        "expires_at": memory.expires_at_us and moment_of(memory.expires_at_us),
        "superseded_by": memory.superseded_by,
        "sensitivity": memory.sensitivity,
        "quarantined": memory.quarantined,
    }
    return row | {name: value for name, value in optional.items() if value}


def version_row(version: Version) -> dict[str, Any]:
    """Return an entry of a history."""
    row: dict[str, Any] = {
        "id": f"{version.memory_id}:{version.version}",
        "memory_id": version.memory_id,
        "old_memory": version.old_text,
        "new_memory": version.new_text,
        "event": version.event,
        "created_at": moment_of(version.at_us),
        "is_deleted": version.event == "DELETE",
    }
    evidence = [
        {"call_id": one.call_id, "message_index": one.message_index, "quote": one.quote}
        for one in version.evidence
    ]
    return row | ({"evidence": evidence} if evidence else {})


def relation_row(edge: Edge) -> dict[str, Any]:
    """Return an edge."""
    return {
        "source": edge.source,
        "relationship": edge.relationship,
        "target": edge.target,
        "memory_id": edge.memory_id,
        "valid_from": moment_of(edge.valid_from_us),
        "valid_to": moment_of(edge.valid_to_us) if edge.valid_to_us else None,
    }


def moment_of(at_us: int) -> str:
    """Return a time as text; before 1970 too."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat()
