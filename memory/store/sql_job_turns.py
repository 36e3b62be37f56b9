"""The turns of jobs: how they get in with what is captured, and out with what is erased.

Each function runs inside a transaction of the ledger's.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from memory.cues import cue_of
from memory.debounce import due_us, is_full
from memory.jobs import PICTURE, Task
from memory.records import Turn
from memory.render import tokens_of
from memory.scope import Scope
from memory.store.connection import Connection, within, words_of

UNFINISHED = "state IN ('waiting', 'working')"
IN_SCOPE = "SELECT * FROM jobs WHERE scope_id IN (SELECT id FROM visible) "


def join(
    connection: Connection, scope_id: int, thread_id: str, turn: Turn, memory_id: str, now_us: int
) -> None:
    """Put a turn that was just stored into its thread's job, or begin one with it."""
    row = connection.execute(
        "SELECT number, turns, tokens FROM jobs WHERE scope_id = ? AND thread_id = ? AND open = 1 AND state = 'waiting'",
        (scope_id, thread_id),
    ).fetchone()
    number, turns, tokens = row or (0, 0, 0)
    if not number:
        number = begin(connection, scope_id, thread_id, str(uuid.uuid4()), now_us)
    tokens += tokens_of(turn.draft.text)
    turns += 1
    due = due_us(now_us, turns=turns, tokens=tokens, urgent=cue_of(turn.draft.text).urgent)
    connection.execute(
        # what was due stays due: a hurried turn followed by another one must not wait for silence
        "UPDATE jobs SET turns = ?1, tokens = ?2, due_us = CASE WHEN ?7 = 1 AND due_us <= ?4 THEN due_us ELSE ?3 END,"
        " open = ?5, updated_us = ?4 WHERE number = ?6",
        (turns, tokens, due, now_us, int(not is_full(turns, tokens)), number, int(turns > 1)),
    )
    evidence = turn.draft.evidence
    assert evidence is not None, "a captured turn says where it comes from"
    words = words_of(connection, scope_id)
    rows = [("user", "", turn.before), *((PICTURE, url, ()) for url in turn.pictures)]
    connection.executemany(
        "INSERT INTO job_turns (job, place, memory_id, call_id, message_index, event_id, occurred_us, role, text, before)"
        " VALUES (?1, (SELECT count(*) FROM job_turns WHERE job = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        [
            (
                number,
                memory_id,
                evidence.call_id,
                evidence.message_index,
                turn.event_id,
                turn.draft.occurred_at_us,
                role,
                words.seal(text),
                words.pack(msgspec.msgpack.encode(before)),
            )
            for role, text, before in rows
        ],
    )


def erased(connection: Connection, scope_id: int, memory_id: str) -> None:
    """Forget what jobs hold of a memory that is being erased: its turn, and what neighbours were said beside it.

    A job of this scope that is being worked on has to begin again: it may have read the memory.
    """
    connection.execute("DELETE FROM job_turns WHERE memory_id = ?", (memory_id,))
    theirs = f"(SELECT number FROM jobs WHERE scope_id = ? AND {UNFINISHED})"  # noqa: S608 - ours
    connection.execute(f"UPDATE job_turns SET before = x'90' WHERE job IN {theirs}", (scope_id,))  # noqa: S608
    connection.execute(f"DELETE FROM extractions WHERE job IN {theirs}", (scope_id,))  # noqa: S608
    connection.execute(
        "UPDATE jobs SET lease = '', lease_until_us = 0 WHERE scope_id = ? AND state = 'working'", (scope_id,)
    )


def all_erased(connection: Connection, scope: Scope, now_us: int) -> None:
    """End every job that this scope sees, with all it holds."""
    rows = within(connection, scope, f"{IN_SCOPE}AND {UNFINISHED}").fetchall()
    numbers = [row["number"] for row in rows]
    forget(connection, numbers)
    connection.executemany(
        "UPDATE jobs SET state = 'done', outcome = 'erased', instructions = '', metadata = x'7b7d', lease = '', updated_us = ?"
        " WHERE number = ?",
        [(now_us, number) for number in numbers],
    )


def begin(
    connection: Connection,
    scope_id: int,
    thread_id: str,
    job_id: str,
    now_us: int,
    *,
    task: Task = "facts",
) -> int:
    """Store a new job; return its number."""
    row = connection.execute(
        "INSERT INTO jobs (id, scope_id, thread_id, task, state, open, created_us, updated_us, due_us)"
        " VALUES (?, ?, ?, ?, 'waiting', 1, ?, ?, ?) RETURNING number",
        (job_id, scope_id, thread_id, task, now_us, now_us, now_us),
    ).fetchone()
    return int(row["number"])


def forget(connection: Connection, numbers: Sequence[int]) -> None:
    """Drop all words that these jobs hold."""
    rows = [(number,) for number in numbers]
    connection.executemany("DELETE FROM job_turns WHERE job = ?", rows)
    connection.executemany("DELETE FROM extractions WHERE job = ?", rows)
