"""What went into which call, and why: the ledger read by its calls."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from memory.scope import Scope
from memory.store.connection import Connection, Connections, within

_WHY = (
    "SELECT status, reason, fates FROM recalls"
    " WHERE call_id = :call_id AND scope_id IN (SELECT id FROM visible)"
)
_USED = (
    "SELECT u.memory_id, u.at_us, v.event, v.claim_id, coalesce(c.batch, '') AS batch FROM uses u"
    " JOIN memories m ON m.id = u.memory_id"
    " LEFT JOIN versions v ON v.memory_id = m.id AND v.version ="
    " (SELECT max(version) FROM versions WHERE memory_id = m.id AND event IN ('ADD', 'UPDATE'))"
    " LEFT JOIN claims c ON c.id = v.claim_id"
    " WHERE u.call_id = :call_id AND m.scope_id IN (SELECT id FROM visible) ORDER BY u.memory_id"
)
_CALLS = (
    "SELECT u.call_id, u.at_us FROM memories m JOIN uses u ON u.memory_id = m.id"
    " WHERE m.id = :id AND m.scope_id IN (SELECT id FROM visible)"
    " ORDER BY u.at_us DESC, u.call_id DESC LIMIT :limit"
)
_SCOPES = (
    'SELECT project, environment, "user", agent, run FROM scopes WHERE id IN'
    " (SELECT scope_id FROM recalls WHERE call_id = :call_id UNION SELECT m.scope_id FROM uses u"
    " JOIN memories m ON m.id = u.memory_id WHERE u.call_id = :call_id)"
)


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """How a recall went, and in short what became of its candidates."""

    status: str
    reason: str = ""
    counts: dict[str, int] = {}
    """How many candidates had which fate."""
    left_out: tuple[tuple[str, str], ...] = ()
    """The best of those that were not chosen: id and fate."""
    scores: dict[str, float] = {}
    """Of those that were."""
    profile: tuple[str, ...] = ()
    """Ids of the memories that introduced the user."""


class Used(NamedTuple):
    """A memory that went into a call, and what gave it its present words."""

    memory_id: str
    at_us: int
    event: str
    operation: str
    """Empty: a person, or what was said word for word."""
    batch: str
    """Of the operation: its job, and what read it."""


class _Fates(msgspec.Struct, array_like=True):
    """A row's blob; fields are only ever added at the end."""

    counts: dict[str, int]
    left_out: tuple[tuple[str, str], ...]
    scores: dict[str, float] = {}
    profile: tuple[str, ...] = ()


_fates = msgspec.msgpack.Decoder(_Fates)


class SqliteCalls:
    """The calls in a ledger's file. Safe to call from several threads."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def why(self, scope: Scope, call_id: str) -> Why | None:
        """Return how the recall of a call went."""
        row = within(self._connections.read(), scope, _WHY, {"call_id": call_id}).fetchone()
        if row is None:
            return None
        fates = msgspec.structs.asdict(_fates.decode(row["fates"]))
        return Why(status=row["status"], reason=row["reason"], **fates)

    def used(self, scope: Scope, call_id: str) -> list[Used]:
        """Return the memories that went into a call, also those that were deleted since."""
        rows = within(self._connections.read(), scope, _USED, {"call_id": call_id})
        return [Used(*row) for row in rows]

    def of_memory(self, scope: Scope, memory_id: str, *, limit: int) -> list[tuple[str, int]]:
        """Return the calls a memory went into and when, latest first."""
        rows = within(self._connections.read(), scope, _CALLS, {"id": memory_id, "limit": limit})
        return [(row["call_id"], row["at_us"]) for row in rows]

    def scopes(self, call_id: str) -> list[Scope]:
        """Return whose memories a call was about: for whoever runs the installation, never for answers."""
        rows = self._connections.read().execute(_SCOPES, {"call_id": call_id})
        return [Scope(**dict(row)) for row in rows]


def note(connection: Connection, scope_id: int, call_id: str, why: Why, now_us: int) -> None:
    """Keep how the recall of a call went; the first word counts."""
    fates = msgspec.msgpack.encode(_Fates(why.counts, why.left_out, why.scores, why.profile))
    connection.execute(
        "INSERT INTO recalls VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (call_id, scope_id, why.status, why.reason, fates, now_us),
    )
