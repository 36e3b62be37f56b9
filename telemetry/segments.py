"""Files that hold frames: how they are named, what stands in them, and how to read them.

A segment is `<writer>-<seq:08d>.seg`; a writer's segments are read in the order of `seq`. The format is frozen:

    header   "TGJ1" | u32 n | n bytes of msgpack {writer, seq, started_at_us, version}
    frame    u32 n | u32 crc32 of the payload | payload: n bytes of msgpack, one `telemetry.records.Frame`
    frame    ...

Integers are little-endian. 0 < n <= 16 MiB, so a tail of zeros (a file that grew before its blocks were
written) is no frame although the crc32 of nothing is 0.

A frame counts when its crc32 fits. After one that does not, the next is sought only where its length says it
ends, never by scanning on: the bytes between may be a client's body, and a body may hold a forged frame.

While its writer lives a segment may end in half a frame, which the next read finds whole; once `is_dead`,
read again to the end, and what is torn then stays torn.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from telemetry.records import Frame

MAGIC = b"TGJ1"
VERSION = 1
MAX_FRAME = 16 * 1024 * 1024
"""Longest payload of a frame; a length above it is damage."""
MAX_HEADER = 64 * 1024
PREFIX = struct.Struct("<II")
"""Length and crc32, before each payload."""

_LENGTH = struct.Struct("<I")
_NAME = re.compile(r"(?P<writer>.+)-(?P<seq>[0-9]{8,})\.seg", re.DOTALL)
_FRAMES = msgspec.msgpack.Decoder(Frame)


class Header(msgspec.Struct, frozen=True):
    """What stands at the beginning of a segment."""

    writer: str
    seq: int
    started_at_us: int
    version: int = VERSION


class SegmentFile(msgspec.Struct, frozen=True):
    """A segment as it was when the folder was listed."""

    path: Path
    writer: str
    seq: int
    size: int

    def size_now(self) -> int:
        """Return its size at this moment; 0 if it was reclaimed since."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0


class BadFrame(NamedTuple):
    """A stretch that is no frame though it stands between frames; `raw` is what stands there, prefix left out."""

    offset: int
    reason: str
    raw: bytes


class Batch(msgspec.Struct, frozen=True):
    """What one read found."""

    frames: list[tuple[int, Frame]]
    """End offset of each frame, and the frame."""
    next_offset: int
    """Where the next read begins: the end of the last whole frame, good or bad."""
    torn: bool
    """The file goes on after `next_offset`, but with nothing that makes a frame."""
    bad: list[BadFrame]
    """Frames that were skipped; they lie before `next_offset`."""


def name(writer: str, seq: int) -> str:
    """Return the file name of a segment."""
    return f"{writer}-{seq:08d}.seg"


def header(writer: str, seq: int, started_at_us: int) -> bytes:
    """Return the bytes a segment begins with."""
    told = msgspec.msgpack.encode(Header(writer, seq, started_at_us))
    return MAGIC + _LENGTH.pack(len(told)) + told


def writers(folder: Path) -> dict[str, list[SegmentFile]]:
    """Return the folder's segments by writer, each list in the order of `seq`; empty if there is no folder."""
    found: dict[str, list[SegmentFile]] = {}
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return found
    for entry in entries:
        named = _NAME.fullmatch(entry.name)
        if named is None:
            continue
        try:
            size = entry.stat().st_size
        except FileNotFoundError:
            continue  # reclaimed while we looked
        segment = SegmentFile(Path(entry.path), named["writer"], int(named["seq"]), size)
        found.setdefault(segment.writer, []).append(segment)
    for segments in found.values():
        segments.sort(key=lambda segment: segment.seq)
    return found


def is_dead(segments: Sequence[SegmentFile]) -> bool:
    """Say whether the writer of these segments is gone, so that nothing will be added to any of them.

    A living writer holds the lock of its newest segment, and takes the next one's before it lets go: a lock
    that is free means death only if no newer segment has appeared meanwhile.
    """
    newest = max(segments, key=lambda segment: segment.seq)
    try:
        locked = os.open(newest.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # reclaimed: the caller's list is stale
    try:
        # shared, so that two who ask at once do not take each other for the writer
        fcntl.flock(locked, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(locked)
    now = writers(newest.path.parent).get(newest.writer, [])
    return all(segment.seq <= newest.seq for segment in now)


def read(path: Path, offset: int, *, limit_bytes: int) -> Batch:
    """Read whole frames from `offset` (0: after the header), about `limit_bytes` of them, at least one if there is one.

    Never raises for what stands in the file; OSError if it cannot be opened or read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        damage: list[BadFrame] = []
        if offset == 0:
            offset, damage = _after_header(file.read(len(MAGIC) + _LENGTH.size + MAX_HEADER))
            if offset == 0:
                return Batch([], 0, torn=size > 0, bad=damage)
        window = max(limit_bytes, PREFIX.size)
        while True:
            file.seek(offset)
            data = file.read(window)
            at_end = len(data) < window or offset + window >= size
            batch = _frames(data, offset, at_end=at_end)
            if at_end or batch.next_offset > offset:
                return msgspec.structs.replace(batch, bad=damage + batch.bad) if damage else batch
            window *= 2  # the first frame is longer than that, or damaged: look further


def header_of(path: Path) -> Header | None:
    """Return what the segment says of itself, None if it does not; OSError if it cannot be read."""
    with path.open("rb") as file:
        start = file.read(len(MAGIC) + _LENGTH.size + MAX_HEADER)
    if _after_header(start)[0] == 0:
        return None
    (length,) = _LENGTH.unpack_from(start, len(MAGIC))
    fixed = len(MAGIC) + _LENGTH.size
    try:
        return msgspec.msgpack.decode(start[fixed : fixed + length], type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _after_header(start: bytes) -> tuple[int, list[BadFrame]]:
    """Return the offset of the first frame, 0 if that cannot be known, and what is wrong with the header."""
    fixed = len(MAGIC) + _LENGTH.size
    if len(start) < fixed:
        return 0, []
    (length,) = _LENGTH.unpack_from(start, len(MAGIC))
    if not start.startswith(MAGIC) or length > MAX_HEADER:
        return 0, [BadFrame(0, "not a segment", start[:fixed])]
    told = start[fixed : fixed + length]
    if len(told) < length:
        return 0, []
    try:
        version = msgspec.msgpack.decode(told, type=Header).version
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # frames prove themselves; who wrote them is in the file's name as well
        return fixed + length, [BadFrame(0, f"header: {error}", told)]
    if version != VERSION:
        return 0, [BadFrame(0, f"version {version} of the format", told)]
    return fixed + length, []


def _frames(data: bytes, base: int, *, at_end: bool) -> Batch:
    """Take the frames out of `data`, which stands at offset `base` of the file."""
    frames: list[tuple[int, Frame]] = []
    bad: list[BadFrame] = []
    doubtful: list[BadFrame] = []  # wrong crc: skipped if a good frame follows, else part of the torn tail
    view = memoryview(data)
    position = done = 0
    while len(data) - position >= PREFIX.size:
        length, crc = PREFIX.unpack_from(data, position)
        begin = position + PREFIX.size
        end = begin + length
        if not 0 < length <= MAX_FRAME or end > len(data):
            break
        payload = view[begin:end]
        if zlib.crc32(payload) != crc:
            doubtful.append(BadFrame(base + position, "crc32 does not fit", bytes(payload)))
        else:
            bad += doubtful
            doubtful = []
            done = end
            try:
                frames.append((base + end, _FRAMES.decode(payload)))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                bad.append(BadFrame(base + position, f"not a frame: {error}", bytes(payload)))
        position = end
    return Batch(frames, base + done, torn=at_end and done < len(data), bad=bad)
