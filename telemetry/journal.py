"""Writes what happens to disk before and after it happens; `segments` says what the files look like.

Used by one asyncio loop. `open` and `settle` write where they are called, or at the end of `with journal:`, in one piece with
the usual small bodies (a few microseconds into the page cache, which survives the death of the process). Larger bodies
are queued, and a thread joins, hashes, cuts, redacts and writes them. Measured: with every body in the thread a call cost 20 us more,
as each write gives the interpreter's lock away and has to win it back. The thread wakes at most every 20 ms for
bodies, and ten times a second for fsync.

A full disk and a used-up quota are one state, `blocked`: no call is opened (`DiskFull`), payloads are dropped
and counted, and settlements of calls already open go on, into space kept allocated for them. With `drop_payloads` calls
are opened without their bodies as long as half of that space is left. The thread looks every second whether there is
room again.

fsync   interval: every 100 ms in the thread; always: before `open`, `settle` or `with journal:` are over, and after each large body;
        off: when the journal is closed.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from telemetry import frames, segments
from telemetry.due import DiskFull, Due, Queued, Written, refuse
from telemetry.payloads import Body, Redact, clean
from telemetry.records import Answer, Call, Opened, Outcome, Request, Settled
from telemetry.redact import replace_secrets
from telemetry.sealed import UNSEALED, Sealer, seal_outcome
from telemetry.segment_writer import DISK_FULL, Reserve, SegmentWriter, sweep, sync_folder

Fsync = Literal["interval", "always", "off"]
WhenFull = Literal["block", "drop_payloads"]

CUT_BYTES = 1024 * 1024
"""How much of a body is kept."""
AT_ONCE_BYTES = 32 * 1024
"""A body up to this size is redacted and written with its call: 3 us for 1 KB, 26 for the largest."""
MOST_BACKLOG = 64 * 1024 * 1024
"""Bytes of bodies that may wait; beyond, the caller works them off."""
MAX_AGE_S = 3600.0
"""A segment is not written to for longer: what has to be forgotten is gone from the journal so much later."""

_GATHER_S = 0.02
_SYNC_S = 0.1
_LOOK_S = 1.0
_UNWRITABLE = (ValueError, TypeError, OverflowError, MemoryError)

logger = logging.getLogger(__name__)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the journal is doing. Counters count since it was made."""

    last_success_us: int
    """When something was last written; 0: never."""
    blocked: bool
    backlog_bytes: int
    """Bodies that wait to be written."""
    frames: int
    lost: int
    """Settlements that could not be written."""
    dropped_payloads: int
    sync_failures: int
    folder_bytes: int
    """All segments of the folder, other writers' as of a second ago."""


class Told(NamedTuple):
    """A call that somebody else made, with what was said in it."""

    call: Call
    outcome: Outcome
    bodies: Sequence[tuple[frames.Kind, Body]]


class Journal:
    """The journal of one process; it writes from the moment it is made until `close`."""

    def __init__(
        self,
        folder: Path,
        *,
        writer: str,
        fsync: Fsync = "interval",
        segment_bytes: int = 64 * 1024 * 1024,
        quota_bytes: int = 4096 * 1024 * 1024,
        reserve_bytes: int = 64 * 1024 * 1024,
        when_full: WhenFull = "block",
        cut_bytes: int = CUT_BYTES,
        redact: Redact = replace_secrets,
        sealer: Sealer = UNSEALED,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._folder = folder
        self._interval, self._always = fsync == "interval", fsync == "always"
        self._quota, self._spare = quota_bytes, reserve_bytes // 2
        self._drops = when_full == "drop_payloads"
        self._cut_bytes = cut_bytes
        self._redact = redact
        self._sealer = sealer
        self._seal = sealer.seal
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        # guards the segment, the counters and `_full`; held for one write
        self._lock = threading.Lock()
        self._segment = SegmentWriter(folder, writer, segment_bytes=segment_bytes, now_ns=now_ns)
        self._reserve = Reserve(folder, writer, reserve_bytes)
        self._full = False
        self._bound = 0
        """How much this writer may write: what the others leave of the quota, 0 while the disk is full."""
        self._dirty = True
        self._frames = self._lost = self._dropped = self._sync_failures = 0
        self._last_success_ns = 0
        self._others = 0
        self._measure()
        self._due: list[Due] = []
        self._gathers = False
        # large bodies; whoever takes one from the queue holds `_payloads` until it is written
        self._payloads = threading.Lock()
        self._queue: deque[Queued] = deque()
        self._queued = self._done = 0
        self._stirred = False
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._syncing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def open(self, call: Call, request: Body | None = None) -> Written:
        """Remember that a call is about to be made, and its body; DiskFull if that is not possible.

        Within `with journal:` only what is returned tells whether it was. Raises ValueError, TypeError or OverflowError for a call that msgpack cannot hold.
        """
        if not (self.payload_room() or self._spares()):
            raise DiskFull("the journal has no room")
        written = Written(call)
        opened = frames.pack(Opened(call))
        behind, late = b"", None
        if request is not None and request.total <= AT_ONCE_BYTES:
            behind = self._frame(Request, call, request)
        else:
            late = request
        self._due.append(Due(call, opened, behind, written, late))
        if not self._gathers:
            self._write_due()
            if written.refused is not None:
                raise written.refused
        return written

    def settle(self, call: Call, outcome: Outcome, answer: Body | None = None) -> None:
        """Remember how a call went, and its answer. Never raises: a settlement that cannot be written is `lost`."""
        behind = b""
        late = answer if answer is not None and answer.total > AT_ONCE_BYTES else None
        try:
            if outcome.memory.block:
                outcome = seal_outcome(self._sealer, call.project, outcome)
            settled = frames.pack(Settled(call, outcome))
            if answer is not None and late is None:
                behind = self._frame(Answer, call, answer)
        except _UNWRITABLE as error:
            self._lose(call, error)
            if late is not None:
                self._enqueue(Answer, call, late)
            return
        self._due.append(Due(call, settled, behind, late=late))
        if not self._gathers:
            self._write_due()

    def __enter__(self) -> None:
        """Write all that is opened and settled from here on in one piece, ..."""
        self._gathers = True

    def __exit__(self, *_: object) -> None:
        """... now."""
        self._gathers = False
        self._write_due()

    def add(self, logs: Sequence[Told]) -> None:
        """Remember calls that are over, all of them with all bodies, or none; DiskFull if that is not possible.

        Blocks while secrets are sought. Raises as `open` does for what msgpack or a frame cannot hold.
        """
        if not self.payload_room():
            raise DiskFull("the journal has no room")
        found: list[bytes] = []
        for call, outcome, bodies in logs:
            found.append(frames.pack(Settled(call, outcome)))
            for kind, body in bodies:
                said = clean(call, body, self._redact, self._cut_bytes, self._seal)
                found.append(frames.pack(frames.BODIES[kind](said)))
        try:
            self._append(b"".join(found), count=len(found))
            if self._always:
                self._sync()
        except OSError as error:
            raise DiskFull(f"the journal could not be written: {error.strerror}") from error

    def payload_room(self) -> bool:
        """Say whether bodies are being kept; if not, a call's row says `capture: lost`."""
        return self._segment.total < self._bound

    def _spares(self) -> bool:
        """Say whether calls are opened without their bodies now."""
        within = self._others + self._segment.total < self._quota + self._spare
        return self._drops and within and self._reserve.size > self._spare

    def flush(self) -> None:
        """Write every body that was queued before this was called."""
        self._drain(until=0)
        with self._payloads:  # the thread may have the last one in hand
            pass

    def status(self) -> Status:
        """Say how the journal is doing."""
        with self._lock:
            return Status(
                last_success_us=self._last_success_ns // 1000,
                blocked=not (self.payload_room() or self._spares()),
                backlog_bytes=self._queued - self._done,
                frames=self._frames,
                lost=self._lost,
                dropped_payloads=self._dropped,
                sync_failures=self._sync_failures,
                folder_bytes=self._others + self._segment.total,
            )

    def close(self) -> None:
        """Write what is queued, make all of it durable, and let go of the segments."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._wake.set()
        self._thread.join()
        self.flush()
        self._try_to_sync()
        with self._lock:
            self._set_bound(full=True)
            self._segment.close()
            self._reserve.close()

    # frames

    def _frame(self, kind: type[Request | Answer], call: Call, body: Body) -> bytes:
        """Return the frame of a body; none if it had to be dropped."""
        if not self.payload_room():
            self._drop(call, "no room")
            return b""
        try:
            said = clean(call, body, self._redact, self._cut_bytes, self._seal)
            return frames.pack(kind(said))
        except _UNWRITABLE as error:
            self._drop(call, str(error))
            return b""

    def _append(self, frame: bytes, behind: bytes = b"", *, count: int = 1) -> None:
        """Write `count` frames, or one and that behind it; all or none."""
        with self._lock:
            try:
                self._segment.append(frame + behind)
            except OSError as error:
                self._note_failure(error)
                raise
            self._frames += 2 if behind else count
            self._last_success_ns = self._now_ns()
            if not self._dirty:
                self._dirty = True
                self._wake.set()  # the thread begins to count down to the next fsync

    def _write_due(self) -> None:
        """Write what was opened and settled: all at once, or if that fails each for itself."""
        due, self._due = self._due, []
        alone = due
        if len(due) > 1:
            parts = [part for one in due for part in (one.frame, one.behind) if part]
            with suppress(OSError):
                self._append(b"".join(parts), count=len(parts))
                alone = []
        for one in alone:
            self._write_one(one)
        if self._always and due:
            try:
                self._sync()
            except OSError as error:
                refuse(due, error)
        for one in due:
            if one.late is not None and (one.opened is None or one.opened.refused is None):
                self._enqueue(Answer if one.opened is None else Request, one.call, one.late)

    def _write_one(self, one: Due) -> None:
        """Write one frame and that behind it; refuse to open a call, or count it as lost, if that fails."""
        try:
            try:
                self._append(one.frame, one.behind)
            except OSError as error:
                if one.opened is not None:
                    self._append_sparingly(one.frame, one.behind, error)
                else:
                    self._append_at_any_cost(one.frame, one.behind, error)
        except OSError as error:
            if one.opened is None:
                self._lose(one.call, error)
            refuse([one], error)

    def _append_sparingly(self, opened: bytes, behind: bytes, error: OSError) -> None:
        """Write a call that was refused, without what was behind it; raise OSError if bodies are not to be dropped.

        Half of the reserve stays for settlements.
        """
        while self._drops and error.errno in DISK_FULL and self._reserve.size > self._spare:
            self._reserve.give_up_some()
            try:
                self._append(opened)
            except OSError as again:
                error = again
            else:
                with self._lock:
                    self._dropped += bool(behind)
                return
        raise error

    def _append_at_any_cost(self, settled: bytes, behind: bytes, error: OSError) -> None:
        """Write a settlement that was refused, without what was behind it, into the reserve if need be."""
        with self._lock:
            self._dropped += bool(behind)
        new_segments = 2  # what a failing disk gets; a full one gets all that is kept back for it
        while error.errno not in DISK_FULL and new_segments:
            new_segments -= 1
            try:
                return self._append(settled)
            except OSError as again:
                error = again
        while self._reserve.give_up_some():
            try:
                return self._append(settled)
            except OSError as again:
                if again.errno not in DISK_FULL:
                    raise
        return self._append(settled)

    def _note_failure(self, error: OSError) -> None:
        """Remember why a write failed."""
        if error.errno not in DISK_FULL:
            self._segment.spoil()
        self._note_full(error)

    def _set_bound(self, *, full: bool) -> None:
        """Note whether the disk is full, and how much may be written if not."""
        self._full = full
        self._bound = 0 if full else self._quota - self._others

    def _note_full(self, error: OSError) -> None:
        """Open no more calls."""
        if not self._full:
            self._set_bound(full=True)
            logger.warning("journal_blocked", extra={"reason": error.strerror})

    def _lose(self, call: Call, error: BaseException) -> None:
        with self._lock:
            self._lost += 1
            first = self._lost == 1
        if first:  # the rest is in the counter
            logger.error("journal_lost", extra={"call_id": call.call_id, "reason": str(error)})

    def _stir(self) -> None:
        """See to it that the thread looks soon."""
        self._stirred = True
        self._wake.set()

    # large bodies

    def _enqueue(self, kind: type[Request | Answer], call: Call, body: Body) -> None:
        """Leave a body to the thread, unless it has too much to do."""
        size = sum(map(len, body.chunks))
        self._queue.append(Queued(kind, call, body, size))
        self._queued += size
        if self._queued - self._done > MOST_BACKLOG:
            self._drain(until=MOST_BACKLOG)
        if not self._stirred:
            self._stir()

    def _drain(self, until: int) -> None:
        """Write queued bodies until no more than so many bytes are left."""
        while self._queue:
            with self._payloads:
                if not self._queue or 0 < self._queued - self._done <= until:
                    return
                queued = self._queue.popleft()
                self._write(queued)
                self._done += queued.size

    def _write(self, queued: Queued) -> None:
        """Write one body, or count it as dropped."""
        frame = self._frame(queued.kind, queued.call, queued.body)
        if not frame:
            return
        try:
            self._append(frame)
        except OSError as error:
            self._drop(queued.call, str(error))
            return
        if self._always:
            self._try_to_sync()

    def _drop(self, call: Call, reason: str) -> None:
        with self._lock:
            self._dropped += 1
            first = self._dropped == 1
        if first:  # the rest is in the counter
            logger.error("journal_dropped_payload", extra={"call_id": call.call_id, "reason": reason})

    # the thread

    def _run(self) -> None:
        """Gather, write, sync, look; until `close`."""
        sweep(self._folder)
        self._look()
        looked = synced = self._monotonic_ns()
        while not self._stop.is_set():
            waiting = self._dirty and self._interval
            self._wake.wait(_SYNC_S if waiting else _LOOK_S)
            self._wake.clear()
            self._stop.wait(_GATHER_S)
            self._stirred = False  # before the queue is emptied: whoever comes later wakes us again
            self._drain(until=0)
            now = self._monotonic_ns()
            if self._dirty and self._interval and now - synced >= _SYNC_S * 1e9:
                synced = now
                self._try_to_sync()
            if now - looked >= _LOOK_S * 1e9:
                looked = now
                self._look()

    def _try_to_sync(self) -> None:
        """Make durable what was written, if possible; if not, `_sync` has counted and logged it."""
        with suppress(OSError):
            self._sync()

    def _sync(self) -> None:
        """Make durable what was written; OSError if the disk says it is not."""
        with self._syncing:
            with self._lock:
                current, retired, new_names = self._segment.unsynced()
                self._dirty = False
            try:
                for descriptor in (*retired, current):
                    os.fdatasync(descriptor)
                if new_names:
                    sync_folder(self._folder)
            except OSError as error:
                # the kernel forgets pages it failed to write: syncing again would only seem to help
                with self._lock:
                    self._sync_failures += 1
                    self._segment.spoil()
                logger.exception("journal_sync_failed", extra={"reason": error.strerror})
                raise
            finally:
                for descriptor in retired:
                    os.close(descriptor)

    def _look(self) -> None:
        """Count what is on the disk, and open again if there is room."""
        try:
            self._measure()
            with self._lock:
                self._dirty |= self._segment.renew(MAX_AGE_S)
            self._reserve.fill()
            room = self._reserve.room_beside()
        except OSError as error:
            with self._lock:
                self._note_full(error)
            return
        if self._full and room:
            with self._lock:
                self._set_bound(full=False)
            logger.info("journal_room_again")

    def _measure(self) -> None:
        """Count what the folder's segments take, by all writers."""
        sizes = [segment.size for found in segments.writers(self._folder).values() for segment in found]
        with self._lock:
            self._others = sum(sizes) - self._segment.total
            self._set_bound(full=self._full)
