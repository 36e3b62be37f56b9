"""Carries the journal to its consumers, each in a thread of its own and at its own pace.

A round is: look, plan, deliver, commit. Whatever goes wrong with the store is tried again, later
and later; the journal is the memory meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from telemetry.delivery import Delivered
from telemetry.follower import MAX_BYTES, Counts, Follower, Work, reclaim
from telemetry.segments import writers
from telemetry.store.base import StoreError

QUIET_S = 0.05
"""Frames are delivered when so long nothing came after them ..."""
PATIENCE_S = 0.5
"""... or when the first of them has waited so long."""

_LOOK_S = 0.02
_ANYWAY_S = 1.0
_FIRST_BACK_OFF_S = 0.1
_LONGEST_BACK_OFF_S = 10.0
_SWEEP_S = 5.0
_TIGHT = 0.75

logger = logging.getLogger(__name__)


class Consumer(Protocol):
    """Takes batches. Must bear getting the same one again when nobody knows whether it took it."""

    def deliver(self, work: Work) -> Delivered:
        """Take the batch; raise StoreError if it could not, or nobody knows."""
        ...


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How far a consumer has come."""

    name: str
    last_success_us: int = 0
    """When it last had everything, or got something; 0: not since this process began."""
    lag_bytes: int = 0
    spans: int = 0
    """Rows brought in by this process."""
    payloads: int = 0
    dead_letters: int = 0
    batches: int = 0
    failures: int = 0
    last_error: str = ""
    """Empty while all is well."""
    open_calls: int = 0
    counts: Counts = Counts()


class Pacer:
    """Decides when a backlog is worth a batch: soon when it is quiet, at the latest after `PATIENCE_S`."""

    def __init__(self) -> None:
        self._backlog = 0
        self._since_ns = 0
        self._changed_ns = 0
        self._looked_ns = 0

    def due(self, backlog: int, now_ns: int) -> bool:
        """Say whether to take what is there."""
        if backlog != self._backlog:
            if self._since_ns == 0:
                self._since_ns = now_ns
            self._backlog = backlog
            self._changed_ns = now_ns
        if self._since_ns == 0:
            # Nothing new: look all the same now and then, a writer may have died.
            return now_ns - self._looked_ns >= _ANYWAY_S * 1e9
        return (
            backlog >= MAX_BYTES
            or now_ns - self._changed_ns >= QUIET_S * 1e9
            or now_ns - self._since_ns >= PATIENCE_S * 1e9
        )

    def took(self, left: int, now_ns: int) -> None:
        """Start anew, with what is left behind the batch."""
        self._backlog = left
        self._since_ns = 0
        self._looked_ns = now_ns


class Pipe:
    """A follower and its consumer."""

    def __init__(self, follower: Follower, consumer: Consumer, *, now_us: Callable[[], int]) -> None:
        self.follower = follower
        self.lock = threading.Lock()
        """Held for a whole round; who changes the checkpoint from outside takes it."""
        self._consumer = consumer
        self._now_us = now_us
        self._status = Status(name=follower.name)

    def step(self) -> bool:
        """Do one round; return whether there was something to do. Raise StoreError or OSError if it failed."""
        try:
            with self.lock:
                work = self.follower.next()
                if work is None:
                    self._note(Delivered(), batches=0)
                    return False
                delivered = self._consumer.deliver(work)
                self.follower.commit(work)
                self._note(delivered, batches=1)
        except (StoreError, OSError) as error:
            label = error.label if isinstance(error, StoreError) else type(error).__name__
            self._status = msgspec.structs.replace(
                self._status, last_error=label, failures=self._status.failures + 1
            )
            raise
        return True

    def status(self) -> Status:
        """Say how far it has come, as of now."""
        checkpoint = self.follower.checkpoint
        return msgspec.structs.replace(
            self._status,
            lag_bytes=self.follower.backlog(),
            open_calls=sum(len(calls) for calls in checkpoint.open.values()),
            counts=checkpoint.counts,
        )

    def _note(self, delivered: Delivered, *, batches: int) -> None:
        status = self._status
        self._status = msgspec.structs.replace(
            status,
            last_success_us=self._now_us(),
            spans=status.spans + delivered.spans,
            payloads=status.payloads + delivered.payloads,
            dead_letters=status.dead_letters + delivered.dead,
            batches=status.batches + batches,
            last_error="",
        )


class Collector:
    """Runs pipes of one journal, and deletes what all of them are done with.

    `beside` are pipes that another collector runs: what they still need is kept as well, until the quota is near.
    Without `keep_consumed_s` it deletes nothing.
    """

    def __init__(
        self,
        pipes: list[Pipe],
        *,
        now_us: Callable[[], int],
        beside: Sequence[Pipe] = (),
        keep_consumed_s: float | None = None,
        quota_bytes: int = 0,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._pipes = pipes
        self._beside = beside
        self._keep_consumed_s = keep_consumed_s
        self._quota_bytes = quota_bytes
        self._now_us = now_us
        self._monotonic_ns = monotonic_ns
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin; every pipe gets its thread."""
        for pipe in self._pipes:
            name = f"collector-{pipe.follower.name}"
            thread = threading.Thread(target=self._follow, args=(pipe,), name=name, daemon=True)
            self._threads.append(thread)
        if self._keep_consumed_s is not None:
            self._threads.append(threading.Thread(target=self._sweep, name="collector-reclaim", daemon=True))
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        """Whether every thread is still at work; one that is not has met a bug."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self, timeout_s: float = 4.0) -> bool:
        """End between two rounds; return False if one of them did not come to its end in time."""
        self._stop.set()
        deadline = self._monotonic_ns() + int(timeout_s * 1e9)
        for thread in self._threads:
            thread.join(max(0.0, (deadline - self._monotonic_ns()) / 1e9))
        return not any(thread.is_alive() for thread in self._threads)

    def status(self) -> list[Status]:
        """How far each pipe has come."""
        return [pipe.status() for pipe in self._pipes]

    def sweep(self) -> list[Path]:
        """Delete segments that every pipe was done with long enough ago; at once when the quota is near."""
        gone: list[Path] = []
        ours = [pipe.follower for pipe in self._pipes]
        others = [pipe.follower for pipe in self._beside]
        with contextlib.ExitStack() as stack:
            for pipe in (*self._beside, *self._pipes):  # in this order: while another one hangs, ours go on
                stack.enter_context(pipe.lock)
            keep_s = 0 if self._tight() else self._keep_consumed_s or 0
            gone += reclaim([*ours, *others], keep_s=keep_s, now_us=self._now_us())
            if others and self._tight():
                # Calls are refused once the quota is used up: better that the others miss some.
                missed = list(reclaim(ours, keep_s=0, now_us=self._now_us()))
                for follower in others if missed else []:
                    follower.forget({path.name for path in missed})
                    logger.error(
                        "segments_missed", extra={"consumer": follower.name, "segments": len(missed)}
                    )
                gone += missed
        for path in gone:
            logger.info("segment_deleted", extra={"segment": path.name})
        return gone

    def _tight(self) -> bool:
        files = [file for found in writers(self._pipes[0].follower.folder).values() for file in found]
        return 0 < self._quota_bytes * _TIGHT <= sum(file.size for file in files)

    def _follow(self, pipe: Pipe) -> None:
        pacer = Pacer()
        back_off_s = _FIRST_BACK_OFF_S
        while not self._stop.is_set():
            try:
                backlog = pipe.follower.backlog()
                if not pacer.due(backlog, self._monotonic_ns()):
                    self._stop.wait(_LOOK_S)
                    continue
                more = pipe.step()
                while more and not self._stop.is_set() and pipe.follower.backlog() >= MAX_BYTES // 4:
                    more = pipe.step()
                pacer.took(pipe.follower.backlog() if not more else 0, self._monotonic_ns())
                back_off_s = _FIRST_BACK_OFF_S
            except (StoreError, OSError) as error:
                label = error.label if isinstance(error, StoreError) else type(error).__name__
                logger.warning(
                    "collector_waits",
                    extra={"consumer": pipe.follower.name, "error": label, "wait_s": back_off_s},
                )
                self._stop.wait(back_off_s)
                back_off_s = min(back_off_s * 2, _LONGEST_BACK_OFF_S)

    def _sweep(self) -> None:
        while not self._stop.wait(_SWEEP_S):
            try:
                self.sweep()
            except OSError as error:
                logger.warning("reclaim_failed", extra={"error": type(error).__name__})
