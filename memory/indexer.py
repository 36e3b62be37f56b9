"""Makes the index follow the ledger: a thread that empties the outbox.

An entry leaves the outbox after the index took the point, and points are named after their memories. So a kill
between the two does the same work twice and changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Collection, Sequence

from memory.clock import Clock
from memory.embed import Embedder
from memory.errors import EmbedderAway, IndexAway, LedgerAway
from memory.records import Job, Vector
from memory.store.index import Index, Point
from memory.store.ledger import Ledger

logger = logging.getLogger(__name__)

_BATCH = 16
_IDLE_S = 1.0
"""How long the thread sleeps when nobody wakes it; then it looks for jobs that have become due."""
_NICE = 10
_FIRST_RETRY_US = 1_000_000
_LAST_RETRY_US = 300_000_000


class Indexer:
    """One for each index. `index_now` may be called from any thread; the lock keeps jobs in one hand."""

    def __init__(self, ledger: Ledger, index: Index, embedder: Embedder, clock: Clock) -> None:
        self._ledger = ledger
        self._index = index
        self._embedder = embedder
        self._clock = clock
        self._working = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="memory indexer", daemon=True)

    def start(self) -> None:
        """Reconcile ledger and index, then follow."""
        lacking, unwanted = self._ledger.reconcile(
            set(self._index.ids()), fingerprint=self._embedder.fingerprint
        )
        self._index.drop(unwanted)
        if lacking or unwanted:
            logger.info("memory_index_healed", extra={"lacking": lacking, "unwanted": len(unwanted)})
        self._thread.start()
        self._wake.set()

    def wake(self) -> None:
        """Say that there is work."""
        self._wake.set()

    def index_now(self, ids: Collection[str]) -> None:
        """Index these memories before returning, if embedder and index are there."""
        with self._working:
            self._work(self._ledger.pending(len(ids), fingerprint=self._embedder.fingerprint, ids=ids))

    def close(self) -> None:
        """Stop after the batch in work; the rest waits in the outbox."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            # on Linux a thread can be nice: whoever waits for a recall goes first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._stopping:
            self._wake.wait(_IDLE_S)
            self._wake.clear()
            try:
                while self._batch():
                    pass
            except LedgerAway as error:
                logger.warning("memory_indexer_waits", extra={"error": error.code})
            except Exception:
                # a full disk or a locked file must not end the thread; the outbox still has the work
                logger.exception("memory_indexer_failed")

    def _batch(self) -> bool:
        if self._stopping:
            return False
        with self._working:
            jobs = self._ledger.pending(_BATCH, fingerprint=self._embedder.fingerprint)
            return self._work(jobs) if jobs else False

    def _work(self, jobs: Sequence[Job]) -> bool:
        """Index the jobs; False if some had to be left for later."""
        gone = [job for job in jobs if job.memory is None]
        there = [job for job in jobs if job.memory is not None]
        done: list[tuple[Job, Vector | None]] = [(job, None) for job in gone]
        try:
            vectors = self._vectors(there)
            self._index.drop([job.memory_id for job in gone])
            self._index.put([_point(job, vector) for job, vector in zip(there, vectors, strict=True)])
        except IndexAway as error:
            logger.warning("memory_index_away", extra={"reason": str(error)})
            self._later(jobs)
            return False
        late = [job for job, vector in zip(there, vectors, strict=True) if vector is None]
        done += [(job, vector) for job, vector in zip(there, vectors, strict=True) if vector is not None]
        if done:
            self._ledger.indexed(done, fingerprint=self._embedder.fingerprint)
        self._later(late)
        return not late

    def _vectors(self, jobs: Sequence[Job]) -> list[Vector | None]:
        """Return each job's vector; None for all that are not made yet if the embedder is away."""
        texts = [job.memory.text for job in jobs if job.vector is None and job.memory is not None]
        try:
            made = iter(self._embedder.embed(texts) if texts else [])
        except EmbedderAway as error:
            logger.warning("memory_embedder_away", extra={"reason": error.code, "jobs": len(texts)})
            return [job.vector for job in jobs]
        return [next(made) if job.vector is None else job.vector for job in jobs]

    def _later(self, jobs: Sequence[Job]) -> None:
        if jobs:
            attempts = min(job.attempts for job in jobs)
            pause_us = min(_LAST_RETRY_US, _FIRST_RETRY_US << min(attempts, 20))
            self._ledger.postponed(jobs, until_us=self._clock.now_us() + pause_us)


def _point(job: Job, vector: Vector | None) -> Point:
    assert job.memory is not None
    return Point(id=job.memory_id, scope=job.memory.scope, terms=job.terms, vector=vector)
