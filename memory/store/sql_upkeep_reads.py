"""What the background work looks at, a few rows at a time. Across scopes; nothing here answers anybody."""

from __future__ import annotations

import msgspec
import numpy as np

from memory.apply import claim_of
from memory.records import Operation, Vector
from memory.scope import Scope
from memory.store.connection import Connection, Connections, Row, as_list
from memory.store.sql_claims import slot_of
from memory.store.sql_outbox import vector_of

_OPERATION = msgspec.msgpack.Decoder(Operation)
_LASTING = "kind IN ('fact', 'preference', 'plan', 'instruction')"
_ALIKE = ("actor", "metadata", "trust", "sensitivity", "quarantined", "expires_us")
_STATEMENT = (
    "SELECT m.id, m.seq, m.scope_id, m.text, m.actor, m.metadata, m.trust, m.sensitivity, m.quarantined,"  # noqa: S608
    " m.expires_us, v.vector FROM memories m CROSS JOIN vectors v ON v.memory_id = m.id AND v.fingerprint = :fingerprint"
    f" AND v.version = m.version WHERE m.deleted = 0 AND m.hidden = 0 AND m.{_LASTING} AND m.valid_to_us = 0"
)
_BEFORE = (
    "SELECT m.id, v.vector FROM memories m CROSS JOIN vectors v ON v.memory_id = m.id AND v.fingerprint = :fingerprint"  # noqa: S608
    f" AND v.version = m.version WHERE m.deleted = 0 AND m.hidden = 0 AND m.{_LASTING} AND m.valid_to_us = 0"
    " AND m.kind <> 'episode' AND m.scope_id = :scope AND m.seq < :seq ORDER BY m.seq DESC LIMIT :most"
)
_BEHIND = "SELECT id, seq, scope_id, thread_id FROM memories WHERE seq > ? ORDER BY seq LIMIT ?"


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that holds for a while, with what it must have in common with another one to be its duplicate."""

    id: str
    seq: int
    scope_id: int
    text: str
    alike: tuple[object, ...]
    """Who said it, to whom it is shown, how long it is kept."""
    vector: Vector


class Aged(msgspec.Struct, frozen=True, kw_only=True):
    """What a memory's weight depends on."""

    id: str
    seq: int
    kind: str
    weight: float
    occurred_us: int
    uses: int
    used_us: int
    """0: never."""


class Slotted(msgspec.Struct, frozen=True, kw_only=True):
    """A claim's slot as this program makes it, and whether it is stored like that."""

    id: str
    made: str
    differs: bool


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of a conversation."""

    seq: int
    text: str
    call_id: str
    message_index: int
    occurred_us: int


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """What of a conversation is told in short by nothing yet."""

    scope_id: int
    scope: Scope
    thread_id: str
    turns: tuple[Told, ...]


class UpkeepReads:
    """Every method reads a bounded number of rows. Safe to call from several threads."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def place_behind(self, place: int, rows: int) -> tuple[int, int]:
        """Return the `seq` of the last of the next rows, and how many they are."""
        found = self._connections.read().execute(_BEHIND, (place, rows)).fetchall()
        return (found[-1]["seq"] if found else place), len(found)

    def statement(self, place: int, upto: int, fingerprint: str) -> Statement | None:
        """Return the first statement among the memories behind a place, up to another one."""
        row = (
            self._connections.read()
            .execute(
                f"{_STATEMENT} AND m.seq > :place AND m.seq <= :upto ORDER BY m.seq LIMIT 1",
                {"fingerprint": fingerprint, "place": place, "upto": upto},
            )
            .fetchone()
        )
        return None if row is None else _statement(row)

    def near(self, one: Statement, most: int, fingerprint: str, *, least: float) -> list[Statement]:
        """Return those of the latest statements before it in its scope whose cosine is enough, the nearest first."""
        connection = self._connections.read()
        rows = connection.execute(
            _BEFORE, {"fingerprint": fingerprint, "scope": one.scope_id, "seq": one.seq, "most": most}
        ).fetchall()
        if not rows:
            return []
        stored = np.frombuffer(b"".join(row["vector"] for row in rows), dtype=np.float32)
        cosines = stored.reshape(len(rows), -1) @ one.vector
        ids = [rows[place]["id"] for place in np.argsort(-cosines, kind="stable") if cosines[place] >= least]
        if not ids:
            return []
        found = connection.execute(
            f"{_STATEMENT} AND m.id IN (SELECT value FROM json_each(:ids))",  # noqa: S608 - ours
            {"fingerprint": fingerprint, "ids": as_list(ids)},
        )
        return sorted(map(_statement, found), key=lambda other: ids.index(other.id))

    def slots(self, after: str, rows: int) -> list[Slotted]:
        """Return the next claims, by their ids."""
        connection = self._connections.read()
        found = connection.execute(
            "SELECT c.id, c.slot, c.same, c.body, c.spent, s.project FROM claims c JOIN scopes s ON s.id = c.scope_id"
            " WHERE c.id > ? ORDER BY c.id LIMIT ?",
            (after, rows),
        )
        return [_slotted(connection, row) for row in found]

    def aged(self, place: int, rows: int) -> list[Aged]:
        """Return the next memories behind a place."""
        found = self._connections.read().execute(
            "SELECT id, seq, kind, weight, occurred_us,"
            " (SELECT count(*) FROM uses u WHERE u.memory_id = m.id) AS uses,"
            " (SELECT coalesce(max(at_us), 0) FROM uses u WHERE u.memory_id = m.id) AS used_us"
            " FROM memories m WHERE seq > ? AND deleted = 0 ORDER BY seq LIMIT ?",
            (place, rows),
        )
        return [Aged(**dict(row)) for row in found]

    def threads(self, place: int, rows: int) -> list[tuple[int, int, str]]:
        """Return place, scope and conversation of the next memories behind a place; each conversation once."""
        found = self._connections.read().execute(_BEHIND, (place, rows)).fetchall()
        last = {(row["scope_id"], row["thread_id"]): row["seq"] for row in found if row["thread_id"]}
        return sorted((seq, scope_id, thread_id) for (scope_id, thread_id), seq in last.items())

    def conversation(self, scope_id: int, thread_id: str, most: int) -> Conversation:
        """Return the oldest turns of a conversation that are told in short by nothing yet."""
        connection = self._connections.read()
        scope = connection.execute("SELECT * FROM scopes WHERE id = ?", (scope_id,)).fetchone()
        rows = connection.execute(
            "SELECT m.seq, m.text, m.occurred_us, min(e.call_id) AS call_id, min(e.message_index) AS message_index"
            " FROM memories m"
            " JOIN evidence e ON e.memory_id = m.id"
            " WHERE m.scope_id = ?1 AND m.thread_id = ?2 AND m.deleted = 0 AND m.hidden = 0 AND m.kind = 'episode'"
            " AND m.quarantined = 0 AND m.trust = 'user'"
            " AND m.seq > coalesce((SELECT upto FROM summaries WHERE scope_id = ?1 AND thread_id = ?2), 0)"
            " GROUP BY m.id ORDER BY m.seq LIMIT ?3",
            (scope_id, thread_id, most),
        )
        return Conversation(
            scope_id=scope_id,
            scope=Scope(**{name: scope[name] for name in Scope.__struct_fields__}),
            thread_id=thread_id,
            turns=tuple(Told(**dict(row)) for row in rows),
        )


def _statement(row: Row) -> Statement:
    vector = vector_of(row["vector"])
    assert vector is not None
    return Statement(
        id=row["id"],
        seq=row["seq"],
        scope_id=row["scope_id"],
        text=row["text"],
        alike=tuple(row[name] for name in _ALIKE),
        vector=vector,
    )


def _slotted(connection: Connection, row: Row) -> Slotted:
    if row["spent"]:
        return Slotted(id=row["id"], made="", differs=False)
    made = slot_of(claim_of(row["id"], _OPERATION.decode(row["body"]), bytes.fromhex(row["same"])))
    kept = connection.sealing.words(row["project"]).names([made])
    return Slotted(id=row["id"], made=made, differs=row["slot"] not in kept)
