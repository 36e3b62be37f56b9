"""A memory that says what a test wants, over a real ledger of injections."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from memory.proposals import Asked, Proposal, Proposals
from memory.records import Recall
from memory.render import block_of, line_of, tokens_of
from memory.scope import Scope
from memory.store.sqlite import SqliteLedger
from tests.fakes.memory_parts import ALICE, KEY, SetClock, draft


class Scripted:
    """Recalls what the test put there and was not seen, so many at a time."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self.ledger = ledger
        self.known: dict[str, str] = {}
        self.at_once = 1
        self.failing = False
        self.asked: list[tuple[str, int, frozenset[str]]] = []
        self.used: list[tuple[str, frozenset[str]]] = []

    def learn(self, *texts: str, scope: Scope = ALICE, kind: str = "episode") -> list[str]:
        """Store the texts; return their ids."""
        drafts = [msgspec.structs.replace(draft(text), kind=kind) for text in texts]
        ids = [memory_id for memory_id, _ in self.ledger.add(scope, drafts)]
        if kind == "episode":
            self.known.update(zip(ids, texts, strict=True))
        return ids

    async def recall(
        self, scope: Scope, query: str, *, budget: int, window: Iterable[str] = (), seen: Collection[str] = ()
    ) -> Recall:
        """Return the next ones."""
        self.asked.append((query, budget, frozenset(seen)))
        if self.failing:
            return Recall(status="error", reason="index_away")
        new = [one for one in self.known if one not in seen][: self.at_once]
        while new and tokens_of(self._block(new)) > budget:
            new.pop()
        fates = {
            one: "seen" if one in seen else "chosen" if one in new else "below_gate" for one in self.known
        }
        if not new:
            return Recall(status="empty", reason="nothing_relevant", fates=fates)
        block = self._block(new)
        scores = tuple(0.5 for _ in new)
        return Recall(
            status="injected",
            block=block,
            ids=tuple(new),
            scores=scores,
            tokens=tokens_of(block),
            fates=fates,
        )

    def _block(self, ids: Iterable[str]) -> str:
        return block_of(line_of(self.known[one], 0) for one in ids)

    async def confirm(self, scope: Scope, call_id: str, ids: Collection[str]) -> int:
        """Note it."""
        self.used.append((call_id, frozenset(ids)))
        return len(ids)


class Talk:
    """Asks for one conversation after another, as a worker does: a new call with each turn, the whole history in it."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.folder = folder
        self.memory = Scripted(SqliteLedger(folder / "memory.sqlite3", key=KEY, clock=self.clock))
        self.proposals: Proposals
        self.calls = 0

    async def open(self) -> Talk:
        """Open the proposals, or open them anew as a hub does that was restarted."""
        self.proposals = await Proposals.open(self.folder, self.memory, self.clock)
        return self

    async def restart(self) -> None:
        """Forget everything that is not on the disk."""
        await self.proposals.close()
        await self.open()

    async def close(self) -> None:
        """Let go of the files."""
        await self.proposals.close()
        await asyncio.to_thread(self.memory.ledger.close)

    async def ask(self, *said: str, confirm: bool = True, scope: Scope = ALICE, **more: Any) -> Proposal:
        """Make a call in which the user said these turns."""
        self.calls += 1
        call_id = f"call-{self.calls}"
        asked = {"call_id": call_id, "query": said[-1], "budget": 900, "anchors": chain(said), **more}
        found = await self.proposals.propose(scope, Asked(**asked))
        if confirm:
            await self.proposals.confirm(scope, call_id, found.ids)
        return found


def chain(said: Sequence[str]) -> list[bytes]:
    """Return a digest for each turn."""
    digests = [b""]
    for text in said:
        digests.append(blake2b(digests[-1] + text.encode(), digest_size=16).digest())
    return digests[1:]
