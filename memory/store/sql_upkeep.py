"""The background work's half of the ledger: how far each pass is, what it changed, and how that is put back.

Across scopes; nothing here answers anybody. Every method is one short transaction or reads a bounded number of rows.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Literal, get_args

import msgspec

from memory.records import Change
from memory.store import sql_claims as claims
from memory.store import sql_summaries as summaries
from memory.store import sql_writes as writes
from memory.store.connection import Connection, Connections, Row, as_list, words_of
from memory.store.sql_outbox import drop_vectors, enqueue, terms_of
from memory.store.sql_upkeep_reads import Conversation, UpkeepReads

JobName = Literal["merge", "contradictions", "summaries", "decay"]
RunState = Literal["running", "done", "undone"]

ACTOR = "upkeep"
_KEPT_US = 90 * 86_400_000_000
"""So long a pass can be put back."""
_FORGOTTEN = 256
"""Steps that are forgotten at once."""
_MOST_IN_SLOT = 64
"""A slot with more claims is left alone: working it out takes too long."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One pass of a job over everything."""

    number: int
    id: str
    job: JobName
    state: RunState
    place: str
    """What the job itself wrote; empty: the beginning."""
    seen: int
    changed: int
    began_us: int
    updated_us: int


class SqliteUpkeep:
    """The passes in a ledger's file."""

    def __init__(self, connections: Connections) -> None:
        self.reads = UpkeepReads(connections)
        self._connections = connections

    # passes

    def next_run(self, job: JobName, now_us: int, *, every_us: int) -> Run | None:
        """Return the pass to go on with, or a new one; None if the last one ended less than `every_us` ago."""
        last = self._last(self._connections.read(), job)
        if last is not None and last.state == "running":
            return last
        if last is not None and now_us - last.updated_us < every_us:
            return None
        with self._connections.write() as connection:
            connection.execute(
                "INSERT INTO upkeep_runs (id, job, state, began_us, updated_us) VALUES (?, ?, 'running', ?, ?)",
                (f"upkeep:{job}:{uuid.uuid4().hex[:12]}", job, now_us, now_us),
            )
            connection.execute(
                "DELETE FROM upkeep_steps WHERE number IN (SELECT s.number FROM upkeep_runs r JOIN upkeep_steps s"
                " ON s.run = r.number WHERE r.state = 'done' AND r.updated_us < ? LIMIT ?)",
                (now_us - _KEPT_US, _FORGOTTEN),
            )
            return self._last(connection, job)

    def move(self, run: Run, place: str, seen: int, now_us: int, *, done: bool = False) -> None:
        """Note how far the pass is."""
        with self._connections.write() as connection:
            connection.execute(
                "UPDATE upkeep_runs SET place = ?, seen = seen + ?, updated_us = ?, state = ? WHERE number = ?"
                " AND state = 'running'",
                (place, seen, now_us, "done" if done else "running", run.number),
            )

    def runs(self, *, limit: int) -> list[Run]:
        """Return the latest passes, latest first."""
        rows = self._connections.read().execute(
            "SELECT * FROM upkeep_runs ORDER BY number DESC LIMIT ?", (limit,)
        )
        return [Run(**dict(row)) for row in rows]

    def latest(self) -> list[Run]:
        """Return the latest pass of each job that has one."""
        found = (self._last(self._connections.read(), job) for job in get_args(JobName))
        return [run for run in found if run is not None]

    def counts(self) -> dict[JobName, int]:
        """Return how much each job has changed, all its passes together, less what was put back."""
        rows = self._connections.read().execute(
            "SELECT job, sum(changed) AS changed FROM upkeep_runs WHERE state <> 'undone' GROUP BY job"
        )
        return {**dict.fromkeys(get_args(JobName), 0), **{row["job"]: row["changed"] for row in rows}}

    # what jobs change

    def merge(self, run: Run, older: str, newer: str, now_us: int) -> bool:
        """Take two memories for one; False, and nothing changes, where what is claimed speaks against it."""
        with self._connections.write() as connection:
            rows = {row["id"]: row for row in _shown(connection, (older, newer))}
            if len(rows) < 2 or len({row["scope_id"] for row in rows.values()}) > 1:
                return False
            scope_id = rows[older]["scope_id"]
            connection.execute("SAVEPOINT merging")
            pair = [claims.voice_of(connection, rows[one], now_us) for one in (older, newer)]
            changes: list[Change] = []
            if all(pair) and not _put_back(connection, pair):
                connection.executemany(
                    "INSERT INTO alike (claim_id, other_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (pair, pair[::-1]),
                )
                changes = claims.settle_again(connection, scope_id, pair, now_us)
            if not _is_merger(changes, (older, newer)):
                connection.execute("ROLLBACK TO merging")
                connection.execute("RELEASE merging")
                return False
            connection.execute("RELEASE merging")
            _record(connection, run, scope_id, changes, now_us)
            _step(connection, run, pair[0], pair[1], "", now_us)
        return True

    def reslot(self, run: Run, claim_id: str, slot: str, now_us: int) -> bool:
        """Compare a claim by another slot than an earlier version of this program did; False if that changes nothing."""
        with self._connections.write() as connection:
            row = connection.execute(
                "SELECT * FROM claims WHERE id = ? AND spent = 0", (claim_id,)
            ).fetchone()
            if row is None or _put_back(connection, (row["memory_id"], claim_id)):
                return False
            slot = words_of(connection, row["scope_id"]).name(slot)
            (crowd,) = connection.execute(
                "SELECT count(*) FROM claims WHERE scope_id = ? AND slot = ?", (row["scope_id"], slot)
            ).fetchone()
            if crowd > _MOST_IN_SLOT:
                return False
            connection.execute("UPDATE claims SET slot = ? WHERE id = ?", (slot, claim_id))
            changes = claims.settle_again(connection, row["scope_id"], [claim_id], now_us)
            _record(connection, run, row["scope_id"], changes, now_us)
            _step(connection, run, row["memory_id"], claim_id, row["slot"], now_us)
        return bool(changes)

    def reweigh(self, run: Run, weights: Sequence[tuple[str, float, float]], now_us: int) -> None:
        """Give memories another weight: id, weight before, weight now."""
        with self._connections.write() as connection:
            for memory_id, before, weight in weights:
                connection.execute(
                    "UPDATE memories SET weight = ? WHERE id = ? AND deleted = 0", (weight, memory_id)
                )
                _step(connection, run, memory_id, "", repr(before), now_us)

    def summarised(self, run: Run, scope_id: int, thread_id: str, upto: int, batch: str, now_us: int) -> None:
        """Note up to where a conversation is told in short, and by which memories: those of the batch."""
        with self._connections.write() as connection:
            connection.execute(
                "INSERT INTO summaries (scope_id, thread_id, upto) VALUES (?, ?, ?)"
                " ON CONFLICT (scope_id, thread_id) DO UPDATE SET upto = excluded.upto",
                (scope_id, thread_id, upto),
            )
            for claim_id, memory_id in _of_batch(connection, batch):
                connection.execute("UPDATE versions SET reason = ? WHERE claim_id = ?", (run.id, claim_id))
                _step(connection, run, memory_id, claim_id, "", now_us)

    def told_of_the_deleted(self, about: Conversation, now_us: int) -> bool:
        """Take back what tells turns that were deleted while a model read them; say whether there were any."""
        with self._connections.write() as connection:
            found = connection.execute(
                "SELECT min(m.seq) AS seq FROM memories m JOIN json_each(?) wanted ON CAST(wanted.value AS BIGINT) = m.seq"
                " WHERE m.deleted = 1",
                (as_list([turn.seq for turn in about.turns]),),
            ).fetchone()
            if found["seq"] is None:
                return False
            summaries.tell_again(connection, about.scope_id, about.thread_id, found["seq"], now_us)
        return True

    def applied(self, batch: str) -> bool:
        """Say whether the operations of this batch are there."""
        return bool(_of_batch(self._connections.read(), batch))

    # putting back

    def undo(self, run_id: str, now_us: int) -> int | None:
        """Put back what a pass has changed; return how many steps that were, or None if there is no such pass."""
        with self._connections.write() as connection:
            row = connection.execute("SELECT * FROM upkeep_runs WHERE id = ?", (run_id,)).fetchone()
            if row is None:
                return None
            run = Run(**dict(row))
            if run.state == "undone":
                return 0
            steps = connection.execute(
                "SELECT * FROM upkeep_steps WHERE run = ? ORDER BY number DESC", (run.number,)
            ).fetchall()
            for step in steps:
                _UNDOING[run.job](connection, run, step, now_us)
            connection.execute(
                "UPDATE upkeep_runs SET state = 'undone', updated_us = ? WHERE number = ?",
                (now_us, run.number),
            )
        return len(steps)

    def _last(self, connection: Connection, job: JobName) -> Run | None:
        row = connection.execute(
            "SELECT * FROM upkeep_runs WHERE job = ? ORDER BY number DESC LIMIT 1", (job,)
        ).fetchone()
        return None if row is None else Run(**dict(row))


def _is_merger(changes: Sequence[Change], pair: Collection[str]) -> bool:
    """Say whether one of the two has gone into the other, perhaps with its words, and nothing else has happened."""
    events = Counter(change.event for change in changes)
    among = all(change.memory_id in pair for change in changes)
    return among and events["MERGE"] == 1 and events["UPDATE"] == len(changes) - 1


def _part(connection: Connection, run: Run, step: Row, now_us: int) -> None:
    """Take two claims for different things again."""
    pair = (step["memory_id"], step["other"])
    connection.executemany("DELETE FROM alike WHERE claim_id = ? AND other_id = ?", (pair, pair[::-1]))
    _settle_apart(connection, run, pair, now_us)


def _slot_back(connection: Connection, run: Run, step: Row, now_us: int) -> None:
    """Compare a claim as before, and let those that it met work themselves out without it."""
    met = connection.execute(
        "SELECT o.id FROM claims c JOIN claims o ON o.scope_id = c.scope_id AND o.slot = c.slot"
        " WHERE c.id = ? AND c.slot <> ''",
        (step["other"],),
    ).fetchall()
    connection.execute(
        "UPDATE claims SET slot = ? WHERE id = ? AND spent = 0", (step["before"], step["other"])
    )
    _settle_apart(connection, run, [step["other"], *(row["id"] for row in met)], now_us)


def _weight_back(connection: Connection, _run: Run, step: Row, _now_us: int) -> None:
    connection.execute(
        "UPDATE memories SET weight = ? WHERE id = ? AND deleted = 0",
        (float(step["before"]), step["memory_id"]),
    )


def _take_back(connection: Connection, run: Run, step: Row, now_us: int) -> None:
    """Hide a memory that the pass has made, and let its claim decide nothing any more."""
    connection.execute("UPDATE claims SET spent = 1 WHERE id = ?", (step["other"],))
    for row in _shown(connection, [step["memory_id"]]):
        connection.execute("UPDATE memories SET hidden = 1, updated_us = ? WHERE id = ?", (now_us, row["id"]))
        writes.count(connection, row["scope_id"], terms_of(row["terms"]), -1)
        drop_vectors(connection, row["scope_id"], row["id"])
        enqueue(connection, row["id"])
        _tell(connection, run, row, "RETRACT", now_us)


_UNDOING = {
    "merge": _part,
    "contradictions": _slot_back,
    "summaries": _take_back,
    "decay": _weight_back,
}


def _settle_apart(connection: Connection, run: Run, claim_ids: Collection[str], now_us: int) -> None:
    """Let the memories follow from each claim by itself, and note which of them are there again."""
    found = connection.execute(
        "SELECT c.id, c.scope_id FROM claims c JOIN json_each(?) wanted ON wanted.value = c.id WHERE c.spent = 0",
        (as_list(claim_ids),),
    ).fetchall()
    hidden = connection.execute(
        "SELECT m.* FROM memories m JOIN json_each(?) wanted ON wanted.value = m.id WHERE m.hidden = 1",
        (as_list([row["id"] for row in found]),),
    ).fetchall()
    for row in found:
        changes = claims.settle_again(connection, row["scope_id"], [row["id"]], now_us)
        _record(connection, run, row["scope_id"], changes, now_us, undone=True)
    for row in _shown(connection, [row["id"] for row in hidden]):
        _tell(connection, run, row, "RESTORE", now_us)


def _tell(
    connection: Connection,
    run: Run,
    row: Row,
    event: Literal["RESTORE", "RETRACT"],
    now_us: int,
) -> None:
    """Write into history and audit what undoing did to a memory."""
    writes.add_version(connection, row["id"], event, row["text"], row["text"], now_us)
    change = Change(memory_id=row["id"], event=event, text=row["text"])
    _record(connection, run, row["scope_id"], [change], now_us, undone=True)


def _record(
    connection: Connection,
    run: Run,
    scope_id: int,
    changes: Sequence[Change],
    now_us: int,
    *,
    undone: bool = False,
) -> None:
    """Name the pass in the versions of these changes, the latest ones of their memories, and write the audit."""
    reason = f"undo {run.id}" if undone else run.id
    for memory_id, count in Counter(change.memory_id for change in changes).items():
        connection.execute(
            "UPDATE versions SET reason = :reason WHERE memory_id = :id"
            " AND version > (SELECT max(version) FROM versions WHERE memory_id = :id) - :count",
            {"reason": reason, "id": memory_id, "count": count},
        )
    for change in changes:
        writes.note(
            connection, scope_id, now_us, change.event.lower(), ACTOR, change.memory_id, 1, reason=reason
        )


def _step(connection: Connection, run: Run, memory_id: str, other: str, before: str, now_us: int) -> None:
    connection.execute(
        "INSERT INTO upkeep_steps (run, memory_id, other, before) VALUES (?, ?, ?, ?)",
        (run.number, memory_id, other, before),
    )
    connection.execute(
        "UPDATE upkeep_runs SET changed = changed + 1, updated_us = ? WHERE number = ?", (now_us, run.number)
    )


def _put_back(connection: Connection, step: Sequence[str]) -> bool:
    """Say whether somebody has put this very step back: it is not done again."""
    found = connection.execute(
        "SELECT 1 FROM upkeep_steps s JOIN upkeep_runs r ON r.number = s.run"
        " WHERE s.memory_id = ? AND s.other = ? AND r.state = 'undone'",
        tuple(step),
    )
    return found.fetchone() is not None


def _shown(connection: Connection, ids: Collection[str]) -> list[Row]:
    return connection.execute(
        "SELECT m.* FROM json_each(?) wanted CROSS JOIN memories m"
        " WHERE m.id = wanted.value AND m.deleted = 0 AND m.hidden = 0",
        (as_list(ids),),
    ).fetchall()


def _of_batch(connection: Connection, batch: str) -> list[tuple[str, str]]:
    rows = connection.execute("SELECT id, memory_id FROM claims WHERE batch = ?", (batch,))
    return [(row["id"], row["memory_id"]) for row in rows]
