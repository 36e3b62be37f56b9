"""Writes what happens to disk before and after it happens; `segments` says what the files look like.

Used by one asyncio loop. `open` and `settle` write where they are called (a few microseconds into the page
cache, which survives the death of the process), and so does `keep` with the usual small body; larger ones are
queued, and a thread joins, hashes, cuts, redacts and writes them. Measured: with every body in the thread a call
cost 20 us more, as each write gives the interpreter's lock away and has to win it back. The thread wakes at most
every 20 ms for bodies, and ten times a second for fsync.

A full disk and a used-up quota are one state, `blocked`: no call is opened (`DiskFull`), payloads are dropped
and counted, and settlements of calls already open go on, into space kept allocated for them. The thread looks
every second whether there is room again.

fsync   interval: every 100 ms in the thread; always: before `open` returns, and after each other frame;
        off: when the journal is closed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from telemetry import segments
from telemetry.records import Answer, Call, Frame, Outcome, Payload, Request, Settled
from telemetry.redact import OVERLAP, replace_secrets
from telemetry.segment_writer import DISK_FULL, Reserve, SegmentWriter, sweep, sync_folder

Fsync = Literal["interval", "always", "off"]

CUT_BYTES = 1024 * 1024
"""How much of a body is kept."""
AT_ONCE_BYTES = 32 * 1024
"""A body up to this size is redacted and written where `keep` is called: some 6 us for 1 KB, 70 for the largest."""
MOST_BACKLOG = 64 * 1024 * 1024
"""Bytes of bodies that may wait; beyond, `keep` does the work itself."""
RETRY_AFTER_S = 5.0

_GATHER_S = 0.02
_SYNC_S = 0.1
_LOOK_S = 1.0
_MOST_PACKED = 10_000
"""Open calls whose bytes are kept for their settlement; it packs the others anew."""
_UNWRITABLE = (ValueError, TypeError, OverflowError, MemoryError)

_prefix = segments.PREFIX.pack
_crc32 = zlib.crc32

logger = logging.getLogger(__name__)


class DiskFull(Exception):
    """Nothing can be remembered now, so nothing may be sent; `retry_after_s` says when to ask again."""

    def __init__(self, message: str, retry_after_s: float = RETRY_AFTER_S) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the journal is doing. Counters count since it was made."""

    last_success_us: int
    """When a call was last opened or settled; 0: never."""
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


class _Kept(NamedTuple):
    """A body in the queue."""

    kind: type[Request | Answer]
    head: Payload
    chunks: Sequence[bytes]
    size: int
    cut_bytes: int


class _Opened(msgspec.Struct, frozen=True, tag_field="frame", tag="opened"):
    """`Opened`, of a call that is packed already: the bytes are the same."""

    call: msgspec.Raw


class _Settled(msgspec.Struct, frozen=True, tag_field="frame", tag="settled"):
    """`Settled`, of a call that was packed when it was opened."""

    call: msgspec.Raw
    outcome: Outcome


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
        redact: Callable[[bytes], tuple[bytes, int]] = replace_secrets,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._folder = folder
        self._fsync = fsync
        self._quota = quota_bytes
        self._redact = redact
        self._now_us = now_us
        self._monotonic_ns = monotonic_ns
        self._encoder = msgspec.msgpack.Encoder()
        self._open_calls: dict[str, tuple[Call, msgspec.Raw]] = {}
        # guards the segment, the counters and `_full`; held for one write
        self._lock = threading.Lock()
        self._segment = SegmentWriter(folder, writer, segment_bytes=segment_bytes, now_us=now_us)
        self._reserve = Reserve(folder, writer, reserve_bytes)
        self._full = False
        self._dirty = True
        self._frames = self._lost = self._dropped = self._sync_failures = 0
        self._last_success_us = 0
        self._others = 0
        self._measure()
        # bodies; whoever takes one from the queue holds `_payloads` until it is written
        self._payloads = threading.Lock()
        self._queue: deque[_Kept] = deque()
        self._at_once = -1 if fsync == "always" else AT_ONCE_BYTES
        self._queued = self._done = 0
        self._stirred = False
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._syncing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def open(self, call: Call) -> None:
        """Remember that a call is about to be made; DiskFull if that is not possible.

        Raises ValueError, TypeError or OverflowError for a call that msgpack cannot hold.
        """
        if not self.payload_room():
            raise DiskFull("the journal has no room")
        packed = msgspec.Raw(self._encoder.encode(call))
        frame = self._frame(_Opened(packed))
        try:
            with self._lock:
                self._append(frame)
                self._last_success_us = self._now_us()
            self._written()
        except OSError as error:
            raise DiskFull(f"the journal could not be written: {error.strerror}") from error
        if len(self._open_calls) < _MOST_PACKED:
            self._open_calls[call.call_id] = call, packed

    def settle(self, call: Call, outcome: Outcome) -> None:
        """Remember how a call went. Never raises: what cannot be written is counted as lost."""
        opened = self._open_calls.pop(call.call_id, None)
        try:
            if opened is not None and opened[0] is call:
                frame = self._frame(_Settled(opened[1], outcome))
            else:
                frame = self._frame(Settled(call, outcome))
            with self._lock:
                self._append_at_any_cost(frame)
                self._last_success_us = self._now_us()
        except (OSError, *_UNWRITABLE) as error:
            self._lose(call, error)
            return
        with suppress(OSError):  # it is written; that it is not yet safe, `_sync` has counted and logged
            self._written()

    def keep(
        self,
        kind: type[Request | Answer],
        head: Payload,
        chunks: Sequence[bytes],
        cut_bytes: int = CUT_BYTES,
    ) -> None:
        """Queue a body to be written; the chunks are no longer the caller's.

        `head` is its payload without the body (with `bytes_total` if the chunks are not all of it).
        """
        size = len(chunks[0]) if len(chunks) == 1 else sum(map(len, chunks))
        kept = _Kept(kind, head, chunks, size, cut_bytes)
        if size <= self._at_once:
            self._put(kept)
            return
        self._queue.append(kept)
        self._queued += size
        if self._queued - self._done > MOST_BACKLOG:
            self._drain(until=MOST_BACKLOG)
        if not self._stirred:
            self._stir()

    def payload_room(self) -> bool:
        """Say whether bodies are being kept; if not, a call's row says `capture: lost`."""
        return not self._full and self._others + self._segment.total < self._quota

    def flush(self) -> None:
        """Write every body that was queued before this was called."""
        self._drain(until=0)
        with self._payloads:  # the thread may have the last one in hand
            pass

    def status(self) -> Status:
        """Say how the journal is doing."""
        with self._lock:
            return Status(
                last_success_us=self._last_success_us,
                blocked=not self.payload_room(),
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
        with suppress(OSError):  # counted and logged where it failed
            self._sync()
        with self._lock:
            self._full = True
            self._segment.close()
            self._reserve.close()

    # frames

    def _frame(self, record: Frame | _Opened | _Settled) -> bytes:
        """Encode a record, with its length and crc32 before it."""
        packed = self._encoder.encode(record)
        length = len(packed)
        if length > segments.MAX_FRAME:
            raise ValueError(f"a record of {length} bytes")
        return _prefix(length, _crc32(packed)) + packed

    def _append(self, frame: bytes) -> None:
        """Write a frame; the caller holds the lock."""
        try:
            self._segment.append(frame)
        except OSError as error:
            self._note_failure(error)
            raise
        self._frames += 1
        if not self._dirty:
            self._dirty = True
            self._wake.set()  # the thread begins to count down to the next fsync

    def _append_at_any_cost(self, frame: bytes) -> None:
        """Write a frame, into the reserve if need be; the caller holds the lock."""
        for _ in range(3):  # a failing disk gets two new segments, a full one all that is kept back for it
            try:
                return self._append(frame)
            except OSError as error:
                if error.errno in DISK_FULL:
                    break
        while self._reserve.give_up_some():
            try:
                return self._append(frame)
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
        return self._append(frame)

    def _note_failure(self, error: OSError) -> None:
        """Remember why a write failed."""
        if error.errno not in DISK_FULL:
            self._segment.spoil()
        self._note_full(error)

    def _note_full(self, error: OSError) -> None:
        """Open no more calls."""
        if not self._full:
            self._full = True
            logger.warning("journal_blocked", extra={"reason": error.strerror})

    def _lose(self, call: Call, error: BaseException) -> None:
        with self._lock:
            self._lost += 1
            first = self._lost == 1
        if first:  # the rest is in the counter
            logger.error("journal_lost", extra={"call_id": call.call_id, "reason": str(error)})

    def _written(self) -> None:
        """Do what the fsync policy wants after a frame."""
        if self._fsync == "always":
            self._sync()

    def _stir(self) -> None:
        """See to it that the thread looks soon."""
        self._stirred = True
        self._wake.set()

    # bodies

    def _drain(self, until: int) -> None:
        """Write queued bodies until no more than so many bytes are left."""
        while self._queue:
            with self._payloads:
                if not self._queue or 0 < self._queued - self._done <= until:
                    return
                kept = self._queue.popleft()
                self._put(kept)
                self._done += kept.size

    def _put(self, kept: _Kept) -> None:
        """Write one body, or count it as dropped."""
        try:
            self._write(kept)
        except (OSError, *_UNWRITABLE) as error:
            self._drop(kept, str(error))

    def _write(self, kept: _Kept) -> None:
        """Write one body."""
        if not self.payload_room():
            self._drop(kept, "no room")
            return
        body, redactions = self._redact(_start(kept.chunks, kept.size, kept.cut_bytes + OVERLAP))
        whole = max(kept.size, kept.head.bytes_total)  # a caller may stop keeping when it has enough
        cut = whole > kept.cut_bytes
        if cut:
            # a secret that ends beyond what was looked at was not recognised: its beginning must go as well
            unsure = OVERLAP if kept.size > kept.cut_bytes + OVERLAP else 0
            body = _whole_characters(body[: max(0, min(kept.cut_bytes, len(body) - unsure))])
        payload = msgspec.structs.replace(
            kept.head,
            body=body,
            bytes_total=whole,
            sha256=_sha256(kept.chunks) if (cut or redactions) and whole == kept.size else "",
            redactions=redactions,
        )
        frame = self._frame(kept.kind(payload))
        with self._lock:
            self._append(frame)
        if self._fsync == "always":
            with suppress(OSError):  # it is written; that it is not yet safe, `_sync` has counted and logged
                self._sync()

    def _drop(self, kept: _Kept, reason: str) -> None:
        with self._lock:
            self._dropped += 1
            first = self._dropped == 1
        if first:  # the rest is in the counter
            logger.error("journal_dropped_payload", extra={"call_id": kept.head.call_id, "reason": reason})

    # the thread

    def _run(self) -> None:
        """Gather, write, sync, look; until `close`."""
        sweep(self._folder)
        self._look()
        looked = synced = self._monotonic_ns()
        while not self._stop.is_set():
            waiting = self._dirty and self._fsync == "interval"
            self._wake.wait(_SYNC_S if waiting else _LOOK_S)
            self._wake.clear()
            self._stop.wait(_GATHER_S)
            self._stirred = False  # before the queue is emptied: whoever comes later wakes us again
            self._drain(until=0)
            now = self._monotonic_ns()
            if self._dirty and self._fsync == "interval" and now - synced >= _SYNC_S * 1e9:
                synced = now
                with suppress(OSError):  # counted and logged where it failed
                    self._sync()
            if now - looked >= _LOOK_S * 1e9:
                looked = now
                self._look()

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
            self._reserve.fill()
            room = self._reserve.room_beside()
        except OSError as error:
            with self._lock:
                self._note_full(error)
            return
        if self._full and room:
            with self._lock:
                self._full = False
            logger.info("journal_room_again")

    def _measure(self) -> None:
        """Count what the folder's segments take, by all writers."""
        sizes = [segment.size for found in segments.writers(self._folder).values() for segment in found]
        with self._lock:
            self._others = sum(sizes) - self._segment.total


def _start(chunks: Sequence[bytes], size: int, most: int) -> bytes:
    """Return the chunks joined, at most so many bytes of them."""
    if size <= most:
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    parts: list[bytes] = []
    for chunk in chunks:
        parts.append(chunk[:most])
        most -= len(chunk)
        if most <= 0:
            break
    return b"".join(parts)


def _sha256(chunks: Sequence[bytes]) -> str:
    whole = hashlib.sha256()
    for chunk in chunks:
        whole.update(chunk)
    return whole.hexdigest()


def _whole_characters(body: bytes) -> bytes:
    """Return the body without the beginning of a UTF-8 character at its end."""
    for back in range(1, min(4, len(body)) + 1):
        byte = body[-back]
        if byte < 0x80:
            return body
        if byte >= 0xC0:
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return body if back >= width else body[:-back]
    return body
