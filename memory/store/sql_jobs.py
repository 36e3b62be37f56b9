"""Jobs of the ledger: which conversations are still to be read, who is at it, and what came of it.

A job begins in the transaction that stores its first turn and ends in one of its own, so a kill leaves no turn
unread and no job without its turns. Of one thread's jobs only the oldest is ever worked on.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import get_args

import msgspec

from memory.debounce import LEASE_US
from memory.jobs import PICTURE, Effect, JobState, JobStatus, JobTurn, Leased, Made, Submission, Worked
from memory.records import Change, Line, Operation
from memory.scope import Scope
from memory.store.connection import Connection, Connections, Row, within, words_of
from memory.store.sql_job_turns import IN_SCOPE, UNFINISHED, begin, forget
from memory.store.sql_writes import scope_row

_KEPT_US = 7 * 86_400_000_000
"""How long a finished job can be asked for."""
_MOST_TOLD = 2000
"""Jobs that are looked at to say how jobs went."""
_WRITTEN = ("extracted", "rules")
_SHARES = (0.5, 0.9, 0.95, 0.99)
_IDENTITY = ("project", "environment", "user", "agent", "run")
_HELD = ("number", "lease", "id", "thread_id", "task", "attempts", "refusals", "instructions", "actor")
_LINES = msgspec.msgpack.Decoder(list[Line])
_OPERATIONS = msgspec.msgpack.Decoder(list[Operation])
_EFFECTS = msgspec.msgpack.Decoder(list[Effect])
_NEXT = f"""
UPDATE jobs SET state = 'working', open = 0, lease = :lease, lease_until_us = :until, attempts = attempts + 1,
 updated_us = :now
WHERE number = (
 SELECT number FROM jobs j
 WHERE (state = 'waiting' AND due_us <= :now OR state = 'working' AND lease_until_us <= :now)
 AND NOT EXISTS (SELECT 1 FROM jobs o WHERE o.scope_id = j.scope_id AND o.thread_id = j.thread_id
  AND o.number < j.number AND o.{UNFINISHED})
 ORDER BY due_us, number LIMIT 1)
RETURNING *"""  # noqa: S608 - ours
_TURNS = (
    "SELECT t.*, CASE WHEN t.text <> '' OR m.id IS NULL THEN t.text ELSE m.text END AS words FROM job_turns t"
    " LEFT JOIN memories m ON m.id = t.memory_id WHERE t.job = ? ORDER BY t.place"
)


class SqliteJobs:
    """The jobs in a ledger's file."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def submit(self, given: Submission, now_us: int) -> str:
        """Store a job for messages that were handed over, due at once; earlier ones of its thread become so too."""
        with self._connections.write() as connection:
            scope_id = scope_row(connection, given.scope)
            words = words_of(connection, scope_id)
            connection.execute(
                f"UPDATE jobs SET due_us = ?, open = 0 WHERE scope_id = ? AND thread_id = '' AND {UNFINISHED}",  # noqa: S608
                (now_us, scope_id),
            )
            lines = [*given.lines, *(Line(PICTURE, url) for url in given.pictures)]
            job_id = str(uuid.uuid4())
            number = begin(connection, scope_id, "", job_id, now_us, task=given.task)
            connection.execute(
                "UPDATE jobs SET turns = ?, open = 0, instructions = ?, actor = ?, metadata = ? WHERE number = ?",
                (
                    len(given.lines),
                    words.seal(given.instructions),
                    given.actor,
                    msgspec.json.encode(given.metadata),
                    number,
                ),
            )
            connection.executemany(
                "INSERT INTO job_turns (job, place, call_id, message_index, event_id, role, text, occurred_us)"
                " VALUES (?, ?, ?, ?, '', ?, ?, ?)",
                [
                    (number, place, job_id, place, line.role, words.seal(line.text), given.occurred_at_us)
                    for place, line in enumerate(lines)
                ],
            )
        return job_id

    def lease(self, now_us: int) -> Leased | None:
        """Take the next job that is due; None if there is none."""
        with self._connections.write() as connection:
            asked = {"lease": uuid.uuid4().hex, "until": now_us + LEASE_US, "now": now_us}
            row = connection.execute(_NEXT, asked).fetchone()
            if row is None:
                return None
            turns = [_turn(found) for found in connection.execute(_TURNS, (row["number"],))]
            scope = connection.execute("SELECT * FROM scopes WHERE id = ?", (row["scope_id"],)).fetchone()
        return Leased(
            scope=Scope(**{name: scope[name] for name in _IDENTITY}),
            turns=[turn for turn in turns if turn.text and turn.role != PICTURE],
            pictures=[turn for turn in turns if turn.text and turn.role == PICTURE],
            metadata=msgspec.json.decode(row["metadata"]),
            **{name: row[name] for name in _HELD},
        )

    def release_all(self) -> None:
        """Take every job out of hands that are gone: this process begins, and is the ledger's only one.

        If it is not, others may be reading; leases of those that are gone end by themselves.
        """
        if self._connections.shared:
            return
        with self._connections.write() as connection:
            connection.execute("UPDATE jobs SET lease_until_us = 0 WHERE state = 'working'")

    def is_held(self, job: Leased) -> bool:
        """Say whether the job is still in these hands: an erasure takes it out of them."""
        found = self._connections.read().execute(
            "SELECT 1 FROM jobs WHERE number = ? AND lease = ?", (job.number, job.lease)
        )
        return found.fetchone() is not None

    def any_due(self, now_us: int) -> bool:
        """Say whether it is worth asking for a lease."""
        found = self._connections.read().execute(
            "SELECT 1 FROM jobs WHERE state = 'waiting' AND due_us <= :now"
            " OR state = 'working' AND lease_until_us <= :now LIMIT 1",
            {"now": now_us},
        )
        return found.fetchone() is not None

    def kept(self, job: Leased, content: bytes) -> list[Operation] | None:
        """Return what an earlier attempt made of the same content."""
        row = (
            self._connections.read()
            .execute(
                "SELECT operations FROM extractions WHERE job = ? AND content = ?", (job.number, content)
            )
            .fetchone()
        )
        return None if row is None else _OPERATIONS.decode(row["operations"])

    def keep(self, job: Leased, content: bytes, made: Made, now_us: int) -> bool:
        """Keep what is about to be applied; False if the job is no longer in these hands."""
        with self._connections.write() as connection:
            if not _holds(connection, job):
                return False
            words = connection.sealing.words(job.scope.project)
            connection.execute(
                "INSERT INTO extractions (job, content, operations, created_us) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (job) DO UPDATE SET content = excluded.content, operations = excluded.operations,"
                " created_us = excluded.created_us",
                (job.number, content, words.pack(msgspec.msgpack.encode(made.operations)), now_us),
            )
            connection.execute(
                "UPDATE jobs SET proposed = ?, grounded = ? WHERE number = ?",
                (made.proposed, made.grounded, job.number),
            )
        return True

    def finish(self, job: Leased, outcome: str, changes: Sequence[Change], now_us: int) -> bool:
        """End the job and forget what it read; False if it is no longer in these hands."""
        plain = msgspec.msgpack.encode([Effect(change.memory_id, change.event) for change in changes])
        return self._leave(
            job,
            "state = 'done', error = '', instructions = '', metadata = x'7b7d', outcome = ?, effects = ?, updated_us = ?",
            (outcome, plain, now_us),
            over=True,
        )

    def postpone(self, job: Leased, error: str, *, until_us: int, refused: bool, now_us: int) -> None:
        """Leave the job for later. `refused`: its model answered, but nothing of use."""
        self._leave(
            job,
            "state = 'waiting', error = ?, due_us = ?, refusals = refusals + ?, updated_us = ?",
            (error, until_us, int(refused), now_us),
            over=False,
        )

    def bury(self, job: Leased, error: str, now_us: int) -> None:
        """Give the job up."""
        self._leave(
            job,
            "state = 'dead', instructions = '', metadata = x'7b7d', error = ?, updated_us = ?",
            (error, now_us),
            over=True,
        )

    def page(self, scope: Scope, *, limit: int, job_id: str = "") -> list[JobStatus]:
        """Return the jobs this scope sees, newest first, or the one with this id."""
        which = "AND id = :id " if job_id else ""
        rows = within(
            self._connections.read(),
            scope,
            f"{IN_SCOPE}{which}ORDER BY number DESC LIMIT :limit",
            {"limit": limit, "id": job_id},
        )
        return [_status(row) for row in rows]

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in which state."""
        rows = self._connections.read().execute("SELECT state, count(*) AS jobs FROM jobs GROUP BY state")
        return {**dict.fromkeys(get_args(JobState), 0), **{row["state"]: row["jobs"] for row in rows}}

    def worked(self, place: tuple[str, str] | None, from_us: int, to_us: int) -> Worked:
        """Say what came of the jobs that began in a span of time, in a project and environment, or in all."""
        rows = self._connections.read().execute(
            "SELECT j.* FROM jobs j JOIN scopes s ON s.id = j.scope_id WHERE j.created_us >= :since AND j.created_us < :upto"
            " AND (:anybodys = 1 OR (s.project = :project AND s.environment = :environment))"
            " ORDER BY j.number DESC LIMIT :most",
            {
                "since": from_us,
                "upto": to_us,
                "anybodys": int(place is None),
                **dict(zip(("project", "environment"), place or ("", ""), strict=True)),
                "most": _MOST_TOLD,
            },
        )
        found = rows.fetchall()
        told = [_status(row) for row in found]
        done = [one for one in told if one.state == "done"]
        took = sorted(one.updated_at_us - one.created_at_us for one in done if one.outcome in _WRITTEN)
        return Worked(
            jobs=len(told),
            states=Counter(one.state for one in told),
            outcomes=Counter(one.outcome for one in done),
            failing=sum(one.state == "waiting" and bool(one.error) for one in told),
            refused=sum(one.refusals for one in told),
            proposed=sum(row["proposed"] for row in found),
            grounded=sum(row["grounded"] for row in found),
            events=Counter(effect.event for one in done for effect in one.effects),
            took_us=[float(took[int(share * (len(took) - 1))]) for share in _SHARES] if took else [],
        )

    def purge(self, now_us: int) -> None:
        """Forget jobs that were over long ago."""
        with self._connections.write() as connection:
            connection.execute(
                "DELETE FROM jobs WHERE state IN ('done', 'dead') AND updated_us < ?", (now_us - _KEPT_US,)
            )

    def _leave(self, job: Leased, change: str, values: tuple[object, ...], *, over: bool) -> bool:
        with self._connections.write() as connection:
            if not _holds(connection, job):
                return False
            connection.execute(
                f"UPDATE jobs SET lease = '', lease_until_us = 0, {change} WHERE number = ?",  # noqa: S608
                (*values, job.number),
            )
            if over:
                forget(connection, [job.number])
        return True


def _holds(connection: Connection, job: Leased) -> bool:
    found = connection.execute("SELECT 1 FROM jobs WHERE number = ? AND lease = ?", (job.number, job.lease))
    return found.fetchone() is not None


def _turn(row: Row) -> JobTurn:
    return JobTurn(
        memory_id=row["memory_id"],
        call_id=row["call_id"],
        message_index=row["message_index"],
        event_id=row["event_id"],
        role=row["role"],
        text=row["words"],
        occurred_at_us=row["occurred_us"],
        before=_LINES.decode(row["before"]),
    )


def _status(row: Row) -> JobStatus:
    return JobStatus(
        id=row["id"],
        state=row["state"],
        task=row["task"],
        thread_id=row["thread_id"],
        turns=row["turns"],
        attempts=row["attempts"],
        refusals=row["refusals"],
        created_at_us=row["created_us"],
        updated_at_us=row["updated_us"],
        due_at_us=row["due_us"],
        error=row["error"],
        outcome=row["outcome"],
        effects=tuple(_EFFECTS.decode(row["effects"])),
    )
