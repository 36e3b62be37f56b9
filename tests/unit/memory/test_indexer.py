from __future__ import annotations

import time
from collections.abc import Callable, Collection

from typing_extensions import override

from memory.indexer import Indexer
from memory.records import Job
from tests.fakes.memory_parts import ALICE, Moody, SetClock, draft
from tests.fakes.memory_store import IndexInMemory, PassingLedger, shelf_of


class Parts:
    """An indexer and what it works with."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.ledger = PassingLedger(self.clock)
        self.index = IndexInMemory()
        self.embedder = Moody()
        self.indexer = Indexer(
            self.ledger, shelf_of(self.ledger, self.index, self.embedder, self.clock), self.clock
        )

    def due_in_s(self) -> float:
        """Return how long the one job still has to wait."""
        ((due_us,),) = self.ledger._connections.read().execute("SELECT due_us FROM outbox").fetchall()
        return (int(due_us) - self.clock.us) / 1e6


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_what_waited_before_the_start_is_indexed():
    parts = Parts()
    drafts = [draft(f"number {number}") for number in range(40)]
    parts.ledger.add(ALICE, drafts)
    parts.indexer.start()
    until(lambda: parts.ledger.backlog() == 0)
    assert set(parts.index.points) == {one.id for one in drafts}
    parts.indexer.close()


def test_pauses_grow_while_the_embedder_is_away_and_end_at_five_minutes():
    parts = Parts()
    parts.embedder.away = True
    one = draft("tea")
    parts.ledger.add(ALICE, [one])
    pauses = []
    for _ in range(12):
        parts.indexer.index_now([one.id])
        pauses.append(parts.due_in_s())
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert parts.index.points[one.id].vector is None


def test_an_index_that_is_away_leaves_everything_in_the_outbox():
    parts = Parts()
    one, two = draft("tea"), draft("dog")
    parts.ledger.add(ALICE, [one, two])
    parts.indexer.index_now([one.id])
    parts.ledger.delete(ALICE, one.id)
    parts.index.away = True
    parts.indexer.index_now([one.id, two.id])
    assert parts.ledger.backlog() == 2
    parts.index.away = False
    parts.indexer.index_now([one.id, two.id])
    assert parts.ledger.backlog() == 0
    assert set(parts.index.points) == {two.id}


class Stumbling(PassingLedger):
    """Fails at the first question."""

    failures = 1

    @override
    def pending(self, limit: int, *, fingerprint: str, ids: Collection[str] | None = None) -> list[Job]:
        """Return jobs that are due."""
        if self.failures:
            self.failures -= 1
            raise RuntimeError("disk full")
        return super().pending(limit, fingerprint=fingerprint, ids=ids)


def test_the_thread_survives_what_nobody_foresaw(caplog):
    ledger = Stumbling(SetClock())
    ledger.add(ALICE, [draft("tea")])
    indexer = Indexer(ledger, shelf_of(ledger, IndexInMemory(), Moody(), SetClock()), SetClock())
    indexer.start()
    until(lambda: not ledger.failures)
    indexer.wake()
    until(lambda: ledger.backlog() == 0)
    assert "memory_indexer_failed" in caplog.text
    indexer.close()
