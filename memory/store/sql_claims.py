"""From operations to memories: the transaction around `apply.settle`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
import numpy as np

from memory.apply import Asserted, Claim, View, claim_of, settle
from memory.facets import Facets, normal
from memory.records import Change, Draft, Entity, Event, Evidence, Operation
from memory.sparse import terms
from memory.store import sql_writes as writes
from memory.store.connection import Connection, Row, as_list, words_of
from memory.store.sql_outbox import drop_vectors, enqueue, terms_of

ALIKE = 0.95
"""Cosine from which two texts with the same numbers, names and negation are taken for paraphrases."""
_OPERATION = msgspec.msgpack.Decoder(Operation)
_ALIASES = frozenset(
    ("name", "full name", "nickname", "alias", "also known as", "is called", "called", "aka", "goes by")
)
# CROSS JOIN: begin with the few that are asked for, not with the scope
_RELATED = (
    "SELECT c.id FROM json_each(:same) wanted CROSS JOIN claims c"
    " WHERE c.scope_id = :scope AND c.same = wanted.value AND c.spent = 0"
    " UNION SELECT c.id FROM json_each(:slots) wanted CROSS JOIN claims c"
    " WHERE c.scope_id = :scope AND c.slot = wanted.value AND c.spent = 0"
    " UNION SELECT c.id FROM json_each(:ids) wanted CROSS JOIN claims c"
    " WHERE c.scope_id = :scope AND c.target = wanted.value AND c.spent = 0"
    " UNION SELECT c.id FROM json_each(:targets) wanted CROSS JOIN claims c"
    " WHERE c.scope_id = :scope AND c.id = wanted.value AND c.spent = 0"
    " UNION SELECT a.other_id FROM json_each(:ids) wanted CROSS JOIN alike a WHERE a.claim_id = wanted.value"
)
_CLAIMS = (
    "SELECT c.*, (SELECT json_group_array(other_id) FROM alike WHERE claim_id = c.id) AS others"
    " FROM json_each(:ids) wanted CROSS JOIN claims c"
    " WHERE c.id = wanted.value AND c.scope_id = :scope AND c.spent = 0"
)
_WORD_FOR_WORD = (
    "SELECT m.* FROM memories m WHERE m.id = :target AND m.scope_id = :scope AND m.deleted = 0 AND m.hidden = 0"
    " AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.id = m.id)"
    " UNION SELECT m.* FROM memories m INDEXED BY memories_that_read_the_same"
    " WHERE m.scope_id = :scope AND m.same = :same AND m.deleted = 0 AND m.hidden = 0 AND m.kind <> 'episode'"
    " AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.id = m.id)"
)


def apply(
    connection: Connection,
    scope_id: int,
    asserted: Sequence[Asserted],
    *,
    batch: str,
    fingerprint: str,
    now_us: int,
) -> list[Change]:
    """Add the claims that are not there yet, and let the memories follow; the whole scope is locked meanwhile."""
    fresh = [one for one in asserted if _add(connection, scope_id, one, batch, fingerprint, now_us)]
    changes = _Settling(connection, scope_id, now_us).settle([one.claim for one in fresh])
    changed = {change.memory_id for change in changes}
    for one in asserted:
        memory_id = _memory_of(connection, one.claim.id)
        if memory_id not in changed:
            changes.append(Change(memory_id=memory_id, event="NONE", text=one.claim.operation.text))
            changed.add(memory_id)
    return changes


def settle_again(
    connection: Connection, scope_id: int, claim_ids: Collection[str], now_us: int
) -> list[Change]:
    """Let the memories follow anew from these claims and from all that bear on them."""
    return _Settling(connection, scope_id, now_us).settle_known(claim_ids)


def voice_of(connection: Connection, row: Row, now_us: int) -> str:
    """Return the claim that gives a memory its words; what was stored word for word becomes one."""
    found = connection.execute(
        "SELECT id FROM claims WHERE memory_id = ? AND same = ? AND spent = 0 ORDER BY at_us, id LIMIT 1",
        (row["id"], row["same"].hex()),
    ).fetchone()
    if found is not None:
        return str(found["id"])
    if connection.execute("SELECT 1 FROM claims WHERE id = ?", (row["id"],)).fetchone() is None:
        _seed(connection, row, now_us)
        return str(row["id"])
    return ""


def _add(
    connection: Connection,
    scope_id: int,
    asserted: Asserted,
    batch: str,
    fingerprint: str,
    now_us: int,
) -> bool:
    """Store the claim and whom it resembles; False if it was there."""
    claim = asserted.claim
    known = connection.execute("SELECT 1 FROM claims WHERE id = ?", (claim.id,)).fetchone()
    if known is not None:
        return False
    facets = words_of(connection, scope_id).names([_facets(claim.facets)])
    vector = None if asserted.vector is None else asserted.vector.astype(np.float16)
    others = []
    if vector is not None and claim.operation.text:
        rows = connection.execute(
            "SELECT id, vector FROM claims WHERE scope_id = ? AND facets IN (SELECT value FROM json_each(?))"
            " AND fingerprint = ? AND vector IS NOT NULL",
            (scope_id, as_list(facets), fingerprint),
        ).fetchall()
        others = _alike(vector, rows)
    _store(connection, scope_id, claim, batch, now_us, fingerprint=fingerprint, vector=vector)
    connection.executemany(
        "INSERT INTO alike (claim_id, other_id) VALUES (?1, ?2), (?2, ?1)",
        [(claim.id, other) for other in others],
    )
    return True


def _alike(vector: np.ndarray[tuple[int, ...], np.dtype[np.float16]], rows: list[Row]) -> list[str]:
    if not rows:
        return []
    stored = np.frombuffer(b"".join(row["vector"] for row in rows), dtype=np.float16)
    cosines = stored.reshape(len(rows), -1).astype(np.float32) @ vector.astype(np.float32)
    return [row["id"] for row, cosine in zip(rows, cosines, strict=True) if cosine >= ALIKE]


def _store(
    connection: Connection,
    scope_id: int,
    claim: Claim,
    batch: str,
    now_us: int,
    *,
    memory_id: str = "",
    fingerprint: str = "",
    vector: np.ndarray[tuple[int, ...], np.dtype[np.float16]] | None = None,
) -> None:
    words = words_of(connection, scope_id)
    connection.execute(
        "INSERT INTO claims (id, scope_id, memory_id, target, same, slot, facets, body, fingerprint, vector, batch,"
        " at_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            claim.id,
            scope_id,
            memory_id,
            claim.operation.target,
            claim.same.hex() if claim.operation.text else "",
            words.name(slot_of(claim)),
            words.name(_facets(claim.facets)),
            words.pack(msgspec.msgpack.encode(claim.operation)),
            fingerprint,
            None if vector is None else vector.tobytes(),
            batch,
            now_us,
        ),
    )


def slot_of(claim: Claim) -> str:
    """Return what can have but one value at a time, as one word."""
    return "\x1f".join(claim.slot)


def _facets(facets: Facets) -> str:
    parts = [sorted(facets.numbers), sorted(facets.names), facets.negative]
    return msgspec.json.encode(parts).decode()


def _seed(connection: Connection, row: Row, now_us: int) -> None:
    """Make a claim of a memory that was stored word for word."""
    evidence = connection.execute(
        "SELECT call_id, message_index, quote, thread_id FROM evidence WHERE memory_id = ?", (row["id"],)
    ).fetchall()
    operation = _operation_of(row, [Evidence(**dict(one)) for one in evidence])
    seed = claim_of(row["id"], operation, row["same"])
    _store(connection, row["scope_id"], seed, "", now_us, memory_id=row["id"])
    connection.execute("UPDATE evidence SET claim_id = ?1 WHERE memory_id = ?1", (row["id"],))


def _memory_of(connection: Connection, claim_id: str) -> str:
    row = connection.execute("SELECT memory_id FROM claims WHERE id = ?", (claim_id,)).fetchone()
    return str(row["memory_id"]) if row else ""


class _Settling:
    """Works out the memories of the claims that bear on a few new ones, and writes down what is different."""

    def __init__(self, connection: Connection, scope_id: int, now_us: int) -> None:
        self._connection = connection
        self._scope_id = scope_id
        self._now_us = now_us
        self._changes: list[Change] = []

    def settle(self, fresh: Sequence[Claim]) -> list[Change]:
        """Return what became of the memories; those that the claims name become claims themselves."""
        for claim in fresh:
            self._seed(claim)
        return self.settle_known([claim.id for claim in fresh])

    def settle_known(self, claim_ids: Collection[str]) -> list[Change]:
        """Return what became of the memories."""
        claims = self._gather(claim_ids)
        if not claims:
            return []
        views = settle(claims.values())
        rows = self._rows(claims)
        homes = [_home(view, rows) for view in views]
        places = {one.id: home for view, home in zip(views, homes, strict=True) for one in view.claims}
        for view, home in zip(views, homes, strict=True):
            if home in rows:
                self._change(view, rows[home])
            else:
                self._found(view, home)
        for view, home in zip(views, homes, strict=True):
            self._hold(view, home, places)
        for memory_id in rows.keys() - set(homes):
            self._merge(rows[memory_id], places.get(memory_id, ""))
        for claim in claims.values():
            self._place(claim, places.get(claim.id) or places.get(claim.operation.target, ""))
        return self._changes

    def _gather(self, claim_ids: Collection[str]) -> dict[str, Claim]:
        """Return all claims that bear on these, directly or not."""
        found: dict[str, Claim] = {}
        wanted = set(claim_ids)
        while wanted:
            rows = self._connection.execute(
                _CLAIMS, {"scope": self._scope_id, "ids": as_list(wanted)}
            ).fetchall()
            for row in rows:
                found[row["id"]] = claim_of(
                    row["id"],
                    _OPERATION.decode(row["body"]),
                    bytes.fromhex(row["same"]),
                    msgspec.json.decode(row["others"]),
                )
            wanted = self._related(rows, found) - found.keys()
        return found

    def _related(self, rows: Collection[Row], claims: Mapping[str, Claim]) -> set[str]:
        words = words_of(self._connection, self._scope_id)
        slots = [words.also(row["slot"], slot_of(claims[row["id"]])) for row in rows if row["slot"]]
        related = self._connection.execute(
            _RELATED,
            {
                "scope": self._scope_id,
                "ids": as_list([row["id"] for row in rows]),
                "same": as_list({row["same"] for row in rows} - {""}),
                "slots": as_list(set().union(*slots)),
                "targets": as_list({row["target"] for row in rows} - {""}),
            },
        )
        return {row["id"] for row in related}

    def _seed(self, claim: Claim) -> None:
        """Make a claim of a memory that was stored word for word, if this one names it or reads the same."""
        rows = self._connection.execute(
            _WORD_FOR_WORD,
            {"scope": self._scope_id, "target": claim.operation.target, "same": claim.same},
        ).fetchall()
        for row in rows:
            _seed(self._connection, row, self._now_us)

    def _rows(self, claims: Mapping[str, Claim]) -> dict[str, Row]:
        rows = self._connection.execute(
            "SELECT m.* FROM json_each(?) wanted CROSS JOIN memories m"
            " WHERE m.id = wanted.value AND m.scope_id = ? AND m.deleted = 0",
            (as_list(claims), self._scope_id),
        )
        return {row["id"]: row for row in rows}

    def _found(self, view: View, memory_id: str) -> None:
        """Store a memory that was not there."""
        draft = _draft(view, memory_id)
        writes.insert(self._connection, self._scope_id, draft, self._now_us, claim_id=view.voice.id)
        self._relate(view, memory_id)
        self._changed(memory_id, "ADD", draft.text)

    def _change(self, view: View, row: Row) -> None:
        """Give a memory its voice."""
        if row["hidden"] and not view.retracted:
            self._show(row)
        if row["text"] != view.voice.operation.text and not view.retracted:
            draft = _draft(view, row["id"])
            writes.rewrite(self._connection, row, draft, self._now_us, claim_id=view.voice.id)
            self._relate(view, row["id"])
            self._changed(row["id"], "UPDATE", draft.text, row["text"])

    def _hold(self, view: View, memory_id: str, places: Mapping[str, str]) -> None:
        """Write down when the memory holds, and what for."""
        operation = view.voice.operation
        row = self._connection.execute("SELECT * FROM memories WHERE id = ?", (memory_id,)).fetchone()
        stated = view.stated.operation
        new = {
            "subject": stated.subject,
            "predicate": stated.predicate,
            "object": stated.object,
            "negative": int(stated.negative),
            "occurred_us": view.occurred_at_us,
            "valid_from_us": view.valid_from_us,
            "valid_to_us": view.valid_to_us,
            "expires_us": operation.expires_at_us,
            "trust": view.trust,
            "confidence": operation.confidence,
            "sensitivity": operation.sensitivity,
            "quarantined": int(operation.quarantined),
            "proof_count": max(1, view.proofs),
            "superseded_by": places.get(view.ended_by, ""),
            "hidden": int(view.retracted),
        }
        if all(row[name] == value for name, value in new.items()):
            return
        seal = words_of(self._connection, self._scope_id).seal
        kept = {name: seal(str(new[name])) for name in ("subject", "predicate", "object")}
        columns = ", ".join(f"{name} = :{name}" for name in new)
        self._connection.execute(
            f"UPDATE memories SET {columns}, updated_us = :now WHERE id = :id",  # noqa: S608 - our own names
            {**new, **kept, "now": self._now_us, "id": memory_id},
        )
        if view.retracted and not row["hidden"]:
            self._hide(row)
        if event := _event(row, view):
            self._happened(memory_id, event, view.ended_by or view.voice.id, operation.text)

    def _merge(self, row: Row, into: str) -> None:
        """Hide a memory that says what another one says."""
        if row["hidden"] and row["superseded_by"] == into:
            return
        self._connection.execute(
            "UPDATE memories SET hidden = 1, superseded_by = ?, updated_us = ? WHERE id = ?",
            (into, self._now_us, row["id"]),
        )
        if not row["hidden"]:
            self._hide(row)
        self._happened(row["id"], "MERGE", "", row["text"])

    def _show(self, row: Row) -> None:
        self._connection.execute("UPDATE memories SET hidden = 0 WHERE id = ?", (row["id"],))
        writes.count(self._connection, self._scope_id, terms_of(row["terms"]), 1)
        enqueue(self._connection, row["id"])

    def _hide(self, row: Row) -> None:
        writes.count(self._connection, self._scope_id, terms_of(row["terms"]), -1)
        drop_vectors(self._connection, self._scope_id, row["id"])
        enqueue(self._connection, row["id"])

    def _place(self, claim: Claim, memory_id: str) -> None:
        """Note which memory a claim speaks for now, and take its evidence there."""
        before = _memory_of(self._connection, claim.id)
        if not memory_id or memory_id == before:
            return
        self._connection.execute("UPDATE claims SET memory_id = ? WHERE id = ?", (memory_id, claim.id))
        if before:
            self._connection.execute(
                "UPDATE evidence SET memory_id = ? WHERE claim_id = ?", (memory_id, claim.id)
            )
        else:
            writes.prove(self._connection, memory_id, claim.id, claim.operation.evidence)

    def _relate(self, view: View, memory_id: str) -> None:
        """Note the edge of a memory that has subject, predicate and object, and the alias it may tell."""
        stated = view.stated
        if stated.triple is None:
            return
        found = writes.mention(self._connection, self._scope_id, memory_id, _entities(view))
        words = words_of(self._connection, self._scope_id)
        subject, predicate, thing = stated.triple
        self._connection.execute(
            "INSERT INTO edges (memory_id, subject_id, predicate, object_id) VALUES (?, ?, ?, ?)",
            (memory_id, found[subject], words.seal(stated.operation.predicate), found[thing]),
        )
        if predicate in _ALIASES and not stated.denies:
            self._connection.execute(
                "INSERT INTO aliases (scope_id, normal, entity_id, memory_id) VALUES (?, ?, ?, ?)",
                (self._scope_id, words.name(thing), found[subject], memory_id),
            )

    def _happened(self, memory_id: str, event: Event, claim_id: str, text: str) -> None:
        writes.add_version(self._connection, memory_id, event, text, text, self._now_us, claim_id=claim_id)
        self._changed(memory_id, event, text, text)

    def _changed(self, memory_id: str, event: Event, text: str, old_text: str = "") -> None:
        self._changes.append(Change(memory_id=memory_id, event=event, text=text, old_text=old_text))


def _home(view: View, rows: Mapping[str, Row]) -> str:
    """Return the id of the view's memory: of the oldest that one of its claims founded, or of a new one."""
    owned = [one.id for one in view.claims if one.id in rows]
    return min(owned, key=lambda one: rows[one]["seq"], default=view.claims[0].id)


def _event(row: Row, view: View) -> Event | None:
    if view.retracted:
        return None if row["hidden"] else "RETRACT"
    ended = bool(view.ended_by)
    if ended and row["valid_to_us"] != view.valid_to_us:
        return "SUPERSEDE"
    return "RESTORE" if row["valid_to_us"] and not view.valid_to_us else None


def _draft(view: View, memory_id: str) -> Draft:
    operation = view.voice.operation
    return Draft(
        id=memory_id,
        text=operation.text,
        terms=terms(operation.text),
        same=view.voice.same,
        occurred_at_us=view.occurred_at_us,
        trust=view.trust,
        kind=operation.kind,
        entities=tuple(_entities(view)),
        quarantined=operation.quarantined,
        expires_at_us=operation.expires_at_us,
        thread_id=operation.evidence[0].thread_id if operation.evidence else "",
    )


def _entities(view: View) -> Iterable[Entity]:
    """Yield whom and what the memory is about, the subject and the object last: named entities know their types."""
    yield from view.voice.operation.entities
    stated = view.stated.operation
    known = {normal(one.name) for one in view.voice.operation.entities}
    for name in (stated.subject, stated.object):
        if name and normal(name) not in known:
            yield Entity(name)


def _operation_of(row: Row, evidence: Sequence[Evidence]) -> Operation:
    return Operation(
        op="ADD",
        evidence=tuple(evidence),
        occurred_at_us=row["occurred_us"],
        text=row["text"],
        kind=row["kind"],
        subject=row["subject"],
        predicate=row["predicate"],
        object=row["object"],
        valid_from_us=row["valid_from_us"],
        valid_to_us=row["valid_to_us"],
        negative=bool(row["negative"]),
        confidence=row["confidence"],
        sensitivity=row["sensitivity"],
        trust=row["trust"],
        quarantined=bool(row["quarantined"]),
        expires_at_us=row["expires_us"],
    )
