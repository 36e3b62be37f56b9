"""A summary goes with any turn it was told from: a model has read that turn, so its words may stand there.

With it go the later summaries of the conversation, and the next pass of the upkeep tells what is left of it anew.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from memory.store import sql_writes as writes
from memory.store.connection import Connection, Row, as_list

BATCH = "upkeep:summary:"
"""What the names of their batches begin with; scope and `seq` of the last turn follow, with colons between."""
_TOLD = (
    "SELECT DISTINCT c.memory_id, c.batch, c.spent FROM claims c JOIN evidence e ON e.claim_id = c.id"
    " WHERE c.scope_id = ? AND c.batch LIKE ? AND e.thread_id = ?"
)


class _Summary(msgspec.Struct, frozen=True, order=True):
    upto: int
    memory_id: str
    undone: bool
    """Somebody has put it back: it is hidden, and what it told is not told again."""


def retract(connection: Connection, rows: Iterable[Row], now_us: int) -> None:
    """Erase the summaries that were told from any of these memories."""
    for row in rows:
        if row["kind"] == "episode" and row["thread_id"]:
            tell_again(connection, row["scope_id"], row["thread_id"], row["seq"], now_us)


def tell_again(connection: Connection, scope_id: int, thread_id: str, seq: int, now_us: int) -> None:
    """Erase what tells this turn of a conversation, or a later one, and let them be told again without it."""
    told = _told(connection, scope_id, thread_id)
    unsafe = [one for one in told if one.upto >= seq]
    if not unsafe:
        return
    if unsafe[0].undone:
        del unsafe[1:]
    else:
        before = max((one.upto for one in told if one.upto < seq), default=0)
        connection.execute(
            "UPDATE summaries SET upto = ? WHERE scope_id = ? AND thread_id = ?",
            (before, scope_id, thread_id),
        )
    found = connection.execute(
        "SELECT m.* FROM memories m JOIN json_each(?) wanted ON wanted.value = m.id WHERE m.deleted = 0",
        (as_list({one.memory_id for one in unsafe}),),
    )
    for row in found.fetchall():
        writes.erase(connection, row, now_us)
        writes.note(
            connection, scope_id, now_us, "retract", "", row["id"], 1, reason="a turn of it was deleted"
        )


def _told(connection: Connection, scope_id: int, thread_id: str) -> list[_Summary]:
    rows = connection.execute(_TOLD, (scope_id, f"{BATCH}%", thread_id))
    return sorted(
        _Summary(int(row["batch"].removeprefix(BATCH).split(":")[1]), row["memory_id"], bool(row["spent"]))
        for row in rows
    )
