"""Appends to one writer's segments, and keeps some of the disk back for what must still be written.

Nothing here is safe to call from two threads at once unless it says so; the journal holds its lock meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from telemetry import segments

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_ROOM = f"{os.strerror(errno.ENOSPC)} (short write)"
RESERVE_STEP = 256 * 1024
"""The reserve is given up in steps of this size, so that others on a full disk find little to take."""


class SegmentWriter:
    """One writer's segments; the newest is open, locked, and ends with a whole frame."""

    def __init__(self, folder: Path, writer: str, *, segment_bytes: int, now_ns: Callable[[], int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._writer = writer
        self._segment_bytes = segment_bytes
        self._now_ns = now_ns
        self._seq = -1
        self._fd = -1
        self._begun = self._first = self._until = self._rolled_ns = 0
        """`total` before the current segment and with its header, and how far it may grow: -1 if the disk has failed it."""
        self._spoilt = self._closed = False
        self._retired: list[int] = []
        self._new_names = False
        self.total = 0
        """Bytes written by this writer, in all its segments."""
        try:
            self._roll()
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            self._wait_for_room()

    def append(self, frames: bytes) -> None:
        """Write whole frames, all or none; OSError if that failed, ENOSPC after a short write."""
        size = len(frames)
        if self.total + size > self._until:
            self._make_room()
        if os.write(self._fd, frames) < size:
            self._cut()
            raise OSError(errno.ENOSPC, _NO_ROOM)
        self.total += size

    def renew(self, max_age_s: float) -> bool:
        """Go on in a new segment if this one holds frames and began so long ago; OSError if that failed."""
        old = self._now_ns() - self._rolled_ns >= max_age_s * 1e9
        if not old or self.total == self._first or self._closed or self._spoilt:
            return False
        self._roll()
        return True

    def spoil(self) -> None:
        """Never write to the current segment again: the disk has failed it."""
        self._spoilt = True
        self._until = -1

    def _make_room(self) -> None:
        """Go on in a new segment; a full one that cannot be followed can still be written to."""
        if self._closed:
            raise OSError(errno.EBADF, "closed")
        if self._spoilt or self.total > self._first:
            try:
                self._roll()
            except OSError:
                if self._spoilt:
                    raise

    def _cut(self) -> None:
        """Cut the segment back to its last whole frame."""
        try:
            os.ftruncate(self._fd, self.total - self._begun)
        except OSError:
            self.spoil()  # half a frame may stand only at a segment's very end

    def _roll(self) -> None:
        """Go on in a new segment, which is locked and has its header before anyone can see it."""
        start = segments.header(self._writer, self._seq + 1, self._now_ns() // 1000)
        path = self._folder / segments.name(self._writer, self._seq + 1)
        hidden = path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        made = os.open(hidden, flags, 0o600)
        try:
            fcntl.flock(made, fcntl.LOCK_EX)
            if os.write(made, start) < len(start):
                raise OSError(errno.ENOSPC, _NO_ROOM)
            hidden.rename(path)
        except OSError:
            os.close(made)
            hidden.unlink(missing_ok=True)
            raise
        if self._fd >= 0:
            self._retired.append(self._fd)  # keeps its lock until `finish`, after the new one has its own
        self._fd = made
        self._rolled_ns = self._now_ns()
        self._seq += 1
        self._begun = self.total
        self._until = self._begun + self._segment_bytes
        self.total = self._first = self._begun + len(start)
        self._spoilt = False
        self._new_names = True

    def _wait_for_room(self) -> None:
        """Begin without a segment, as a disk that is full now need not be so at the next frame.

        The folder's own descriptor stands in: it can be synced and closed, and is never written to.
        """
        self.spoil()
        self._fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def unsynced(self) -> tuple[int, list[int], bool]:
        """Return the current descriptor, the older ones (to sync and `finish`), and whether to sync the folder."""
        retired, self._retired = self._retired, []
        new_names, self._new_names = self._new_names, False
        return self._fd, retired, new_names

    def close(self) -> None:
        """Let go of the segments."""
        for descriptor in (*self._retired, self._fd):
            os.close(descriptor)
        self._retired = []
        self._fd = self._until = -1
        self._closed = True


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Reserve:
    """Disk space kept allocated. Safe to fill in one thread and give up in another: the file is what counts."""

    def __init__(self, folder: Path, writer: str, size: int) -> None:
        self._path = folder / f"{writer}.reserve"
        self._target = size
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @property
    def size(self) -> int:
        """How much is allocated now."""
        return os.fstat(self._fd).st_size

    def fill(self) -> None:
        """Allocate what is missing; OSError if the disk has not got it."""
        size = os.fstat(self._fd).st_size
        if size >= self._target:
            return
        try:
            os.posix_fallocate(self._fd, 0, self._target)
        except OSError:
            os.ftruncate(self._fd, size)
            raise

    def give_up_some(self) -> bool:
        """Return a step of the reserve to the disk; False if there is nothing left."""
        size = os.fstat(self._fd).st_size
        if size == 0:
            return False
        os.ftruncate(self._fd, max(0, size - RESERVE_STEP))
        return True

    def room_beside(self) -> bool:
        """Say whether the disk has more free than another writer's step, which is not for us."""
        disk = os.fstatvfs(self._fd)
        return disk.f_bavail * disk.f_frsize >= min(4 * RESERVE_STEP, self._target)

    def close(self) -> None:
        """Give all of it up."""
        os.close(self._fd)
        self._fd = -1  # the number may soon be another file's
        self._path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove the reserves that dead writers left behind."""
    living = segments.writers(folder)
    for path in folder.glob("*.reserve"):
        theirs = living.get(path.stem)
        if theirs is None or segments.is_dead(theirs):
            path.unlink(missing_ok=True)
