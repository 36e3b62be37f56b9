"""Makes the index follow the ledger: a thread that empties the outbox, and builds what is to be built.

An entry leaves the outbox after every collection in use took the point, and points are named after their memories. So a
kill between the two does the same work twice and changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence

import msgspec

from memory.clock import Clock
from memory.errors import EmbedderAway, IndexAway, LedgerAway
from memory.records import Job, Vector
from memory.shelf import Opened, Shelf
from memory.store.index import Point
from memory.store.ledger import Ledger

logger = logging.getLogger(__name__)

_BATCH = 16
_IDLE_S = 1.0
"""How long the thread sleeps when nobody wakes it; then it looks for jobs that have become due."""
_REST_S = 0.002
"""How long it sleeps at least between two slices of building; else as long as the last one took."""
_HEALED = 1000
"""Points that may be missing at a start; with more, the collection counts as lost."""
_NICE = 10
_FIRST_RETRY_US = 1_000_000
_LAST_RETRY_US = 300_000_000


class Indexer:
    """One for each index. `index_now` may be called from any thread; a lock keeps jobs in one hand.

    `build`: does a slice of other work while the outbox is empty, and says whether there is more.
    """

    def __init__(
        self, ledger: Ledger, shelf: Shelf, clock: Clock, *, build: Callable[[], bool] = lambda: False
    ) -> None:
        self._ledger = ledger
        self._shelf = shelf
        self._clock = clock
        self._build = build
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="memory indexer", daemon=True)

    def start(self) -> None:
        """Put in order what a kill has left, then follow."""
        self.settle()
        self._thread.start()
        self._wake.set()

    def settle(self) -> None:
        """Reconcile ledger and index, and have built what is lost or of another embedder."""
        shelf, serving = self._shelf, self._shelf.serving
        if serving is None or not self._healed(serving):
            shelf.begin(lost=True)
        elif serving.kept.fingerprint != shelf.embedder.fingerprint:
            shelf.begin()
        elif shelf.building is not None and shelf.building.kept.fingerprint != serving.kept.fingerprint:
            shelf.store.leave(shelf.building.kept.name)
            shelf.refresh()

    def wake(self) -> None:
        """Say that there is work."""
        self._wake.set()

    def index_now(self, ids: Collection[str]) -> None:
        """Index these memories before returning, if embedder and index are there."""
        with self._shelf.writing:
            self._work(self._ledger.pending(len(ids), fingerprint=self._stays.kept.fingerprint, ids=ids))

    def batch(self) -> bool:
        """Index some memories; False if none are due, or some had to be left for later."""
        if self._stopping:
            return False
        with self._shelf.writing:
            jobs = self._ledger.pending(_BATCH, fingerprint=self._stays.kept.fingerprint)
            return self._work(jobs) if jobs else False

    def close(self) -> None:
        """Stop after the batch in work; the rest waits in the outbox."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def _stays(self) -> Opened:
        return self._shelf.building or self._shelf.answering

    def _healed(self, serving: Opened) -> bool:
        """Put back what a kill or a power cut has taken; False if it is too much."""
        present, fingerprint = set(serving.index.ids()), serving.kept.fingerprint
        missing = len(self._ledger.shown(fingerprint=fingerprint).keys() - present) - self._ledger.backlog()
        if missing > _HEALED:
            logger.warning("memory_index_lost", extra={"missing": missing})
            return False
        lacking, unwanted = self._ledger.reconcile(present, fingerprint=fingerprint)
        serving.index.drop(unwanted)
        if lacking or unwanted:
            logger.info("memory_index_healed", extra={"lacking": lacking, "unwanted": len(unwanted)})
        return True

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            # on Linux a thread can be nice: whoever waits for a recall goes first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        pause_s = _IDLE_S
        while not self._stopping:
            self._wake.wait(pause_s)
            self._wake.clear()
            pause_s = _IDLE_S
            try:
                while self.batch():
                    pass
                began = time.monotonic()
                if self._build():
                    pause_s = max(_REST_S, time.monotonic() - began)
            except LedgerAway as error:
                logger.warning("memory_indexer_waits", extra={"error": error.code})
            except Exception:
                # a full disk or a locked file must not end the thread; the outbox still has the work
                logger.exception("memory_indexer_failed")

    def _work(self, jobs: Sequence[Job]) -> bool:
        """Index the jobs; False if some had to be left for later."""
        stays, *others = told = self._shelf.told
        gone = [job for job in jobs if job.memory is None]
        there = [job for job in jobs if job.memory is not None]
        fingerprint = stays.kept.fingerprint
        try:
            vectors = _vectors(stays, there)
            _tell(stays, gone, there, vectors)
            for other in others:
                self._also(other, gone, there, vectors if other.kept.fingerprint == fingerprint else None)
        except IndexAway as error:
            logger.warning("memory_index_away", extra={"reason": str(error)})
            self._later(jobs)
            return False
        late = [job for job, vector in zip(there, vectors, strict=True) if vector is None]
        done: list[tuple[Job, Vector | None]] = [(job, None) for job in gone]
        done += [(job, vector) for job, vector in zip(there, vectors, strict=True) if vector is not None]
        names = [one.kept.name for one in told]
        if done and not self._ledger.indexed(done, fingerprint=fingerprint, told=names):
            self._shelf.refresh()  # a collection has been begun meanwhile, here or by another hub
            return self._work(jobs)
        self._later(late)
        return not late

    def _also(
        self,
        other: Opened,
        gone: Sequence[Job],
        there: Sequence[Job],
        vectors: Sequence[Vector | None] | None,
    ) -> None:
        """Tell the collection that is going to be replaced; one whose embedder is gone is told the words alone."""
        if vectors is None:
            plain = [msgspec.structs.replace(job, vector=None) for job in there]
            vectors = _vectors(other, plain)
            known = [(job, made) for job, made in zip(plain, vectors, strict=True) if made is not None]
            self._shelf.store.keep(known, other.kept.fingerprint)
        _tell(other, gone, there, vectors)

    def _later(self, jobs: Sequence[Job]) -> None:
        if jobs:
            attempts = min(job.attempts for job in jobs)
            pause_us = min(_LAST_RETRY_US, _FIRST_RETRY_US << min(attempts, 20))
            self._ledger.postponed(jobs, until_us=self._clock.now_us() + pause_us)


def _tell(
    opened: Opened, gone: Sequence[Job], there: Sequence[Job], vectors: Sequence[Vector | None]
) -> None:
    opened.index.drop([job.memory_id for job in gone])
    opened.index.put(
        [
            Point(id=job.memory_id, scope=job.memory.scope, terms=job.terms, vector=vector)
            for job, vector in zip(there, vectors, strict=True)
            if job.memory is not None
        ]
    )


def _vectors(opened: Opened, jobs: Sequence[Job]) -> list[Vector | None]:
    """Return each job's vector; None for all that are not made yet if the embedder is away."""
    texts = [job.memory.text for job in jobs if job.vector is None and job.memory is not None]
    try:
        made = iter(opened.embedder.embed(texts) if texts else [])
    except EmbedderAway as error:
        logger.warning("memory_embedder_away", extra={"reason": error.code, "jobs": len(texts)})
        return [job.vector for job in jobs]
    return [next(made) if job.vector is None else job.vector for job in jobs]
