"""The statements by which a search finds more than words and vectors do: by conversation, speaker and time."""

from __future__ import annotations

from collections.abc import Collection

from memory.scope import Scope
from memory.store.connection import Connection, as_list, within

_SESSION_US = 3_600_000_000
"""A pause of an hour, and another conversation begins, whatever the thread is called."""
_MOST_SPEAKERS = 50

_BESIDE = (
    "(SELECT CASE WHEN abs(b.occurred_us - m.occurred_us) <= :pause THEN b.id END FROM ("
    "SELECT n.id, n.occurred_us FROM memories n WHERE n.scope_id = m.scope_id AND n.thread_id = m.thread_id"
    " AND n.deleted = 0 AND n.hidden = 0 AND n.kind = 'episode' AND n.seq {side} m.seq"
    " ORDER BY n.seq {order} LIMIT 1 OFFSET {skip}) b)"
)
"""By the order in which the ledger learnt of them: many turns may bear the same time."""
_PLACES = (-2, -1, 1, 2)
_AROUND = (
    "SELECT m.id, "  # noqa: S608 - every word of it is ours
    + ", ".join(
        _BESIDE.format(side="<" if place < 0 else ">", order="DESC" if place < 0 else "", skip=abs(place) - 1)
        for place in _PLACES
    )
    + " FROM json_each(:ids) wanted CROSS JOIN memories m"
    " WHERE m.id = wanted.value AND m.deleted = 0 AND m.kind = 'episode' AND m.scope_id IN (SELECT id FROM visible)"
)


def around(connection: Connection, scope: Scope, ids: Collection[str]) -> dict[str, list[tuple[int, str]]]:
    """Return the neighbours of each turn within its conversation: where they stand, and their ids."""
    rows = within(connection, scope, _AROUND, {"ids": as_list(ids), "pause": _SESSION_US})
    return {
        row[0]: [(place, other) for place, other in zip(_PLACES, row[1:], strict=True) if other is not None]
        for row in map(tuple, rows)
    }


def speakers(connection: Connection, scope: Scope) -> list[str]:
    """Return the names under which memories of this scope were said."""
    rows = within(
        connection,
        scope,
        "SELECT DISTINCT actor FROM memories WHERE scope_id IN (SELECT id FROM visible) AND actor <> ''"
        " LIMIT :limit",
        {"limit": _MOST_SPEAKERS},
    )
    return [row["actor"] for row in rows]


def dated(connection: Connection, scope: Scope, start_us: int, end_us: int, limit: int) -> list[str]:
    """Return what was said in a span of time, latest first."""
    rows = within(
        connection,
        scope,
        "SELECT id FROM memories WHERE scope_id IN (SELECT id FROM visible) AND deleted = 0 AND hidden = 0"
        " AND occurred_us >= :start AND occurred_us < :end ORDER BY occurred_us DESC LIMIT :limit",
        {"start": start_us, "end": end_us, "limit": limit},
    )
    return [row["id"] for row in rows]
