"""The journal against kill -9, a disk that is really full, and several threads."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from telemetry import segments
from telemetry.due import DiskFull
from telemetry.journal import Journal
from telemetry.payloads import Body
from telemetry.records import Answer, Call, Frame, Opened, Outcome, Request, Settled

ROOT = Path(__file__).parents[2]
OK = Outcome(status="ok")
DISK_MB = 4

# Says on its standard output what it was told is safe: "o<n>" once `open` has returned, "s<n>" once `settle` has.
WRITER = """
import os, sys
from pathlib import Path
from telemetry.journal import Journal
from telemetry.payloads import Body
from telemetry.records import Call, Outcome

journal = Journal(Path(sys.argv[1]), writer=sys.argv[2], segment_bytes=20_000, reserve_bytes=1 << 16)
n = 0
while True:
    call = Call(call_id=str(n), started_at_us=n, surface="openai.chat", model="m" * (n % 300))
    journal.open(call, Body("text/plain", [b"x" * (n % 3000)], n % 3000))
    os.write(1, b"o%d\\n" % n)
    journal.settle(call, Outcome(status="ok"))
    os.write(1, b"s%d\\n" % n)
    n += 1
"""


def call(call_id: str) -> Call:
    return Call(call_id=call_id, started_at_us=1, surface="openai.chat")


def body(said: bytes) -> Body:
    return Body("application/json", [said], len(said))


def batches(folder: Path) -> list[segments.Batch]:
    return [
        segments.read(segment.path, 0, limit_bytes=1 << 30)
        for own in segments.writers(folder).values()
        for segment in own
    ]


def frames(folder: Path) -> list[Frame]:
    found = batches(folder)
    assert not any(batch.bad or batch.torn for batch in found)
    return [frame for batch in found for _, frame in batch.frames]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("seed", range(10))
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), "w"], cwd=ROOT, stdout=subprocess.PIPE, bufsize=0
    )
    assert child.stdout is not None
    said = b""
    wanted = rng.randrange(1, 60_000)
    while len(said) < wanted:
        said += child.stdout.read(4096)
    own = segments.writers(tmp_path)["w"]
    assert not segments.is_dead(own)
    child.send_signal(signal.SIGKILL)
    while more := child.stdout.read(65536):
        said += more
    child.wait()
    child.stdout.close()

    own = segments.writers(tmp_path)["w"]
    assert segments.is_dead(own)
    assert [segment.seq for segment in own] == list(range(len(own)))
    found = batches(tmp_path)
    assert not any(batch.torn for batch in found[:-1])
    assert not any(batch.bad for batch in found)
    everything = [frame for batch in found for _, frame in batch.frames]
    acknowledged = said.decode().splitlines()
    opened = [int(frame.call.call_id) for frame in everything if isinstance(frame, Opened)]
    settled = [int(frame.call.call_id) for frame in everything if isinstance(frame, Settled)]
    # at most the one that was being written is there beyond what was acknowledged
    for kind, present in (("o", opened), ("s", settled)):
        safe = [int(line[1:]) for line in acknowledged if line.startswith(kind)]
        assert present in (safe, [*safe, len(safe)])
    for frame in everything:
        if isinstance(frame, Request):
            assert len(frame.payload.body) == int(frame.payload.call_id) % 3000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a file system here; the unit tests fail the writes instead")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte on the file system."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                pass
    return filler


def test_a_full_disk_refuses_calls_settles_open_ones_and_heals(disk: Path) -> None:
    journal = Journal(disk / "journal", writer="w", reserve_bytes=1 << 20, segment_bytes=1 << 16)
    try:
        until(lambda: (disk / "journal/w.reserve").stat().st_size == 1 << 20)
        filler = fill(disk)
        opened: list[str] = []
        with pytest.raises(DiskFull):  # noqa: PT012
            for number in range(10_000):
                journal.open(call(str(number)))
                opened.append(str(number))
        assert not journal.payload_room()
        already = [str(number) for number in range(100_000, 101_000)]  # as if they had been opened before
        for call_id in [*opened, *already]:
            journal.settle(call(call_id), OK, body(bytes(5000)) if call_id == "0" else None)
        journal.flush()
        status = journal.status()
        assert (status.lost, status.dropped_payloads, status.blocked) == (0, 1, True)
        found = frames(disk / "journal")
        assert [f.call.call_id for f in found if isinstance(f, Opened)] == opened
        assert [f.call.call_id for f in found if isinstance(f, Settled)] == [*opened, *already]
        assert len(found) == len(opened) * 2 + len(already)

        filler.unlink()
        until(journal.payload_room)
        journal.open(call("healed"), body(b"kept"))
        journal.settle(call("healed"), OK)
        assert (disk / "journal/w.reserve").stat().st_size == 1 << 20
    finally:
        journal.close()
    assert [type(frame) for frame in frames(disk / "journal")[-3:]].count(Request) == 1


def test_bodies_that_fill_the_disk_leave_the_reserve_to_the_settlements(disk: Path) -> None:
    journal = Journal(disk, writer="w", reserve_bytes=1 << 20)
    try:
        until(lambda: (disk / "w.reserve").stat().st_size == 1 << 20)
        journal.open(call("a"))
        for _ in range(DISK_MB * 20):
            journal.settle(call("b"), OK, body(os.urandom(100_000)))
        journal.flush()
        journal.settle(call("a"), OK)
        status = journal.status()
        assert status.dropped_payloads > 0
        assert status.lost == 0
        found = frames(disk)
        assert sum(isinstance(f, Answer) for f in found) + status.dropped_payloads == DISK_MB * 20
        assert sum(isinstance(f, Settled) for f in found) == DISK_MB * 20 + 1
        assert found[-1] == Settled(call("a"), OK)
    finally:
        journal.close()


def test_a_reader_follows_two_threads_through_many_segments_and_sees_each_frame_once(tmp_path: Path) -> None:
    calls = 3000
    journal = Journal(tmp_path, writer="w", segment_bytes=50_000, reserve_bytes=1 << 16)
    closing, done = threading.Event(), threading.Event()
    seen: list[Frame] = []
    alive: list[bool] = []

    def follow() -> None:
        offsets: dict[Path, int] = {}
        while True:
            last = done.is_set()
            for own in segments.writers(tmp_path).values():
                if not last:
                    alive.append(not segments.is_dead(own) or closing.is_set())
                for segment in own:
                    while True:
                        at = offsets.get(segment.path, 0)
                        batch = segments.read(segment.path, at, limit_bytes=10_000)
                        assert not batch.bad
                        seen.extend(frame for _, frame in batch.frames)
                        offsets[segment.path] = batch.next_offset
                        if batch.next_offset == at or not batch.frames:
                            break
            if last:
                return

    follower = threading.Thread(target=follow)
    follower.start()
    for number in range(calls):
        journal.open(call(str(number)), body(b"y" * (number % 2000)))
        journal.settle(call(str(number)), OK)
    closing.set()
    journal.close()
    done.set()
    follower.join()
    assert alive
    assert all(alive)
    assert len(seen) == 3 * calls
    assert [f.call.call_id for f in seen if isinstance(f, Opened)] == list(map(str, range(calls)))
    assert [f.payload.call_id for f in seen if isinstance(f, Request)] == list(map(str, range(calls)))
    assert len(segments.writers(tmp_path)["w"]) > 50
