"""Follows every segment of a journal for one consumer, so that each frame is delivered exactly once.

Two small files beside the segments carry the promise over a kill -9:

* `<name>.checkpoint`  what is delivered: an offset per writer, and the calls opened but not yet settled
* `<name>.plan`        what is being delivered: exact byte ranges, interrupted calls, the batch's id

next() plans (or finds the plan of a predecessor and rebuilds the very same batch), the consumer
delivers, commit() moves the checkpoint and then removes the plan.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from telemetry import segments
from telemetry.records import Frame, Opened, Settled
from telemetry.segments import BadFrame, SegmentFile

MAX_ROWS = 10_000
MAX_BYTES = 32 * 1024 * 1024

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Position(msgspec.Struct, frozen=True):
    """Where reading a writer goes on."""

    seq: int
    offset: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Since the journal began: `opened = settled + interrupted + open`, always."""

    opened: int = 0
    settled: int = 0
    """Of those that were opened."""
    interrupted: int = 0
    unopened: int = 0
    """Settled without having been opened: refused before a provider was asked."""
    payloads: int = 0
    bad: int = 0
    """Stretches of a segment that are no frame."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer has been given."""

    positions: dict[str, Position] = {}
    open: dict[str, dict[str, Opened]] = {}
    """By writer and call id: carried until they are settled or their writer is dead."""
    done: dict[str, int] = {}
    """Segments that hold nothing more for this consumer, and since when (microseconds)."""
    batch: str = ""
    """The last one delivered."""
    counts: Counts = Counts()


class Range(msgspec.Struct, frozen=True):
    """A stretch of one segment."""

    writer: str
    seq: int
    start: int
    end: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A batch, named exactly."""

    batch: str
    planned_at_us: int
    ranges: tuple[Range, ...]
    interrupted: tuple[tuple[str, str], ...]
    """(writer, call id) of opened calls whose writer is dead."""
    done: tuple[str, ...] = ()
    """Segments that hold nothing more after this batch."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """A frame, and where it ends."""

    writer: str
    seq: int
    end: int
    frame: Frame


class Damage(msgspec.Struct, frozen=True):
    """A stretch that is no frame, and where it begins."""

    writer: str
    seq: int
    bad: BadFrame


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A planned batch with its content, and the checkpoint to move to when it is delivered."""

    plan: Plan
    fresh: bool
    """Nobody has tried to deliver it yet."""
    items: list[Item]
    interrupted: list[Opened]
    damage: list[Damage]
    after: Checkpoint


class _Found(msgspec.Struct):
    """A plan's content, as it is read."""

    items: list[Item] = []
    damage: list[Damage] = []


class _Listed(msgspec.Struct, frozen=True):
    """What the folder held when it last changed."""

    changed_ns: int = 0
    checkpoint: Checkpoint = Checkpoint()
    pending: dict[str, list[SegmentFile]] = {}


class Follower:
    """One consumer's place in a journal. Not for several threads at once."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        now_us: Callable[[], int],
        max_rows: int = MAX_ROWS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.name = name
        self.folder = folder
        self._now_us = now_us
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._checkpoint_path = folder / f"{name}.checkpoint"
        self._plan_path = folder / f"{name}.plan"
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = checkpoint_of(folder, name)
        self._listed = _Listed()
        self._turn = 0

    def backlog(self) -> int:
        """Return how many bytes of the journal lie behind the checkpoint.

        It is asked many times a second, so it lists the folder only when that or the checkpoint changed. A segment
        that appears within the clock tick of another change may go unnoticed by this, never by `next`.
        """
        checkpoint, listed, total = self.checkpoint, self._listed, 0
        try:
            changed_ns = self.folder.stat().st_mtime_ns
        except FileNotFoundError:
            return 0
        if listed.changed_ns != changed_ns or listed.checkpoint is not checkpoint:
            listed = self._listed = _Listed(changed_ns, checkpoint, self._pending())
        for writer, files in listed.pending.items():
            at = checkpoint.positions.get(writer, Position(0, 0))
            for file in files:
                if file.seq >= at.seq:
                    size = file.size_now() if file is files[-1] else file.size
                    total += size - (at.offset if file.seq == at.seq else 0)
        return max(0, total)

    def next(self) -> Work | None:
        """Return the batch to deliver now, or None if there is nothing new."""
        left = _load(self._plan_path, Plan)
        if left is not None and left.batch != self.checkpoint.batch:
            found = _Found()
            for stretch in left.ranges:
                _read_range(self.folder, stretch, found)
            return self._work(left, found, fresh=False)
        if left is not None:  # killed after the checkpoint had moved
            self._plan_path.unlink(missing_ok=True)
        plan, found, ended = self._look()
        if not plan.ranges and not plan.interrupted:
            self._settle_down(plan, ended)
            return None
        write_whole(self._plan_path, msgspec.json.encode(plan))
        return self._work(plan, found, fresh=True)

    def commit(self, work: Work) -> None:
        """Say that the batch is delivered."""
        self._save(work.after)
        self._plan_path.unlink(missing_ok=True)
        _sync(self.folder)

    def forget(self, names: set[str]) -> None:
        """Drop what is known of segments whose files are gone."""
        there = segments.writers(self.folder)
        positions = {writer: at for writer, at in self.checkpoint.positions.items() if writer in there}
        done = {name: since for name, since in self.checkpoint.done.items() if name not in names}
        self._save(msgspec.structs.replace(self.checkpoint, positions=positions, done=done))

    def _look(self) -> tuple[Plan, _Found, dict[str, Position]]:
        """Plan the next batch; also return its content, and where each writer ends."""
        first = self._pending()
        # Who is dead now writes nothing after this line: what is read below is all there will ever be.
        dead = {writer for writer, files in first.items() if segments.is_dead(files)}
        there = self._pending()
        ranges: list[Range] = []
        found = _Found()
        # No file is left of these, so nobody will settle what they opened.
        lost = [
            (writer, call_id)
            for writer, calls in self.checkpoint.open.items()
            if writer not in there
            for call_id in calls
        ]
        ended: dict[str, Position] = {}
        done: list[str] = []
        rows, room = 0, self._max_bytes
        self._turn += 1
        for writer in _from(sorted(there), self._turn):
            if rows >= self._max_rows or room <= 0:
                break
            files = there[writer]
            reading = _Reading(writer, files, self.checkpoint.positions.get(writer), found)
            room -= reading.go(room, self._max_rows - rows)
            rows += reading.rows
            ranges += reading.ranges
            done += [segments.name(writer, seq) for seq in reading.passed]
            if reading.at_end and writer in dead:
                done.append(files[-1].path.name)
                still = {**self.checkpoint.open.get(writer, {}), **reading.opened}
                lost += [(writer, call_id) for call_id in still if call_id not in reading.settled]
            if reading.position is not None:
                ended[writer] = reading.position
        plan = Plan(
            batch=uuid.uuid4().hex,
            planned_at_us=self._now_us(),
            ranges=tuple(ranges),
            interrupted=tuple(lost),
            done=tuple(done),
        )
        return plan, found, ended

    def _pending(self) -> dict[str, list[SegmentFile]]:
        """Return the segments that may still hold something."""
        pending: dict[str, list[SegmentFile]] = {}
        for writer, files in segments.writers(self.folder).items():
            left = [file for file in files if file.path.name not in self.checkpoint.done]
            if left:
                pending[writer] = left
        return pending

    def _settle_down(self, plan: Plan, ended: dict[str, Position]) -> None:
        """Remember how far we looked without finding a frame to deliver."""
        moved = {writer: at for writer, at in ended.items() if self.checkpoint.positions.get(writer) != at}
        if plan.done or moved:
            self._save(_advance(self.checkpoint, plan, moved))

    def _work(self, plan: Plan, found: _Found, *, fresh: bool) -> Work:
        """Fold the plan's content into the checkpoint."""
        items, damage = found.items, found.damage
        moved = {stretch.writer: Position(stretch.seq, stretch.end) for stretch in plan.ranges}
        folded = _advance(_fold(self.checkpoint, items), plan, moved)
        lost: list[Opened] = []
        for writer, call_id in plan.interrupted:
            opened = folded.open.get(writer, {}).pop(call_id, None)
            if opened is not None:
                lost.append(opened)
        after = msgspec.structs.replace(
            folded,
            batch=plan.batch,
            open={writer: calls for writer, calls in folded.open.items() if calls},
            counts=msgspec.structs.replace(
                folded.counts,
                interrupted=folded.counts.interrupted + len(lost),
                bad=folded.counts.bad + len(damage),
            ),
        )
        return Work(plan=plan, fresh=fresh, items=items, interrupted=lost, damage=damage, after=after)

    def _save(self, checkpoint: Checkpoint) -> None:
        write_whole(self._checkpoint_path, msgspec.json.encode(checkpoint))
        self.checkpoint = checkpoint


class _Reading:
    """One look at what a writer wrote since the checkpoint."""

    def __init__(self, writer: str, files: list[SegmentFile], at: Position | None, found: _Found) -> None:
        self.position = at
        self.ranges: list[Range] = []
        self.rows = 0
        self.opened: dict[str, None] = {}
        self.settled: set[str] = set()
        self.passed = [file.seq for file in files if at is not None and file.seq < at.seq]
        self.at_end = False
        self._all = found
        self._found = False
        self._writer = writer
        self._files = [file for file in files if at is None or file.seq >= at.seq]

    def go(self, room: int, rows: int) -> int:
        """Read at most about `room` bytes that make at most `rows` rows; return the bytes."""
        taken = 0
        for index, file in enumerate(self._files):
            start = self.position.offset if self.position and self.position.seq == file.seq else 0
            offset = start
            while taken < room and self.rows < rows:
                batch = segments.read(file.path, offset, limit_bytes=room - taken)
                end = self._take(batch, file.seq, rows)
                taken += end - offset
                if end == offset:
                    break
                offset = end
            else:
                self._mark(file.seq, start, offset)
                return taken
            self._mark(file.seq, start, offset)
            if index + 1 < len(self._files):
                self.passed.append(file.seq)
        self.at_end = True
        return taken

    def _take(self, batch: segments.Batch, seq: int, rows: int) -> int:
        """Take the frames that still fit; return where to go on."""
        self._found |= bool(batch.frames or batch.bad)
        stop = batch.next_offset
        for end, frame in batch.frames:
            self._all.items.append(Item(self._writer, seq, end, frame))
            if isinstance(frame, Opened):
                self.opened[frame.call.call_id] = None
                continue
            self.rows += 1
            if isinstance(frame, Settled):
                self.settled.add(frame.call.call_id)
            if self.rows >= rows:
                stop = end
                break
        self._all.damage += [Damage(self._writer, seq, bad) for bad in batch.bad if bad.offset < stop]
        return stop

    def _mark(self, seq: int, start: int, end: int) -> None:
        self.position = Position(seq, end)
        if end > start and self._found:
            self.ranges.append(Range(self._writer, seq, start, end))
        self._found = False


def _read_range(folder: Path, stretch: Range, found: _Found) -> None:
    writer, seq = stretch.writer, stretch.seq
    path = folder / segments.name(writer, seq)
    offset = stretch.start
    while offset < stretch.end:
        try:
            batch = segments.read(path, offset, limit_bytes=stretch.end - offset)
        except FileNotFoundError:
            logger.error("segment_missing", extra={"segment": path.name})  # noqa: TRY400  # no trace needed
            return
        found.items += [Item(writer, seq, end, frame) for end, frame in batch.frames if end <= stretch.end]
        found.damage += [Damage(writer, seq, bad) for bad in batch.bad if bad.offset < stretch.end]
        if batch.next_offset <= offset:
            return
        offset = batch.next_offset


def _from(names: list[str], turn: int) -> list[str]:
    """Return the names beginning with another one each turn, so that a busy writer cannot starve the rest."""
    start = turn % len(names) if names else 0
    return names[start:] + names[:start]


def _advance(before: Checkpoint, plan: Plan, moved: dict[str, Position]) -> Checkpoint:
    return msgspec.structs.replace(
        before,
        positions={**before.positions, **moved},
        done={**before.done, **dict.fromkeys(plan.done, plan.planned_at_us)},
    )


def _fold(before: Checkpoint, items: list[Item]) -> Checkpoint:
    """Carry opened calls from the checkpoint through the frames."""
    open_calls = {writer: dict(calls) for writer, calls in before.open.items()}
    opened = settled = unopened = payloads = 0
    for item in items:
        calls = open_calls.setdefault(item.writer, {})
        if isinstance(item.frame, Opened):
            calls[item.frame.call.call_id] = item.frame
            opened += 1
        elif isinstance(item.frame, Settled):
            known = calls.pop(item.frame.call.call_id, None) is not None
            settled += known
            unopened += not known
        else:
            payloads += 1
    counts = msgspec.structs.replace(
        before.counts,
        opened=before.counts.opened + opened,
        settled=before.counts.settled + settled,
        unopened=before.counts.unopened + unopened,
        payloads=before.counts.payloads + payloads,
    )
    return msgspec.structs.replace(before, open=open_calls, counts=counts)


def reclaim(followers: list[Follower], *, keep_s: float, now_us: int) -> Iterator[Path]:
    """Delete segments that every follower was done with `keep_s` ago; yield what went."""
    folder = followers[0].folder
    gone: set[str] = set()
    for files in segments.writers(folder).values():
        for file in files:
            since = [follower.checkpoint.done.get(file.path.name) for follower in followers]
            known = [moment for moment in since if moment is not None]
            if len(known) == len(since) and max(known) + keep_s * 1e6 <= now_us:
                file.path.unlink(missing_ok=True)
                gone.add(file.path.name)
                yield file.path
    if gone:
        _sync(folder)
        for follower in followers:
            follower.forget(gone)


def checkpoint_of(folder: Path, name: str) -> Checkpoint:
    """Return how far a consumer has come, whoever runs it."""
    return _load(folder / f"{name}.checkpoint", Checkpoint) or Checkpoint()


def _load(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file so that after a power cut either the old or the new one is there, whole."""
    written = path.with_name(f"{path.name}.new")
    with written.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
