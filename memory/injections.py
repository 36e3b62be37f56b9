"""What was put into which conversation, byte for byte. It lies beside the memories, in the same database.

A provider caches the beginning of a prompt as it was sent. A client sends only its own words again, so what was put
between them must be put there again. Nothing is replayed, or counts as seen, that was not confirmed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice

import msgspec

from memory.chain import after, root_of
from memory.clock import Clock
from memory.scope import Scope
from memory.store.connection import Connection, Connections, as_list, within, words_of
from memory.store.sql_calls import SqliteCalls, Why, note
from memory.store.sql_writes import scope_row

PROFILE = ""
"""Stands for the anchor of a thread's profile."""
KEEP_US = 30 * 24 * 3600 * 1_000_000
"""A thread that has not been used for so long is forgotten, and why a call got its memories ..."""
_SWEEP = 16
"""... so many at a time."""

_KNOWN = (
    "SELECT i.anchor, i.block, i.tokens, t.used_us, (SELECT json_group_array(memory_id) FROM injected d"
    " WHERE d.thread = i.thread AND d.anchor = i.anchor) AS ids"
    # CROSS JOIN: begin with the anchors that were asked for
    " FROM threads t CROSS JOIN json_each(:anchors) asked CROSS JOIN injections i"
    " WHERE i.thread = t.thread AND i.anchor = asked.value AND t.thread = :thread AND t.scope_id IN (SELECT id FROM visible)"
)
_PROFILE_OF = (
    "SELECT id, text, kind, occurred_us FROM memories"
    " WHERE deleted = 0 AND hidden = 0 AND quarantined = 0 AND superseded_by = '' AND sensitivity = ''"
    " AND trust = 'user' AND kind IN ('instruction', 'preference', 'fact')"
    " AND valid_from_us <= :now_us AND (valid_to_us = 0 OR valid_to_us > :now_us)"
    " AND (expires_us = 0 OR expires_us > :now_us) AND scope_id IN (SELECT id FROM visible)"
    " ORDER BY kind = 'instruction' DESC, kind = 'preference' DESC, occurred_us DESC, id"
)
_VISIBLE_OF = (
    "SELECT count(*) FROM memories WHERE deleted = 0 AND scope_id IN (SELECT id FROM visible)"
    " AND id IN (SELECT value FROM json_each(:ids))"
)
_USED_AGAIN = (
    "INSERT INTO uses (memory_id, call_id, at_us) SELECT id, CAST(:call_id AS TEXT), CAST(:now_us AS BIGINT) FROM memories"
    " WHERE deleted = 0 AND scope_id IN (SELECT id FROM visible) AND id IN (SELECT value FROM json_each(:ids))"
    " ON CONFLICT DO NOTHING"
)
_USE = (
    "INSERT INTO threads (thread, scope_id, used_us) VALUES (?, ?, ?)"
    " ON CONFLICT (thread) DO UPDATE SET used_us = excluded.used_us WHERE threads.used_us < excluded.used_us"
)
_PUT = "INSERT INTO injections VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"

_SWEEPS = (
    "DELETE FROM threads WHERE thread IN (SELECT thread FROM threads WHERE used_us < ? LIMIT ?)",
    "DELETE FROM recalls WHERE call_id IN (SELECT call_id FROM recalls WHERE at_us < ? LIMIT ?)",
)


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Text behind an anchor, or a profile; empty if nothing was put there."""

    text: str = ""
    tokens: int = 0
    ids: tuple[str, ...] = ()
    """Of the memories in it."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a thread."""

    blocks: dict[str, Block]
    """By anchor."""
    used_us: int
    """0: it is new."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What went to a provider with one call."""

    scope: Scope
    call_id: str
    thread: str
    blocks: dict[str, Block]
    """What is new, by anchor."""
    dropped: tuple[str, ...] = ()
    """Anchors whose block was left out or made anew, as the provider's cache was cold."""
    read_us: int
    """When it was looked up what there was."""
    why: Why | None = None
    """None: nothing was looked for, and nothing stood there."""
    again: tuple[str, ...] = ()
    """Memories in blocks of earlier calls that were put back."""


class Portrait(msgspec.Struct, frozen=True):
    """A memory for a profile."""

    id: str
    text: str
    kind: str
    occurred_us: int


class Injections:
    """Safe to call from several threads; every method blocks on the database."""

    def __init__(self, connections: Connections, *, key: bytes, clock: Clock) -> None:
        """`key` is that of threads' and anchors' names. The connections are closed with the ledger."""
        self._connections = connections
        self._calls = SqliteCalls(self._connections)
        self._key = key
        self._clock = clock

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def thread(self, scope: Scope, name: str) -> str:
        """Return how a thread of this scope is called here."""
        owner = msgspec.json.encode(("injections", *msgspec.structs.astuple(scope)))
        return root_of(self._key, owner, name).hex()

    def anchor(self, thread: str, digest: bytes) -> str:
        """Return how an anchor of the thread is called here; what workers send could be guessed, this cannot."""
        return after(self._key, bytes.fromhex(thread), digest).hex()

    def read(self, scope: Scope, thread: str, anchors: Collection[str]) -> Known:
        """Return what stands behind these anchors, and the thread's profile."""
        asked = {"thread": thread, "anchors": as_list([PROFILE, *anchors])}
        rows = within(self._connections.read(), scope, _KNOWN, asked).fetchall()
        blocks = {
            row["anchor"]: Block(text=row["block"], tokens=row["tokens"], ids=_ids(row["ids"]))
            for row in rows
        }
        return Known(blocks=blocks, used_us=rows[0]["used_us"] if rows else 0)

    def portrait(self, scope: Scope, *, most: int, longest: int) -> list[Portrait]:
        """Return what holds of the user now, most telling first; at most `longest` characters each."""
        asked = {"now_us": self._clock.now_us()}
        rows = within(self._connections.read(), scope, _PROFILE_OF, asked).fetchall()
        short = (row for row in rows if len(row["text"]) <= longest)  # sealed, it has another length
        return [
            Portrait(row["id"], row["text"], row["kind"], row["occurred_us"]) for row in islice(short, most)
        ]

    def write(self, batch: Sequence[Sent]) -> None:
        """Note what was sent; of an anchor that has a block already, that one stays.

        A block with a memory that was deleted meanwhile is not kept.
        """
        now_us = self._clock.now_us()
        with self._connections.write() as connection:
            for sent in batch:
                if not _leaves_traces(connection, sent):
                    continue
                scope_id = scope_row(connection, sent.scope)
                connection.execute(_USE, (sent.thread, scope_id, now_us))
                connection.executemany(
                    "DELETE FROM injections WHERE thread = ? AND anchor = ? AND at_us <= ?",
                    [(sent.thread, anchor, sent.read_us) for anchor in sent.dropped],
                )
                for anchor, block in sent.blocks.items():
                    _insert(connection, scope_id, sent, anchor, block, now_us)
                if (why := sent.why) is not None:
                    note(connection, scope_id, sent.call_id, why, now_us)
                if sent.again:
                    used = {"ids": as_list(sent.again), "call_id": sent.call_id, "now_us": now_us}
                    within(connection, sent.scope, _USED_AGAIN, used)
            for sweep in _SWEEPS:
                connection.execute(sweep, (now_us - KEEP_US, _SWEEP))

    def why(self, scope: Scope, call_id: str) -> Why | None:
        """Return how the recall of a call went."""
        return self._calls.why(scope, call_id)


def _leaves_traces(connection: Connection, sent: Sent) -> bool:
    """Say whether anything is known of whoever asked: the name of one who was erased is not to come back."""
    if any(block.text for block in sent.blocks.values()):
        return True
    (scopes,) = within(connection, sent.scope, "SELECT count(*) FROM visible").fetchone()
    return bool(scopes)


def _insert(
    connection: Connection, scope_id: int, sent: Sent, anchor: str, block: Block, now_us: int
) -> None:
    (there,) = within(connection, sent.scope, _VISIBLE_OF, {"ids": as_list(block.ids)}).fetchone()
    if there < len(block.ids):
        return
    text = words_of(connection, scope_id).seal(block.text)
    row = (sent.thread, anchor, text, block.tokens, now_us)
    if connection.execute(_PUT, row).rowcount:
        connection.executemany(
            "INSERT INTO injected (thread, anchor, memory_id) VALUES (?, ?, ?)",
            [(sent.thread, anchor, memory_id) for memory_id in block.ids],
        )


def _ids(listed: str) -> tuple[str, ...]:
    return msgspec.json.decode(listed, type=tuple[str, ...])
