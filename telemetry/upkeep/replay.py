"""Brings what the journal still holds into the store again; what is there already stays as it is.

Only what the collector was given before: the rest it will be given yet, and then it looks nothing up.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from telemetry import segments
from telemetry.collector import Consumer
from telemetry.delivery import DeadLetter, Delivered
from telemetry.follower import MAX_ROWS, Checkpoint, Item, Plan, Work
from telemetry.records import Opened, Settled
from telemetry.segments import SegmentFile
from telemetry.upkeep.inspection import letters
from telemetry.upkeep.messages import Replayed

_READ_BYTES = 16 << 20
_letter = msgspec.msgpack.Decoder(DeadLetter)


class UnknownSegment(Exception):
    """There is no such segment; the message names it."""


def files_of(folder: Path, names: Iterable[str]) -> list[SegmentFile]:
    """Return segments by name, or by the path of a copy; raise UnknownSegment."""
    found = []
    for name in names:
        path = folder / name
        there = segments.writers(path.parent).values()
        file = next((file for files in there for file in files if file.path.name == path.name), None)
        if file is None:
            raise UnknownSegment(name)
        found.append(file)
    return sorted(found, key=lambda file: (file.writer, file.seq))


def replay_segments(files: list[SegmentFile], folder: Path, at: Checkpoint, consumer: Consumer) -> Replayed:
    """Bring these segments' frames in, as far as the collector was given them; raise StoreError or OSError."""
    done = Replayed(segments=len(files))
    opened: dict[str, Opened] = {}
    settled: set[str] = set()
    for file in files:
        items: list[Item] = []
        for item in _given(file, folder, at):
            if isinstance(item.frame, Opened):
                opened[item.frame.call.call_id] = item.frame
                continue
            if isinstance(item.frame, Settled):
                settled.add(item.frame.call.call_id)
            items.append(item)
            if len(items) >= MAX_ROWS:
                _count(done, consumer.deliver(_work(items)))
                items = []
        _count(done, consumer.deliver(_work(items)))
    # Last of all, as a settlement may stand in any of them, or in one that was not asked for.
    settled |= _settled_elsewhere(files, folder)
    carried = {call_id for calls in at.open.values() for call_id in calls}
    lost = [frame for call_id, frame in opened.items() if call_id not in settled | carried]
    _count(done, consumer.deliver(_work([], lost)))
    return done


def replay_letters(folder: Path, consumers: Mapping[str, Consumer]) -> Replayed:
    """Offer each dead letter again to whoever refused it (`store` or `memory`); raise StoreError or OSError."""
    done = Replayed()
    for path in letters(folder):
        letter = _letter.decode(path.read_bytes())
        frame = letter.frame
        consumer = consumers.get("memory" if letter.reason.startswith("memory:") else "store")
        if frame is None or consumer is None:
            done.letters_left += 1
            continue
        if isinstance(frame, Opened):
            work = _work([], [frame])
        else:
            work = _work([Item(letter.writer, letter.seq, letter.offset, frame)])
        delivered = consumer.deliver(work)
        _count(done, delivered)
        if delivered.dead:
            done.letters_left += 1
        else:
            path.unlink(missing_ok=True)
            done.letters_settled += 1
    return done


def _given(file: SegmentFile, folder: Path, at: Checkpoint) -> Iterator[Item]:
    """Yield the frames of a segment that the collector was given."""
    position = at.positions.get(file.writer)
    living = segments.writers(folder).get(file.writer)
    if file.path.name in at.done or (position and file.seq < position.seq) or not (position or living):
        end = file.size  # a copy of a segment that is gone was given all of it
    elif position and position.seq == file.seq:
        end = position.offset
    else:
        return
    offset = 0
    while True:
        batch = segments.read(file.path, offset, limit_bytes=_READ_BYTES)
        for place, frame in batch.frames:
            if place <= end:
                yield Item(file.writer, file.seq, place, frame)
        if batch.next_offset <= offset:
            return
        offset = batch.next_offset


def _settled_elsewhere(files: list[SegmentFile], folder: Path) -> set[str]:
    """Return what the same writers settled in segments that are not among these."""
    found: set[str] = set()
    asked = {file.path.name for file in files}
    writers = {file.writer for file in files}
    for writer, others in segments.writers(folder).items():
        for other in others if writer in writers else ():
            if other.path.name in asked:
                continue
            everything = Checkpoint(done={other.path.name: 0})
            found |= {
                item.frame.call.call_id
                for item in _given(other, folder, everything)
                if isinstance(item.frame, Settled)
            }
    return found


def _count(done: Replayed, delivered: Delivered) -> None:
    done.spans += delivered.spans
    done.payloads += delivered.payloads
    done.dead += delivered.dead


def _work(items: list[Item], lost: list[Opened] | None = None) -> Work:
    """Return a batch that somebody may have delivered long ago, so that it is looked up first."""
    plan = Plan(batch=uuid.uuid4().hex, planned_at_us=0, ranges=(), interrupted=())
    return Work(plan=plan, fresh=False, items=items, interrupted=lost or [], damage=[], after=Checkpoint())
