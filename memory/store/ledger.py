"""What every ledger of memories does: the truth, and the outbox through which the index follows it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from memory.records import (
    AuditEntry,
    Candidate,
    Draft,
    Evidence,
    Job,
    Memory,
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

    def get(self, scope: Scope, memory_id: str) -> Memory | None:
        """Return the memory, if it is visible."""
        ...

    def page(self, scope: Scope, *, limit: int, offset: int = 0) -> list[Memory]:
        """Return memories, newest first."""
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
        """Delete it; False if it is not visible."""
        ...

    def delete_all(self, scope: Scope, *, actor: str = "") -> int:
        """Delete everything visible; return how much it was."""
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

    def candidates(self, scope: Scope, ids: Collection[str], *, fingerprint: str) -> list[Candidate]:
        """Return those of the memories that are visible, in any order."""
        ...

    # for the indexer: across scopes, never for answers

    def pending(self, limit: int, *, fingerprint: str, ids: Collection[str] | None = None) -> list[Job]:
        """Return jobs that are due, oldest first; with `ids`, those of these memories, due or not."""
        ...

    def indexed(self, jobs: Sequence[tuple[Job, Vector | None]], *, fingerprint: str) -> None:
        """Note the vectors and drop the jobs, unless a memory has changed since."""
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

    def close(self) -> None:
        """Let go of the file or the connection."""
        ...
