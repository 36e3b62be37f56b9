"""What every ledger of memories does: the truth, and the outbox through which the index follows it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from memory.apply import Asserted
from memory.filters import EVERYTHING, Condition
from memory.records import (
    NOW,
    AuditEntry,
    Candidate,
    Change,
    Draft,
    Edge,
    Evidence,
    Graph,
    Job,
    Memory,
    Moment,
    Statistics,
    Turn,
    Vector,
    Version,
)
from memory.scope import Scope


class Ledger(Protocol):
    """Every method that takes a scope sees and changes nothing outside it.

    A change is durable when its method returns, and with it the entry of the outbox that tells the index.
    Deleting takes every word of a memory out of the ledger; what is left are ids, times and keyed digests.
    """

    def add(self, scope: Scope, drafts: Sequence[Draft], *, actor: str = "") -> list[tuple[str, bool]]:
        """Store them; return each one's id and whether it is new: what reads the same is not stored again."""
        ...

    def capture(self, scope: Scope, thread_id: str, turns: Sequence[Turn], *, key: bytes) -> list[str]:
        """Store the turns that the chain does not know yet; return their ids."""
        ...

    def apply(
        self,
        scope: Scope,
        asserted: Sequence[Asserted],
        *,
        batch: str,
        fingerprint: str,
        actor: str = "",
    ) -> list[Change]:
        """Let the memories follow from these claims and all earlier ones; a claim that is known changes nothing.

        Claims about what was erased after it was said are dropped. `fingerprint`: of the vectors' embedder.
        """
        ...

    def get(self, scope: Scope, memory_id: str) -> Memory | None:
        """Return the memory, if it is visible, whether it still holds or not."""
        ...

    def page(
        self,
        scope: Scope,
        *,
        limit: int,
        offset: int = 0,
        moment: Moment = NOW,
        condition: Condition = EVERYTHING,
    ) -> list[Memory]:
        """Return memories, newest first."""
        ...

    def among(self, scope: Scope, ids: Collection[str], condition: Condition) -> set[str]:
        """Return which of the visible memories are as asked for."""
        ...

    def update(
        self,
        scope: Scope,
        memory_id: str,
        draft: Draft | None,
        *,
        metadata: dict[str, Any] | None = None,
        actor: str = "",
    ) -> Memory | None:
        """Give the memory the text of the draft, the metadata, or both; None if it is not visible."""
        ...

    def delete(self, scope: Scope, memory_id: str, *, actor: str = "") -> bool:
        """Delete it, and the summaries that were told from it; False if it is not visible."""
        ...

    def delete_all(self, scope: Scope, *, actor: str = "") -> int:
        """Delete everything visible and the names of the scopes; return how much it was."""
        ...

    def expire(self, *, limit: int) -> int:
        """Delete memories whose time is up, of any scope; return how many it were."""
        ...

    def history(self, scope: Scope, memory_id: str) -> list[Version]:
        """Return every version, oldest first; empty if it is not visible."""
        ...

    def evidence(self, scope: Scope, memory_id: str) -> list[Evidence]:
        """Return where the memory comes from."""
        ...

    def confirm(self, scope: Scope, call_id: str, ids: Collection[str]) -> int:
        """Note that these memories went into this call; return how many of them are visible."""
        ...

    def uses(self, scope: Scope, memory_id: str) -> list[str]:
        """Return the ids of the calls the memory went into."""
        ...

    def audit(self, scope: Scope, *, limit: int) -> list[AuditEntry]:
        """Return what was changed in this scope, latest first."""
        ...

    def statistics(self, scope: Scope, terms: Collection[int], *, fingerprint: str) -> Statistics:
        """Return the scope's numbers; `vectors` and `vector_sum` are of this embedder."""
        ...

    def candidates(
        self, scope: Scope, ids: Collection[str], *, fingerprint: str, moment: Moment = NOW
    ) -> list[Candidate]:
        """Return those of the memories that are visible, in any order."""
        ...

    # how memories are connected: for finding what has no word in common with a question

    def named(self, scope: Scope, names: Collection[str]) -> list[str]:
        """Return which of the names (as `facets.normal` writes them) are entities or aliases here."""
        ...

    def about(
        self, scope: Scope, names: Collection[str], *, hops: int = 1, limit: int = 60, moment: Moment = NOW
    ) -> list[tuple[str, int]]:
        """Return memories about the entities with these names, and how far away they are, nearest and newest first.

        One hop: they mention the entity. Two: they mention one that an edge connects with it.
        """
        ...

    def around(self, scope: Scope, ids: Collection[str]) -> dict[str, list[tuple[int, str]]]:
        """Return the neighbours of each turn within its conversation: where they stand (-1: just before), and their ids."""
        ...

    def dated(self, scope: Scope, start_us: int, end_us: int, *, limit: int) -> list[str]:
        """Return what was said in a span of time, latest first."""
        ...

    def speakers(self, scope: Scope) -> list[str]:
        """Return the names of those who said something (the actors of memories)."""
        ...

    def edges(self, scope: Scope, ids: Collection[str], *, moment: Moment = NOW) -> list[Edge]:
        """Return the edges of these memories and of those that share an entity with them."""
        ...

    def graph(self, scope: Scope, *, limit: int, moment: Moment = NOW) -> Graph:
        """Return the newest edges, and the entities they connect."""
        ...

    def gate(self, fingerprint: str) -> float | None:
        """Return `Gate.dense` as it was calibrated for this embedder, if it was."""
        ...

    # for the indexer: across scopes, never for answers

    def pending(self, limit: int, *, fingerprint: str, ids: Collection[str] | None = None) -> list[Job]:
        """Return jobs that are due, oldest first; with `ids`, those of these memories, due or not."""
        ...

    def indexed(
        self,
        jobs: Sequence[tuple[Job, Vector | None]],
        *,
        fingerprint: str,
        told: Collection[str] = (),
    ) -> bool:
        """Note the vectors and drop the jobs, unless a memory has changed since.

        False, and nothing is noted: there is a collection that is not among those that were `told`.
        """
        ...

    def postponed(self, jobs: Sequence[Job], *, until_us: int) -> None:
        """Leave the jobs for later."""
        ...

    def backlog(self) -> int:
        """Return how many jobs there are."""
        ...

    def reconcile(self, present: Collection[str], *, fingerprint: str) -> tuple[int, list[str]]:
        """Make jobs for memories that the index or their vectors lack; return how many, and whose points to drop."""
        ...

    def shown(self, *, fingerprint: str) -> dict[str, bool]:
        """Return the id of every memory that the index should have, and whether its vector is known."""
        ...

    def enqueue(self, ids: Sequence[str]) -> None:
        """Have the index look at these memories."""
        ...

    def close(self) -> None:
        """Let go of the file or the connection."""
        ...
