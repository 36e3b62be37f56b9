"""A ledger and an index in plain dictionaries: slow, obvious, and the other witness of the contracts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from memory.chain import after, align, id_of, root_of
from memory.clock import Clock, SystemClock
from memory.embed import HashedWords
from memory.engine import Engine
from memory.errors import IndexAway
from memory.records import (
    AuditEntry,
    Candidate,
    Draft,
    Evidence,
    Job,
    Memory,
    SearchHit,
    Statistics,
    Terms,
    Turn,
    Vector,
    Version,
)
from memory.scope import Scope, sees
from memory.service import AsyncMemory, Threads
from memory.store.index import Index, Point
from memory.store.ledger import Ledger


class Kept(msgspec.Struct):
    """A memory with all that belongs to it."""

    memory: Memory
    terms: Terms
    same: bytes
    versions: list[Version]
    evidence: list[Evidence]
    uses: list[str]
    vectors: dict[str, tuple[int, Vector]]
    deleted: bool = False


class Trail:
    """The chain of one root: node -> parent and content."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, tuple[bytes, bytes]] = {}

    def knows(self, node: bytes) -> bool:
        """Say whether the node is there."""
        return node in self.nodes

    def places(self, content: bytes) -> Sequence[bytes]:
        """Return the nodes with this content, latest first."""
        return [node for node, (_, own) in reversed(self.nodes.items()) if own == content]

    def is_last(self, node: bytes) -> bool:
        """Say whether nothing was said after it."""
        return all(parent != node for parent, _ in self.nodes.values())


class LedgerInMemory:
    """Forgets everything at the end of the test."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._trails: dict[bytes, Trail] = {}
        self._jobs: dict[str, list[int]] = {}  # generation, attempts, due
        self._audit: list[tuple[Scope, AuditEntry]] = []

    def add(self, scope: Scope, drafts: Sequence[Draft], *, actor: str = "") -> list[tuple[str, bool]]:
        """Store them; return each one's id and whether it is new."""
        done = []
        for draft in drafts:
            there = [
                kept.memory.id
                for kept in self._kept.values()
                if not kept.deleted and kept.memory.scope == scope and kept.same == draft.same
            ]
            if not there:
                self._insert(scope, draft)
                self._note(scope, "add", actor, draft.id, 1)
            done.append((there[0] if there else draft.id, not there))
        return done

    def capture(self, scope: Scope, thread_id: str, turns: Sequence[Turn], *, key: bytes) -> list[str]:
        """Store the turns that the chain does not know yet."""
        root = root_of(key, repr(scope).encode(), thread_id)
        trail = self._trails.setdefault(root, Trail())
        known, node = align(key, root, [turn.content for turn in turns], trail, named=bool(thread_id))
        added = []
        for turn in turns[known:]:
            following = after(key, node, turn.content)
            trail.nodes[following] = (node, turn.content)
            self._insert(scope, msgspec.structs.replace(turn.draft, id=id_of(following)))
            added.append(id_of(following))
            node = following
        if added:
            self._note(scope, "capture", "", "", len(added))
        return added

    def get(self, scope: Scope, memory_id: str) -> Memory | None:
        """Return the memory, if it is visible."""
        kept = self._visible(scope).get(memory_id)
        return kept.memory if kept and not kept.deleted else None

    def page(self, scope: Scope, *, limit: int, offset: int = 0) -> list[Memory]:
        """Return memories, newest first."""
        alive = [kept.memory for kept in self._visible(scope).values() if not kept.deleted]
        return sorted(alive, key=lambda one: -one.created_at_us)[offset : offset + limit]

    def update(
        self,
        scope: Scope,
        memory_id: str,
        draft: Draft | None,
        *,
        metadata: dict[str, Any] | None = None,
        actor: str = "",
    ) -> Memory | None:
        """Give the memory another text, other metadata, or both."""
        if (before := self.get(scope, memory_id)) is None:
            return None
        kept = self._kept[memory_id]
        now_us = self._clock.now_us()
        if draft is not None and draft.text != before.text:
            kept.terms, kept.same = draft.terms, draft.same
            kept.memory = msgspec.structs.replace(
                before, text=draft.text, version=before.version + 1, updated_at_us=now_us
            )
            self._version(kept, "UPDATE", before.text, draft.text)
            self._enqueue(memory_id)
        if metadata is not None:
            kept.memory = msgspec.structs.replace(kept.memory, metadata=metadata, updated_at_us=now_us)
        self._note(scope, "update", actor, memory_id, 1)
        return kept.memory

    def delete(self, scope: Scope, memory_id: str, *, actor: str = "") -> bool:
        """Delete it."""
        if self.get(scope, memory_id) is None:
            return False
        self._erase(memory_id)
        self._note(scope, "delete", actor, memory_id, 1)
        return True

    def delete_all(self, scope: Scope, *, actor: str = "") -> int:
        """Delete everything visible."""
        ids = [memory_id for memory_id, kept in self._visible(scope).items() if not kept.deleted]
        for memory_id in ids:
            self._erase(memory_id)
            self._note(scope, "delete_all", actor, memory_id, 1)
        return len(ids)

    def history(self, scope: Scope, memory_id: str) -> list[Version]:
        """Return every version."""
        kept = self._visible(scope).get(memory_id)
        return kept.versions if kept else []

    def evidence(self, scope: Scope, memory_id: str) -> list[Evidence]:
        """Return where the memory comes from."""
        kept = self._visible(scope).get(memory_id)
        return kept.evidence if kept else []

    def confirm(self, scope: Scope, call_id: str, ids: Collection[str]) -> int:
        """Note that these memories went into this call."""
        found = [kept for one in ids if (kept := self._visible(scope).get(one)) and not kept.deleted]
        for kept in found:
            kept.uses += [] if call_id in kept.uses else [call_id]
        return len(found)

    def uses(self, scope: Scope, memory_id: str) -> list[str]:
        """Return the calls the memory went into."""
        kept = self._visible(scope).get(memory_id)
        return kept.uses if kept else []

    def audit(self, scope: Scope, *, limit: int) -> list[AuditEntry]:
        """Return what was changed, latest first."""
        return [entry for where, entry in reversed(self._audit) if sees(scope, where)][:limit]

    def statistics(self, scope: Scope, terms: Collection[int], *, fingerprint: str) -> Statistics:
        """Return the scope's numbers."""
        alive = [kept for kept in self._visible(scope).values() if not kept.deleted]
        counts = Counter(term for kept in alive for term in kept.terms if term in set(terms))
        vectors = [kept.vectors[fingerprint][1] for kept in alive if fingerprint in kept.vectors]
        return Statistics(
            documents=len(alive),
            length=sum(sum(kept.terms.values()) for kept in alive),
            frequencies=dict(counts),
            vectors=len(vectors),
            vector_sum=np.sum(vectors, axis=0, dtype=np.float32) if vectors else None,
        )

    def candidates(self, scope: Scope, ids: Collection[str], *, fingerprint: str) -> list[Candidate]:
        """Return those that are visible."""
        return [
            Candidate(
                id=one,
                text=kept.memory.text,
                terms=kept.terms,
                same=kept.same,
                trust=kept.memory.trust,
                occurred_at_us=kept.memory.occurred_at_us,
                vector=self._vector(kept, fingerprint),
            )
            for one in ids
            if (kept := self._visible(scope).get(one)) and not kept.deleted
        ]

    def pending(self, limit: int, *, fingerprint: str, ids: Collection[str] | None = None) -> list[Job]:
        """Return jobs that are due; with `ids`, those of these memories."""
        now_us = self._clock.now_us()
        due = sorted((job[2], one) for one, job in self._jobs.items() if ids is None or one in ids)
        return [
            Job(
                memory_id=one,
                generation=self._jobs[one][0],
                attempts=self._jobs[one][1],
                memory=None if (kept := self._kept[one]).deleted else kept.memory,
                terms=kept.terms,
                vector=self._vector(kept, fingerprint),
            )
            for due_us, one in due
            if ids is not None or due_us <= now_us
        ][:limit]

    def indexed(self, jobs: Sequence[tuple[Job, Vector | None]], *, fingerprint: str) -> None:
        """Note the vectors and drop the jobs."""
        for job, vector in jobs:
            if self._jobs.get(job.memory_id, [0])[0] == job.generation:
                del self._jobs[job.memory_id]
                if vector is not None and job.memory is not None:
                    self._kept[job.memory_id].vectors[fingerprint] = (job.memory.version, vector)

    def postponed(self, jobs: Sequence[Job], *, until_us: int) -> None:
        """Leave the jobs for later."""
        for job in jobs:
            if self._jobs.get(job.memory_id, [0])[0] == job.generation:
                self._jobs[job.memory_id] = [job.generation, job.attempts + 1, until_us]

    def backlog(self) -> int:
        """Return how many jobs there are."""
        return len(self._jobs)

    def reconcile(self, present: Collection[str], *, fingerprint: str) -> tuple[int, list[str]]:
        """Make jobs for what the index or the vectors lack."""
        alive = {one: kept for one, kept in self._kept.items() if not kept.deleted}
        lacking = [
            one
            for one, kept in alive.items()
            if one not in present or self._vector(kept, fingerprint) is None
        ]
        for one in lacking:
            self._enqueue(one)
        return len(lacking), sorted(set(present) - set(alive))

    def close(self) -> None:
        """Nothing is open."""

    def _visible(self, scope: Scope) -> dict[str, Kept]:
        return {one: kept for one, kept in self._kept.items() if sees(scope, kept.memory.scope)}

    def _vector(self, kept: Kept, fingerprint: str) -> Vector | None:
        version, vector = kept.vectors.get(fingerprint, (0, None))
        return vector if version == kept.memory.version else None

    def _insert(self, scope: Scope, draft: Draft) -> None:
        now_us = self._clock.now_us()
        memory = Memory(
            id=draft.id,
            text=draft.text,
            scope=scope,
            created_at_us=now_us,
            updated_at_us=now_us,
            occurred_at_us=draft.occurred_at_us,
            trust=draft.trust,
            kind=draft.kind,
            actor=draft.actor,
            metadata=draft.metadata,
        )
        evidence = [draft.evidence] if draft.evidence else []
        kept = Kept(memory, draft.terms, draft.same, [], evidence, [], {})
        self._kept[draft.id] = kept
        self._version(kept, "ADD", None, draft.text)
        self._enqueue(draft.id)

    def _erase(self, memory_id: str) -> None:
        kept = self._kept[memory_id]
        kept.deleted = True
        kept.vectors = {}
        kept.terms = {}
        kept.memory = msgspec.structs.replace(
            kept.memory, text="", metadata={}, version=kept.memory.version + 1
        )
        kept.versions = [msgspec.structs.replace(one, old_text=None, new_text=None) for one in kept.versions]
        kept.evidence = [msgspec.structs.replace(one, quote="") for one in kept.evidence]
        self._version(kept, "DELETE", None, None)
        self._enqueue(memory_id)

    def _version(self, kept: Kept, event: Any, old: str | None, new: str | None) -> None:
        number = len(kept.versions) + 1
        at_us = self._clock.now_us()
        kept.versions.append(
            Version(
                memory_id=kept.memory.id, version=number, event=event, old_text=old, new_text=new, at_us=at_us
            )
        )

    def _enqueue(self, memory_id: str) -> None:
        generation = self._jobs.get(memory_id, [0])[0] + 1
        self._jobs[memory_id] = [generation, 0, 0]

    def _note(self, scope: Scope, action: str, actor: str, memory_id: str, count: int) -> None:
        at_us = self._clock.now_us()
        entry = AuditEntry(at_us=at_us, action=action, actor=actor, memory_id=memory_id, count=count)
        self._audit.append((scope, entry))


class IndexInMemory:
    """Compares with every point; `away` makes it fail."""

    def __init__(self) -> None:
        self.points: dict[str, Point] = {}
        self.away = False

    def put(self, points: Sequence[Point]) -> None:
        """Add or replace the points."""
        self._there()
        self.points |= {point.id: point for point in points}

    def drop(self, ids: Collection[str]) -> None:
        """Remove them."""
        self._there()
        for one in ids:
            self.points.pop(one, None)

    def nearest(self, scope: Scope, vector: Vector, limit: int) -> list[SearchHit]:
        """Return what lies nearest."""
        return self._best(
            scope,
            limit,
            lambda point: None if point.vector is None else float(point.vector @ vector),
        )

    def matching(self, scope: Scope, weights: Mapping[int, float], limit: int) -> list[SearchHit]:
        """Return what shares terms with the query."""
        return self._best(
            scope,
            limit,
            lambda point: sum(weights[term] for term in point.terms if term in weights) or None,
        )

    def ids(self) -> Iterator[str]:
        """Yield all ids."""
        yield from list(self.points)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def _best(self, scope: Scope, limit: int, score: Any) -> list[SearchHit]:
        self._there()
        hits = [
            SearchHit(point.id, found)
            for point in self.points.values()
            if sees(scope, point.scope) and (found := score(point)) is not None
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    def _there(self) -> None:
        if self.away:
            raise IndexAway("told to be away")


def service(*, key: bytes) -> AsyncMemory:
    """Return the whole service over fakes, with hashed words for an embedder."""
    clock = SystemClock()
    ledger: Ledger = LedgerInMemory(clock)
    index: Index = IndexInMemory()
    engine = Engine(ledger, index, HashedWords(), key=key, clock=clock)
    engine.start()
    return AsyncMemory(engine, Threads())
