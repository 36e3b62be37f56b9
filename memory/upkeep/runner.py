"""Does the background work while there is time for it: a slice, a rest many times as long, the next slice.

A slice is made for a few milliseconds; one that takes longer makes the next ones smaller. How far a pass is stands in
the ledger, so a new process goes on where the last one was, and what a slice did twice is done once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

import msgspec

from memory.clock import Clock
from memory.errors import BadAnswer, LedgerAway, ModelAway
from memory.store.sql_upkeep import JobName, Run, SqliteUpkeep
from memory.upkeep.jobs import DAY_US, Job
from memory.upkeep.summaries import Summaries

logger = logging.getLogger(__name__)

T = TypeVar("T")

SLICE_S = 0.005
"""What a slice may take."""
EXPIRED_AT_ONCE = 4
MOST_SUMMARIES = 50
"""In one pass: each is a model call."""
_REST = 19
"""Times as long as a slice took: a twentieth of one processor is the most that upkeep takes."""
_LEAST_REST_S = 0.02
_BUSY_S = 0.05
_MOST_WAITS = 100
"""Waits for a quiet moment before a slice; then it takes its turn anyway."""
_IDLE_S = 60.0
_NOTED = 16
"""Slices after which the place is noted though nothing was changed."""


class Rests(msgspec.Struct, frozen=True):
    """How long to wait, in seconds; tests do not."""

    first_s: float = _IDLE_S
    idle_s: float = _IDLE_S
    least_s: float = _LEAST_REST_S


class Upkeep:
    """The jobs of one memory. `busy`: somebody is waiting for an answer now."""

    def __init__(
        self,
        store: SqliteUpkeep,
        jobs: Sequence[Job],
        summaries: Summaries | None,
        expire: Callable[[int], int],
        *,
        clock: Clock,
        executor: Executor,
        busy: Callable[[], bool] = bool,
        wake: Callable[[], None] = lambda: None,
        rests: Rests | None = None,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._summaries = summaries
        self._expire = expire
        self._clock = clock
        self._executor = executor
        self._busy = busy
        self._wake = wake
        self._rests = rests or Rests()
        self.expired = 0
        """Memories whose time was up, since this process began."""
        self.longest_s = 0.0
        """The longest slice so far."""

    async def run(self) -> None:
        """Do what is due until cancelled."""
        await asyncio.sleep(self._rests.first_s)
        while True:
            await self.once()
            await asyncio.sleep(self._rests.idle_s)

    async def once(self) -> None:
        """Do what is due now."""
        await self._guarded("expire", self._expired)
        for job in self._jobs:
            await self._guarded(job.name, partial(self._pass, job))
        if self._summaries is not None:
            await self._guarded(self._summaries.name, partial(self._tell, self._summaries))

    async def _guarded(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (ModelAway, LedgerAway) as error:
            logger.warning("memory_upkeep_waits", extra={"job": name, "error": error.code})
        except Exception:
            # a full disk or a bug must not end the upkeep; the pass goes on where it was
            logger.exception("memory_upkeep_failed", extra={"job": name})

    async def _expired(self) -> None:
        gone = EXPIRED_AT_ONCE
        while gone == EXPIRED_AT_ONCE:
            gone, took_s = await self._timed(partial(self._expire, EXPIRED_AT_ONCE))
            self.expired += gone
            await self._rest(took_s)
        if self.expired:
            self._wake()

    async def _pass(self, job: Job) -> None:
        run = await self._next(job.name)
        if run is None:
            return
        place, rows, unnoted, slices = run.place, job.rows, 0, 0
        while True:
            found, took_s = await self._timed(partial(job.slice, run, place, rows))
            place, unnoted, slices = found.place, unnoted + found.seen, slices + 1
            rows = max(1, rows // 2) if took_s > SLICE_S else min(job.rows, rows + 1)
            over = not found.seen
            if found.changed or over or slices % _NOTED == 0:
                await self._note(run, place, unnoted, over=over)
                unnoted = 0
            if over:
                return
            await self._rest(took_s)

    async def _tell(self, summaries: Summaries) -> None:
        run = await self._next(summaries.name)
        if run is None:
            return
        place, told = run.place, 0
        while told < MOST_SUMMARIES:
            (found, about), took_s = await self._timed(partial(summaries.found, place, summaries.rows))
            if about is not None:
                operation = None
                if not await self._off_loop(partial(summaries.is_kept, run, about)):
                    try:
                        operation = await summaries.ask(run, about)
                    except BadAnswer as error:
                        logger.warning(
                            "memory_summary_refused", extra={"error": error.code, "turns": len(about.turns)}
                        )
                told += await self._off_loop(partial(summaries.keep, run, about, operation))
            place = found.place
            await self._note(run, place, found.seen, over=not found.seen)
            if not found.seen:
                return
            await self._rest(took_s)
        await self._note(run, place, 0, over=True)

    async def _next(self, job: JobName) -> Run | None:
        return await self._off_loop(partial(self._store.next_run, job, self._clock.now_us(), every_us=DAY_US))

    async def _note(self, run: Run, place: str, seen: int, *, over: bool) -> None:
        await self._off_loop(partial(self._store.move, run, place, seen, self._clock.now_us(), done=over))
        self._wake()

    async def _timed(self, work: Callable[[], T]) -> tuple[T, float]:
        """Do a slice, when nobody waits; return what came of it and how long it took."""
        for _ in range(_MOST_WAITS):
            if not self._busy():
                break
            await asyncio.sleep(_BUSY_S)

        def timed() -> tuple[T, float]:
            began_ns = time.monotonic_ns()
            return work(), (time.monotonic_ns() - began_ns) / 1e9

        done = await self._off_loop(timed)
        self.longest_s = max(self.longest_s, done[1])
        return done

    async def _rest(self, took_s: float) -> None:
        await asyncio.sleep(max(self._rests.least_s, took_s * _REST) if self._rests.least_s else 0)

    async def _off_loop(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)
