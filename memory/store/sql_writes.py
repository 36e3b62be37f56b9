"""The statements that change memories; each runs inside a transaction of the ledger's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from memory.chain import after, align, id_of, root_of
from memory.facets import normal
from memory.records import Draft, Entity, Event, Evidence, Terms, Turn
from memory.scope import Scope
from memory.store import sql_job_turns
from memory.store.connection import Connection, Row, words_about, words_of
from memory.store.sql_outbox import drop_vectors, enqueue, terms_of

_PLACES = 16
"""How many places of the same words are tried when a history begins in the middle."""


def scope_row(connection: Connection, scope: Scope) -> int:
    """Return the row of exactly this scope, made if it is not there."""
    names = (scope.project, scope.environment, scope.user, scope.agent, scope.run)
    connection.execute(
        'INSERT INTO scopes (project, environment, "user", agent, run) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
        names,
    )
    (found,) = connection.execute(
        'SELECT id FROM scopes WHERE project = ? AND environment = ? AND "user" = ? AND agent = ? AND run = ?',
        names,
    ).fetchone()
    return int(found)


def reads_the_same(connection: Connection, scope_id: int, same: bytes) -> str | None:
    """Return the id of a memory of this scope that says the same."""
    row = connection.execute(
        "SELECT id FROM memories WHERE scope_id = ? AND same = ? AND deleted = 0", (scope_id, same)
    ).fetchone()
    return None if row is None else str(row["id"])


def insert(connection: Connection, scope_id: int, draft: Draft, now_us: int, *, claim_id: str = "") -> None:
    """Store a new memory, its first version, its evidence, and tell the index."""
    evidence = draft.evidence
    connection.execute(
        "INSERT INTO memories (id, scope_id, version, text, terms, same, kind, trust, actor, metadata,"
        " created_us, updated_us, occurred_us, valid_from_us, expires_us, thread_id, quarantined, seq)"
        " VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(seq), 0) + 1 FROM memories))",
        (
            draft.id,
            scope_id,
            words_of(connection, scope_id).seal(draft.text),
            msgspec.msgpack.encode(draft.terms),
            draft.same,
            draft.kind,
            draft.trust,
            draft.actor,
            msgspec.json.encode(draft.metadata),
            now_us,
            now_us,
            draft.occurred_at_us,
            draft.occurred_at_us,
            draft.expires_at_us,
            draft.thread_id or (evidence.thread_id if evidence else ""),
            int(draft.quarantined),
        ),
    )
    add_version(connection, draft.id, "ADD", None, draft.text, now_us, claim_id=claim_id)
    if evidence is not None:
        prove(connection, draft.id, "", [evidence])
    mention(connection, scope_id, draft.id, draft.entities)
    count(connection, scope_id, draft.terms, 1)
    enqueue(connection, draft.id)


def prove(connection: Connection, memory_id: str, claim_id: str, evidence: Iterable[Evidence]) -> None:
    """Note where a memory comes from; `claim_id`: of the operation that brought the evidence."""
    seal = words_about(connection, memory_id).seal
    connection.executemany(
        "INSERT INTO evidence (memory_id, claim_id, call_id, message_index, thread_id, quote)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (memory_id, claim_id, one.call_id, one.message_index, one.thread_id, seal(one.quote))
            for one in evidence
        ],
    )


def rewrite(connection: Connection, row: Row, draft: Draft, now_us: int, *, claim_id: str = "") -> None:
    """Give a memory that is not hidden another text, as its next version."""
    memory_id = row["id"]
    version = add_version(connection, memory_id, "UPDATE", row["text"], draft.text, now_us, claim_id=claim_id)
    connection.execute(
        "UPDATE memories SET text = ?, terms = ?, same = ?, quarantined = ?, version = ?, updated_us = ? WHERE id = ?",
        (
            words_of(connection, row["scope_id"]).seal(draft.text),
            msgspec.msgpack.encode(draft.terms),
            draft.same,
            int(draft.quarantined),
            version,
            now_us,
            memory_id,
        ),
    )
    mention(connection, row["scope_id"], memory_id, draft.entities)
    count(connection, row["scope_id"], terms_of(row["terms"]), -1)
    count(connection, row["scope_id"], draft.terms, 1)
    enqueue(connection, memory_id)


def erase(connection: Connection, row: Row, now_us: int) -> None:
    """Take every word of a memory out of every table, and tell the index."""
    memory_id = row["id"]
    version = add_version(connection, memory_id, "DELETE", None, None, now_us)
    connection.execute(
        "UPDATE memories SET deleted = 1, text = '', terms = x'80', same = x'', actor = '', metadata = x'7b7d',"
        " subject = '', predicate = '', object = '', sensitivity = '', thread_id = '', expires_us = 0,"
        " version = ?, updated_us = ? WHERE id = ?",
        (version, now_us, memory_id),
    )
    connection.execute(
        "UPDATE versions SET old_text = NULL, new_text = NULL, reason = '' WHERE memory_id = ?", (memory_id,)
    )
    connection.execute("UPDATE evidence SET quote = '', thread_id = '' WHERE memory_id = ?", (memory_id,))
    spend(connection, memory_id)
    forget_mentions(connection, memory_id)
    if not row["hidden"]:
        count(connection, row["scope_id"], terms_of(row["terms"]), -1)
    drop_vectors(connection, row["scope_id"], memory_id)
    enqueue(connection, memory_id)
    sql_job_turns.erased(connection, row["scope_id"], memory_id)


def spend(connection: Connection, memory_id: str) -> None:
    """Let the memory's claims decide nothing any more: their names stay, so that none is applied again."""
    connection.execute(
        "DELETE FROM alike WHERE claim_id IN (SELECT id FROM claims WHERE memory_id = ?1)"
        " OR other_id IN (SELECT id FROM claims WHERE memory_id = ?1)",
        (memory_id,),
    )
    connection.execute(
        "UPDATE claims SET spent = 1, same = '', slot = '', facets = '', body = x'', vector = NULL"
        " WHERE memory_id = ?",
        (memory_id,),
    )


def mention(
    connection: Connection, scope_id: int, memory_id: str, entities: Iterable[Entity]
) -> dict[str, int]:
    """Note who and what the memory is about, instead of what was noted before; return the ids by normal name."""
    forget_mentions(connection, memory_id)
    words = words_of(connection, scope_id)
    found = {}
    for entity in entities:
        if name := normal(entity.name):
            connection.execute(
                "INSERT INTO entities (scope_id, normal, name, type) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (scope_id, normal) DO UPDATE SET type = excluded.type WHERE entities.type = ''",
                (scope_id, words.name(name), words.seal(entity.name), words.seal(entity.type)),
            )
            (found[name],) = connection.execute(
                "SELECT id FROM entities WHERE scope_id = ? AND normal = ?", (scope_id, words.name(name))
            ).fetchone()
    connection.executemany(
        "INSERT INTO mentions (memory_id, entity_id) VALUES (?, ?)",
        [(memory_id, entity_id) for entity_id in found.values()],
    )
    return found


def forget_mentions(connection: Connection, memory_id: str) -> None:
    """Forget who and what the memory is about, and whoever is mentioned nowhere else."""
    rows = connection.execute("SELECT entity_id FROM mentions WHERE memory_id = ?", (memory_id,)).fetchall()
    for table in ("mentions", "aliases", "edges"):
        connection.execute(f"DELETE FROM {table} WHERE memory_id = ?", (memory_id,))  # noqa: S608 - ours
    connection.executemany(
        "DELETE FROM entities WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM mentions WHERE entity_id = ?1)",
        [(row["entity_id"],) for row in rows],
    )


def note(
    connection: Connection,
    scope_id: int,
    now_us: int,
    action: str,
    actor: str,
    memory_id: str,
    number: int,
    *,
    reason: str = "",
) -> None:
    """Write an audit row."""
    connection.execute(
        "INSERT INTO audit (scope_id, at_us, action, actor, memory_id, count, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (scope_id, now_us, action, actor, memory_id, number, reason),
    )


def capture(
    connection: Connection,
    scope: Scope,
    scope_id: int,
    thread_id: str,
    turns: Sequence[Turn],
    *,
    key: bytes,
    now_us: int,
    kept: Sequence[bool],
) -> list[str]:
    """Store the turns that the chain does not know and that are to be kept; return the ids of their memories."""
    root = root_of(key, msgspec.json.encode(msgspec.structs.astuple(scope)), thread_id)
    trail = _Trail(connection, root)
    known, node = align(key, root, [turn.content for turn in turns], trail, named=bool(thread_id))
    added = []
    for turn, is_kept in zip(turns[known:], kept[known:], strict=True):
        following = after(key, node, turn.content)
        connection.execute(
            "INSERT INTO seen (node, root, parent, content, at_us) VALUES (?, ?, ?, ?, ?)",
            (following, root, node, turn.content, now_us),
        )
        node = following
        if is_kept:
            draft = msgspec.structs.replace(turn.draft, id=id_of(following))
            insert(connection, scope_id, draft, now_us)
            # what was said around it may tell what was erased
            read = turn if all(kept) else msgspec.structs.replace(turn, before=())
            sql_job_turns.join(connection, scope_id, thread_id, read, draft.id, now_us)
            added.append(draft.id)
    return added


class _Trail:
    """The chain of one root, as it stands inside the transaction."""

    def __init__(self, connection: Connection, root: bytes) -> None:
        self._connection = connection
        self._root = root

    def knows(self, node: bytes) -> bool:
        """Say whether the node is there."""
        found = self._connection.execute(
            "SELECT 1 FROM seen WHERE node = ? AND root = ?", (node, self._root)
        ).fetchone()
        return found is not None

    def places(self, content: bytes) -> Sequence[bytes]:
        """Return the latest nodes with this content."""
        rows = self._connection.execute(
            "SELECT node FROM seen WHERE root = ? AND content = ? ORDER BY at_us DESC, node LIMIT ?",
            (self._root, content, _PLACES),
        )
        return [row["node"] for row in rows]

    def is_last(self, node: bytes) -> bool:
        """Say whether nothing was said after it."""
        found = self._connection.execute("SELECT 1 FROM seen WHERE parent = ?", (node,)).fetchone()
        return found is None


def add_version(
    connection: Connection,
    memory_id: str,
    event: Event,
    old: str | None,
    new: str | None,
    now_us: int,
    *,
    claim_id: str = "",
) -> int:
    """Write the next entry of a memory's history; return its number."""
    (version,) = connection.execute(
        "SELECT coalesce(max(version), 0) + 1 FROM versions WHERE memory_id = ?", (memory_id,)
    ).fetchone()
    words = words_about(connection, memory_id)
    texts = (None if text is None else words.seal(text) for text in (old, new))
    connection.execute(
        "INSERT INTO versions (memory_id, version, event, old_text, new_text, at_us, claim_id, valid_from_us, valid_to_us)"
        " SELECT id, ?, ?, ?, ?, ?, ?, valid_from_us, valid_to_us FROM memories WHERE id = ?",
        (version, event, *texts, now_us, claim_id, memory_id),
    )
    return int(version)


def count(connection: Connection, scope_id: int, terms: Terms, sign: int) -> None:
    """Add the terms of a document to the scope's numbers, or take them out."""
    connection.execute(
        "UPDATE scopes SET documents = documents + ?, length = length + ? WHERE id = ?",
        (sign, sign * sum(terms.values()), scope_id),
    )
    if sign > 0:
        connection.executemany(
            "INSERT INTO term_counts (scope_id, term, documents) VALUES (?, ?, 1)"
            " ON CONFLICT (scope_id, term) DO UPDATE SET documents = term_counts.documents + 1",
            [(scope_id, term) for term in terms],
        )
        return
    rows = [(scope_id, term) for term in terms]
    connection.executemany(
        "UPDATE term_counts SET documents = documents - 1 WHERE scope_id = ? AND term = ?", rows
    )
    connection.executemany("DELETE FROM term_counts WHERE scope_id = ? AND term = ? AND documents <= 0", rows)
