"""What was erased stays away: keyed digests of it, and until when it had been said.

A client goes on sending the history in which the erased words stand, and a model may still be reading them.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Sequence

import msgspec

from memory.apply import Asserted
from memory.capture import same_of
from memory.records import Turn
from memory.scope import Scope
from memory.store.connection import Connection, Row, as_list, within

_EVERYTHING = b"everything"


def suppress(connection: Connection, key: bytes, row: Row, now_us: int) -> None:
    """Note what a memory says, said and was proven by, before it is erased. `row` is joined with its scope."""
    scope = Scope(**{name: row[name] for name in Scope.__struct_fields__})
    texts = connection.execute(
        "SELECT new_text AS text FROM versions WHERE memory_id = ?1 AND new_text IS NOT NULL"
        " UNION SELECT quote FROM evidence WHERE memory_id = ?1",
        (row["id"],),
    )
    digests = {same_of(key, one["text"]) for one in texts}
    sources = connection.execute(
        "SELECT DISTINCT call_id, message_index FROM evidence WHERE memory_id = ?", (row["id"],)
    )
    digests |= {_source(key, one["call_id"], one["message_index"]) for one in sources}
    _note(connection, key, scope, digests, now_us)


def forget_scopes(connection: Connection, key: bytes, scope: Scope, now_us: int) -> None:
    """Take the names out of the scopes that this one sees, and note that all of it was erased."""
    rows = within(connection, scope, "SELECT * FROM scopes WHERE id IN (SELECT id FROM visible)").fetchall()
    for row in rows:
        seen = Scope(**{name: row[name] for name in Scope.__struct_fields__})
        _note(connection, key, seen, [_whole(key, seen)], now_us)
        names = {name: row[name] and _erased(key, row[name], row["id"]) for name in ("user", "agent", "run")}
        connection.execute(
            'UPDATE scopes SET "user" = :user, agent = :agent, run = :run WHERE id = :id',
            {**names, "id": row["id"]},
        )


def kept(connection: Connection, key: bytes, scope: Scope, turns: Sequence[Turn]) -> list[bool]:
    """Say of each turn whether it may be stored.

    The last turn is being said now and counts as new, unless it comes after turns that were erased: then all of it
    is the old history.
    """
    erased = _suppressed(connection, key, scope, [turn.draft.same for turn in turns])
    old = [turn.draft.same in erased for turn in turns]
    if not any(old[:-1]):
        old[-1:] = [False] * len(old[-1:])
    return [not one for one in old]


def wanted(connection: Connection, key: bytes, scope: Scope, asserted: Sequence[Asserted]) -> list[Asserted]:
    """Return what is not about something that was erased after it was said."""
    whole = _whole(key, scope)
    digests = [digest for one in asserted for digest in (one.claim.same, *_sources(key, one))]
    erased = _suppressed(connection, key, scope, [whole, *digests])

    def gone(digest: bytes, one: Asserted) -> bool:
        return one.claim.operation.occurred_at_us <= erased.get(digest, 0)

    return [
        one
        for one in asserted
        if not gone(whole, one)
        and not gone(one.claim.same, one)
        and not all(gone(source, one) for source in _sources(key, one))
    ]


def _sources(key: bytes, asserted: Asserted) -> list[bytes]:
    return [_source(key, one.call_id, one.message_index) for one in asserted.claim.operation.evidence]


def _source(key: bytes, call_id: str, index: int) -> bytes:
    return hmac.digest(key, f"source\0{call_id}\0{index}".encode(), "sha256")[:16]


def _whole(key: bytes, scope: Scope) -> bytes:
    named = msgspec.json.encode(msgspec.structs.astuple(scope))
    return hmac.digest(key, _EVERYTHING + b"\0" + named, "sha256")[:16]


def _owner(key: bytes, scope: Scope) -> bytes:
    return hmac.digest(key, b"owner\0" + scope.owner().encode(), "sha256")[:16]


def _erased(key: bytes, name: str, number: int) -> str:
    """Return what stands for a name that was erased; different for each row, as names may be given again."""
    return f"erased:{hmac.digest(key, b'name' + name.encode(), 'sha256').hex()[:24]}:{number}"


def _note(connection: Connection, key: bytes, scope: Scope, digests: Collection[bytes], now_us: int) -> None:
    connection.executemany(
        "INSERT INTO suppressions (owner, digest, at_us) VALUES (?, ?, ?)"
        " ON CONFLICT (owner, digest) DO UPDATE SET at_us = excluded.at_us",
        [(_owner(key, scope).hex(), digest.hex(), now_us) for digest in digests],
    )


def _suppressed(
    connection: Connection, key: bytes, scope: Scope, digests: Collection[bytes]
) -> dict[bytes, int]:
    rows = connection.execute(
        "SELECT digest, at_us FROM suppressions"
        " WHERE owner = ? AND digest IN (SELECT value FROM json_each(?))",
        (_owner(key, scope).hex(), as_list([digest.hex() for digest in digests])),
    )
    return {bytes.fromhex(row["digest"]): row["at_us"] for row in rows}
