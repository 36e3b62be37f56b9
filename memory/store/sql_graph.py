"""How memories are connected: by whom they are about, by what was said before and after, and by edges."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from memory.facets import normal
from memory.records import Edge, Entity, Graph
from memory.scope import Scope
from memory.store.connection import Connection, Row, as_list, names_in, within
from memory.store.where import AT

_MOST_EDGES = 100
_CALLED = (
    "SELECT e.id FROM entities e WHERE e.scope_id IN (SELECT id FROM visible)"
    " AND e.normal IN (SELECT value FROM json_each(:names))"
    " UNION SELECT a.entity_id FROM aliases a WHERE a.scope_id IN (SELECT id FROM visible)"
    " AND a.normal IN (SELECT value FROM json_each(:names))"
)
_MENTIONING = (
    "SELECT m.id, min(found.hop) AS hop FROM found JOIN mentions n ON n.entity_id = found.id"  # noqa: S608
    " JOIN memories m ON m.id = n.memory_id"
    " WHERE m.deleted = 0 AND m.scope_id IN (SELECT id FROM visible)"
    + AT
    + "GROUP BY m.id ORDER BY hop, m.occurred_us DESC, m.seq DESC LIMIT :limit"
)
_EDGES = (
    "SELECT d.memory_id, s.name AS source, d.predicate, t.name AS target, m.valid_from_us, m.valid_to_us"  # noqa: S608
    " FROM edges d JOIN memories m ON m.id = d.memory_id"
    " JOIN entities s ON s.id = d.subject_id JOIN entities t ON t.id = d.object_id"
    " WHERE m.deleted = 0 AND m.negative = 0 AND m.scope_id IN (SELECT id FROM visible)" + AT
)


def named(connection: Connection, scope: Scope, names: Collection[str]) -> list[str]:
    """Return which of the names are entities or aliases here."""
    asked = names_in(connection, scope, names)
    rows = within(
        connection,
        scope,
        "SELECT normal FROM entities WHERE scope_id IN (SELECT id FROM visible)"
        " AND normal IN (SELECT value FROM json_each(:names))"
        " UNION SELECT normal FROM aliases WHERE scope_id IN (SELECT id FROM visible)"
        " AND normal IN (SELECT value FROM json_each(:names)) ORDER BY normal",
        {"names": as_list(asked)},
    )
    return sorted({asked[row["normal"]] for row in rows})


def about(
    connection: Connection,
    scope: Scope,
    names: Collection[str],
    when: Mapping[str, int],
    *,
    hops: int,
    limit: int,
) -> list[tuple[str, int]]:
    """Return memories about the entities with these names, and how far away they are."""
    further = (
        " UNION SELECT CASE d.subject_id WHEN called.id THEN d.object_id ELSE d.subject_id END, 2"
        " FROM called JOIN edges d ON called.id IN (d.subject_id, d.object_id)"
        if hops > 1
        else ""
    )
    rows = within(
        connection,
        scope,
        f", called AS ({_CALLED}), found (id, hop) AS (SELECT id, 1 FROM called{further}) {_MENTIONING}",  # noqa: S608
        {"names": as_list(names_in(connection, scope, names)), "limit": limit, **when},
    )
    return [(row["id"], row["hop"]) for row in rows]


def edges(connection: Connection, scope: Scope, ids: Collection[str], when: Mapping[str, int]) -> list[Edge]:
    """Return the edges of these memories and of those that share an entity with them, newest first."""
    rows = within(
        connection,
        scope,
        ", near AS (SELECT entity_id FROM mentions WHERE memory_id IN (SELECT value FROM json_each(:ids))) "  # noqa: S608
        + _EDGES
        + "AND (d.subject_id IN (SELECT entity_id FROM near) OR d.object_id IN (SELECT entity_id FROM near))"
        " ORDER BY m.seq DESC LIMIT :limit",
        {"ids": as_list(ids), "limit": _MOST_EDGES, **when},
    )
    return [_edge(row) for row in rows]


def graph(connection: Connection, scope: Scope, when: Mapping[str, int], *, limit: int) -> Graph:
    """Return the newest edges, and the entities they connect."""
    rows = within(connection, scope, _EDGES + "ORDER BY m.seq DESC LIMIT :limit", {"limit": limit, **when})
    found = [_edge(row) for row in rows]
    names = {name for edge in found for name in (edge.source, edge.target)}
    types = within(
        connection,
        scope,
        "SELECT name, type FROM entities WHERE scope_id IN (SELECT id FROM visible)"
        " AND normal IN (SELECT value FROM json_each(:names))",
        {"names": as_list(names_in(connection, scope, map(normal, names)))},
    )
    known = sorted({(row["name"], row["type"]) for row in types if row["name"] in names})
    nodes = {name: Entity(name, kind) for name, kind in known}
    return Graph(nodes=tuple(nodes.values()), edges=tuple(found))


def _edge(row: Row) -> Edge:
    return Edge(
        memory_id=row["memory_id"],
        source=row["source"],
        relationship=row["predicate"],
        target=row["target"],
        valid_from_us=row["valid_from_us"],
        valid_to_us=row["valid_to_us"],
    )
