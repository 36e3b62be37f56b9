"""Looks at a journal from outside: what lies in its folder, and whether all of it can be read.

Only files are read, so this works beside a running house as well as without one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from telemetry import segments
from telemetry.follower import Checkpoint, Counts, checkpoint_of
from telemetry.records import Call, Frame, Opened, Settled
from telemetry.segments import SegmentFile

DEAD_LETTERS = "dead-letters"
"""Folder, inside the journal's, of what no consumer would take."""

LOG = "log"
"""`Call.kind` of what was sent to us; whoever sends it twice is told so by the store, not by the journal."""

_READ_BYTES = 8 << 20
_SHOWN = 5


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the journal."""

    name: str
    writer: str
    seq: int
    size: int
    alive: bool
    """Its writer may still add to it."""
    pending: tuple[str, ...]
    """Consumers that are not done with it."""


class ConsumerState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a consumer has come."""

    name: str
    lag_bytes: int
    open_calls: int
    counts: Counts
    positions: dict[str, str]
    """By writer: segment and offset."""


class JournalState(msgspec.Struct, frozen=True, kw_only=True):
    """What `tidegate journal status` shows."""

    folder: str
    segments: list[Segment]
    consumers: list[ConsumerState]
    dead_letters: int
    size: int
    quota: int


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must be so, and what was found."""

    name: str
    ok: bool
    found: str


class CallSeen(msgspec.Struct):
    """What the segments say of one call, and what of it the consumer was given."""

    call: Call
    writer: str
    opened: bool = False
    settled: bool = False
    given_opened: bool = False
    given_settled: bool = False


class Contents(msgspec.Struct):
    """What the frames of a journal say."""

    frames: int = 0
    calls: dict[str, CallSeen] = {}
    bodies: dict[tuple[str, str], int] = {}
    """Payloads that the consumer was given, by call id and kind: when their call began."""


def state(folder: Path, consumers: tuple[str, ...], *, quota: int) -> JournalState:
    """Say what lies in the folder, and who still needs it."""
    checkpoints = {name: checkpoint_of(folder, name) for name in consumers}
    found: list[Segment] = []
    for writer, files in sorted(segments.writers(folder).items()):
        alive = not segments.is_dead(files)
        found += [
            Segment(
                name=file.path.name,
                writer=writer,
                seq=file.seq,
                size=file.size,
                alive=alive and file.seq == files[-1].seq,
                pending=tuple(name for name, at in checkpoints.items() if file.path.name not in at.done),
            )
            for file in files
        ]
    return JournalState(
        folder=str(folder),
        segments=found,
        consumers=[_consumer(name, at, found) for name, at in checkpoints.items()],
        dead_letters=sum(1 for _ in (folder / DEAD_LETTERS).glob("*.msgpack")),
        size=sum(segment.size for segment in found),
        quota=quota,
    )


def _consumer(name: str, at: Checkpoint, found: list[Segment]) -> ConsumerState:
    lag = 0
    for segment in found:
        position = at.positions.get(segment.writer)
        if name not in segment.pending or (position and segment.seq < position.seq):
            continue
        lag += segment.size - (position.offset if position and position.seq == segment.seq else 0)
    return ConsumerState(
        name=name,
        lag_bytes=max(0, lag),
        open_calls=sum(map(len, at.open.values())),
        counts=at.counts,
        positions={
            writer: f"{segments.name(writer, place.seq)}:{place.offset}"
            for writer, place in at.positions.items()
        },
    )


class Reader:
    """Reads every segment of a journal once, and keeps what is wrong with them."""

    def __init__(self, folder: Path, at: Checkpoint) -> None:
        self.contents = Contents()
        self._at = at
        self._folder = folder
        self._files = self._bytes = 0
        self._damage: list[str] = []
        self._order: list[str] = []
        self._gaps: list[str] = []
        self._beyond: list[str] = []
        self._torn: list[str] = []

    def checks(self) -> list[Check]:
        """Read all of it; say what must be so of any journal."""
        for writer, files in sorted(segments.writers(self._folder).items()):
            self._gaps += [
                f"{segments.name(writer, seq)} is missing"
                for seq in sorted({*range(files[0].seq, files[-1].seq)} - {file.seq for file in files})
            ]
            for file in files:
                self._read(file)
        torn = f"; half frames at the end of {_some(self._torn)}" if self._torn else ""
        counts = self._at.counts
        carried = sum(map(len, self._at.open.values()))
        told = f"{counts.settled} settled + {counts.interrupted} interrupted + {carried} open"
        return [
            _check("segments in sequence", self._gaps, f"{self._files} segments"),
            _check(
                "frames readable", self._damage, f"{self.contents.frames} frames, {self._bytes} bytes{torn}"
            ),
            _check("frames in order", self._order, f"{len(self.contents.calls)} calls"),
            _check("offsets within the segments", self._beyond, f"{len(self._at.positions)} writers"),
            Check(
                name="opened = settled + interrupted + open",
                ok=counts.opened == counts.settled + counts.interrupted + carried,
                found=f"{counts.opened} opened, {told}",
            ),
        ]

    def _read(self, file: SegmentFile) -> None:
        name, offset = file.path.name, 0
        given = self._given(file)
        self._files += 1
        while True:
            try:
                batch = segments.read(file.path, offset, limit_bytes=_READ_BYTES)
            except FileNotFoundError:
                return  # reclaimed while we looked
            self._damage += [f"{name} at {bad.offset}: {bad.reason}" for bad in batch.bad]
            for end, frame in batch.frames:
                self.contents.frames += 1
                self._take(file.writer, frame, given=end <= given)
            if batch.next_offset <= offset:
                break
            offset = batch.next_offset
        self._bytes += offset
        if batch.torn:
            self._torn.append(name)
        position = self._at.positions.get(file.writer)
        if position and position.seq == file.seq and position.offset > offset:
            self._beyond.append(f"{name}: delivered up to {position.offset}, readable up to {offset}")

    def _given(self, file: SegmentFile) -> int:
        """Return up to where the consumer was given this segment."""
        position = self._at.positions.get(file.writer)
        if file.path.name in self._at.done or (position and file.seq < position.seq):
            return file.size
        return position.offset if position and position.seq == file.seq else 0

    def _take(self, writer: str, frame: Frame, *, given: bool) -> None:
        contents = self.contents
        if not isinstance(frame, Opened | Settled):
            if given and not frame.payload.log_id:
                kind = type(frame).__name__.lower()
                contents.bodies[frame.payload.call_id, kind] = frame.payload.started_at_us
            return
        call = frame.call
        seen = contents.calls.get(call.call_id)
        if seen is None:
            seen = contents.calls[call.call_id] = CallSeen(call, writer)
        elif call.kind != LOG and (seen.settled or isinstance(frame, Opened)):
            self._order.append(f"{call.call_id} is {type(frame).__name__.lower()} once more")
        if isinstance(frame, Opened):
            seen.opened = True
            seen.given_opened |= given
        else:
            seen.settled = True
            seen.given_settled |= given


def _check(name: str, wrong: list[str], fine: str) -> Check:
    return Check(name=name, ok=not wrong, found=_some(wrong) if wrong else fine)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def wrong_or(name: str, wrong: dict[str, list[str]], fine: str) -> Check:
    """Return a check that fails if any of the lists names something."""
    told = [f"{len(ids)} {what}: {_some(ids)}" for what, ids in wrong.items() if ids]
    return Check(name=name, ok=not told, found="; ".join(told) or fine)


def letters(folder: Path) -> Iterator[Path]:
    """Yield the files of dead letters, oldest name first."""
    yield from sorted((folder / DEAD_LETTERS).glob("*.msgpack"))


def doubles(found: Counter[tuple[str, str]]) -> list[str]:
    """Return the call ids of what is there more than once."""
    return sorted(call_id for (call_id, _), count in found.items() if count > 1)
