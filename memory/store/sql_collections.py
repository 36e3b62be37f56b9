"""The collections of the index, as the ledger has it: which one answers, and how far the next one is.

Across scopes; nothing here answers anybody. Every method is one short transaction or reads a bounded number of rows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Sequence
from typing import Literal, NamedTuple, TypeVar

import msgspec

from memory.records import Job, Vector
from memory.store.connection import Connection, Connections, as_list
from memory.store.sql_outbox import drop_vectors, keep, live, look_again, memory_of, terms_of, vector_of

T = TypeVar("T")
State = Literal["serving", "building", "leaving"]

_SHOWN = "m.deleted = 0 AND m.hidden = 0"
_BEHIND = (
    "SELECT m.*, s.project, s.environment, s.user, s.agent, s.run, v.vector"  # noqa: S608 - every word of it is ours
    " FROM memories m JOIN scopes s ON s.id = m.scope_id"
    " LEFT JOIN vectors v ON v.memory_id = m.id AND v.fingerprint = :fingerprint AND v.version = m.version"
    f" WHERE m.seq > :place AND {_SHOWN} ORDER BY m.seq LIMIT :limit"
)
_SETTLED = (
    f"SELECT m.seq, m.id FROM memories m WHERE m.seq > :place AND {_SHOWN}"  # noqa: S608 - every word of it is ours
    " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.memory_id = m.id AND o.attempts = 0)"
    " ORDER BY m.seq LIMIT :limit"
)
_LEFT = (
    "SELECT count(*) AS memories, coalesce(sum(CASE WHEN m.seq > :place THEN 1 ELSE 0 END), 0) AS behind"  # noqa: S608
    f" FROM memories m WHERE {_SHOWN}"
)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A collection: vectors of one embedder and the terms beside them. At most one serves, at most one is built."""

    name: str
    fingerprint: str
    dimensions: int
    state: State
    place: int
    builder: str
    began_us: int
    updated_us: int


class Placed(NamedTuple):
    """A memory to be put into a new collection, and where it stands in the ledger."""

    seq: int
    job: Job


class SqlCollections:
    """What a ledger says of its index."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @property
    def shared(self) -> bool:
        """Whether other hubs go by the same ledger."""
        return self._connections.shared

    def rows(self) -> list[Kept]:
        """Return them all."""
        return _rows(self._connections.read())

    def adopt(self, fingerprint: str, dimensions: int, now_us: int) -> None:
        """Note which collections there are, in a ledger that does not say so yet.

        Whose vectors are most has served until now; if nobody's are, this embedder's collection begins to.
        """
        if self.rows():
            return
        with self._connections.write() as connection:
            if _rows(connection):
                return
            counted = connection.execute(
                "SELECT fingerprint, count(*) AS vectors FROM vectors GROUP BY fingerprint"
            ).fetchall()
            found = sorted(counted, key=lambda row: (-row["vectors"], row["fingerprint"] != fingerprint))
            state: State = "serving"
            for one in [row["fingerprint"] for row in found] or [fingerprint]:
                (size,) = connection.execute(
                    "SELECT max(length(vector)) FROM (SELECT vector FROM vectors WHERE fingerprint = ? LIMIT 1) one",
                    (one,),
                ).fetchone()
                _insert(connection, one, size // 4 if size else dimensions, state, 0, now_us)
                state = "leaving"

    def begin(self, fingerprint: str, dimensions: int, now_us: int, *, lost: str = "") -> bool:
        """Have a new collection built; False if one for this embedder is being built already.

        `lost`: the name of one that cannot answer any more.
        """
        with self._connections.write() as connection:
            _leave(connection, lost)
            for row in _rows(connection):
                if row.state == "building":
                    if row.fingerprint == fingerprint:
                        return False
                    _leave(connection, row.name)
            _insert(connection, fingerprint, dimensions, "building", -1, now_us)
        return True

    def leave(self, name: str) -> None:
        """Do without a collection."""
        with self._connections.write() as connection:
            _leave(connection, name)

    def make(self, name: str, make: Callable[[], T]) -> T | None:
        """Have a collection made, by one of all hubs; None if it is there already.

        Others wait: whoever came a moment later would empty it again.
        """
        with self._connections.write() as connection:
            row = connection.execute("SELECT place FROM collections WHERE name = ?", (name,)).fetchone()
            if row is None or row["place"] >= 0:
                return None
            made = make()
            connection.execute("UPDATE collections SET place = 0 WHERE name = ?", (name,))
        return made

    def move(self, name: str, place: int) -> None:
        """Build on from another place; -1: it has to be made again."""
        with self._connections.write() as connection:
            connection.execute("UPDATE collections SET place = ? WHERE name = ?", (place, name))

    # what a new one is filled with

    def behind(self, kept: Kept, limit: int) -> list[Placed]:
        """Return the next memories that it lacks, as they are now."""
        rows = self._connections.read().execute(
            _BEHIND, {"fingerprint": kept.fingerprint, "place": kept.place, "limit": limit}
        )
        return [
            Placed(
                row["seq"],
                Job(
                    memory_id=row["id"],
                    generation=0,
                    attempts=0,
                    memory=memory_of(row),
                    terms=terms_of(row["terms"]),
                    vector=vector_of(row["vector"]),
                ),
            )
            for row in rows
        ]

    def built(
        self, kept: Kept, done: Sequence[tuple[Job, Vector]], *, place: int, builder: str, now_us: int
    ) -> None:
        """Note that the index has these, and their vectors; nothing, if another hub has been at this place."""
        with self._connections.write() as connection:
            moved = connection.execute(
                "UPDATE collections SET place = ?, builder = ?, updated_us = ?"
                " WHERE name = ? AND state = 'building' AND place = ?",
                (place, builder, now_us, kept.name, kept.place),
            )
            for job, vector in done:
                look_again(connection, job)
                if moved.rowcount and job.vector is None:
                    keep(connection, job, vector, kept.fingerprint)

    def keep(self, done: Sequence[tuple[Job, Vector]], fingerprint: str) -> None:
        """Keep vectors for a collection that is in use."""
        with self._connections.write() as connection:
            if fingerprint in live(connection).values():
                for job, vector in done:
                    keep(connection, job, vector, fingerprint)

    # what is looked at before it answers

    def wanted(self, ids: Collection[str]) -> set[str]:
        """Return which of these memories an index should have."""
        rows = self._connections.read().execute(
            f"SELECT m.id FROM memories m WHERE m.id IN (SELECT value FROM json_each(:ids)) AND {_SHOWN}",  # noqa: S608
            {"ids": as_list(ids)},
        )
        return {row["id"] for row in rows}

    def settled(self, place: int, limit: int) -> list[tuple[int, str]]:
        """Return the next memories behind a place that the index should have, and is not just being told of."""
        rows = self._connections.read().execute(_SETTLED, {"place": place, "limit": limit})
        return [(row["seq"], row["id"]) for row in rows]

    def left(self, kept: Kept) -> tuple[int, int]:
        """Return how many memories there are, and how many of them the new one lacks."""
        memories, behind = self._connections.read().execute(_LEFT, {"place": kept.place}).fetchone()
        return int(memories), int(behind)

    def cut_over(self, name: str, now_us: int) -> None:
        """Let the new collection answer from now on, and the old one go."""
        with self._connections.write() as connection:
            there = connection.execute(
                "SELECT 1 FROM collections WHERE name = ? AND state = 'building'", (name,)
            ).fetchone()
            if there is not None:
                connection.execute("UPDATE collections SET state = 'leaving' WHERE state = 'serving'")
                connection.execute(
                    "UPDATE collections SET state = 'serving', updated_us = ? WHERE name = ?", (now_us, name)
                )

    def forget(self, kept: Kept, limit: int) -> bool:
        """Drop some vectors that only a leaving collection needs; False, and it is gone, once there are none."""
        fingerprint = kept.fingerprint
        with self._connections.write() as connection:
            if fingerprint not in live(connection).values():
                rows = connection.execute(
                    "SELECT m.id, m.scope_id FROM vectors v JOIN memories m ON m.id = v.memory_id"
                    " WHERE v.fingerprint = ? LIMIT ?",
                    (fingerprint, limit),
                ).fetchall()
                for row in rows:  # sums too: the settings may come back to this embedder at any moment
                    drop_vectors(connection, row["scope_id"], row["id"], fingerprint)
                if rows:
                    return True
                connection.execute("DELETE FROM vector_sums WHERE fingerprint = ?", (fingerprint,))
            connection.execute("DELETE FROM collections WHERE name = ?", (kept.name,))
        return False


def _rows(connection: Connection) -> list[Kept]:
    return [Kept(**dict(row)) for row in connection.execute("SELECT * FROM collections ORDER BY name")]


def _leave(connection: Connection, name: str) -> None:
    connection.execute("UPDATE collections SET state = 'leaving' WHERE name = ?", (name,))


def _insert(
    connection: Connection, fingerprint: str, dimensions: int, state: State, place: int, now_us: int
) -> None:
    taken = {row.name for row in _rows(connection)}
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", fingerprint)
    names = itertools.chain([plain], (f"{plain}.{number}" for number in itertools.count(2)))
    connection.execute(
        "INSERT INTO collections (name, fingerprint, dimensions, state, place, began_us, updated_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            next(name for name in names if name not in taken),
            fingerprint,
            dimensions,
            state,
            place,
            now_us,
            now_us,
        ),
    )
