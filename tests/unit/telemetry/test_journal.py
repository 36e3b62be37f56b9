"""What the journal promises its loop, with an obedient disk and a disobedient one."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from telemetry import segments
from telemetry.due import DiskFull
from telemetry.journal import AT_ONCE_BYTES, CUT_BYTES, MOST_BACKLOG, Journal, Told
from telemetry.payloads import Body
from telemetry.records import Answer, Call, Frame, Opened, Outcome, Request, Settled
from telemetry.segment_writer import SegmentWriter

OK = Outcome(status="ok")
Make = Callable[..., Journal]


def call(call_id: str = "a") -> Call:
    return Call(call_id=call_id, started_at_us=1, surface="openai.chat")


def body(*chunks: bytes) -> Body:
    return Body("application/json", chunks, sum(map(len, chunks)))


def frames(folder: Path) -> list[Frame]:
    found: list[Frame] = []
    for own in segments.writers(folder).values():
        for segment in own:
            batch = segments.read(segment.path, 0, limit_bytes=1 << 30)
            assert not batch.bad
            assert not batch.torn
            found += [frame for _, frame in batch.frames]
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Journal] = []

    def build(**changes: Any) -> Journal:
        options: dict[str, Any] = {"writer": "w", "reserve_bytes": 1 << 20, "now_ns": lambda: 7_999} | changes
        made.append(Journal(tmp_path, **options))
        return made[-1]

    yield build
    for journal in made:
        journal.close()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Let the next writes of frames fail with an errno."""
    append = SegmentWriter.append
    left: list[int] = []

    def fail(self: SegmentWriter, frames: bytes) -> None:
        if left:
            raise OSError(left.pop(), "as told")
        append(self, frames)

    monkeypatch.setattr(SegmentWriter, "append", fail)
    return lambda code, times: left.extend([code] * times)


def test_what_is_opened_and_settled_is_in_the_file_at_once(make: Make, tmp_path: Path) -> None:
    journal = make()
    journal.open(call())
    assert frames(tmp_path) == [Opened(call())]
    journal.settle(call(), OK)
    assert frames(tmp_path) == [Opened(call()), Settled(call(), OK)]
    status = journal.status()
    assert (status.frames, status.lost, status.blocked, status.last_success_us) == (2, 0, False, 7)


def test_a_settlement_tells_the_call_it_was_given_and_not_another_of_its_id(
    make: Make, tmp_path: Path
) -> None:
    journal = make()
    first, other = call(), Call(call_id="a", started_at_us=2, surface="openai.embeddings")

    journal.open(first)
    journal.settle(first, OK)
    journal.open(first)
    journal.settle(other, OK)
    journal.settle(first, OK)

    assert frames(tmp_path) == [
        Opened(first),
        Settled(first, OK),
        Opened(first),
        Settled(other, OK),
        Settled(first, OK),
    ]


def test_a_call_and_its_small_body_are_one_write(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make()
    writes: list[bytes] = []
    append = SegmentWriter.append

    def count(self: SegmentWriter, frames: bytes) -> None:
        writes.append(frames)
        append(self, frames)

    monkeypatch.setattr(SegmentWriter, "append", count)
    journal.open(call(), body(b"asked"))
    assert len(writes) == 1
    journal.settle(call(), OK, body(b"said ", b"much"))
    assert len(writes) == 2

    opened, request, settled, answer = frames(tmp_path)
    assert (opened, settled) == (Opened(call()), Settled(call(), OK))
    assert isinstance(request, Request)
    assert isinstance(answer, Answer)
    assert (request.payload.body, answer.payload.body) == (b"asked", b"said much")
    assert journal.status().frames == 4


@pytest.mark.parametrize("fsync", ["interval", "always"])
@pytest.mark.parametrize(
    ("size", "thread"), [(7, "MainThread"), (AT_ONCE_BYTES, "MainThread"), (AT_ONCE_BYTES + 1, "journal")]
)
def test_bodies_are_joined_and_written_large_ones_by_the_thread(
    make: Make, tmp_path: Path, fsync: str, size: int, thread: str
) -> None:
    journal = make(fsync=fsync)
    threads: list[str] = []
    journal._redact = lambda body: (threads.append(threading.current_thread().name), (body, 0))[1]  # type: ignore[func-returns-value]
    said = b"x" * size
    journal.open(call(), body(said[:3], said[3:]))
    journal.settle(call(), OK, body(said))
    until(lambda: (journal.status().frames, journal.status().backlog_bytes) == (4, 0))
    assert threads == [thread, thread]
    request, answer = (frame for frame in frames(tmp_path) if isinstance(frame, Request | Answer))
    assert isinstance(request, Request)
    assert (request.payload.body, request.payload.bytes_total) == (said, size)
    assert (request.payload.sha256, request.payload.redactions) == ("", 0)
    assert isinstance(answer, Answer)
    assert answer.payload.body == said


def test_secrets_are_gone_before_anything_is_on_disk(make: Make, tmp_path: Path) -> None:
    journal = make()
    journal.open(call(), body(b'{"key":"sk-ant-api03-' + b"Ab3" * 20 + b'"}'))
    _, request = frames(tmp_path)
    assert isinstance(request, Request)
    assert request.payload.body == b'{"key":"[secret:anthropic_key]"}'


def test_a_long_body_is_cut(make: Make, tmp_path: Path) -> None:
    journal = make()
    journal.settle(call(), OK, body(bytes(CUT_BYTES), b"x"))
    journal.flush()
    _, answer = frames(tmp_path)
    assert isinstance(answer, Answer)
    assert answer.payload.body == bytes(CUT_BYTES)
    assert answer.payload.bytes_total == CUT_BYTES + 1


def test_no_call_is_opened_beyond_the_quota_but_open_ones_are_settled(make: Make, tmp_path: Path) -> None:
    journal = make(quota_bytes=5000)
    opened = 0
    while journal.payload_room():
        journal.open(call(str(opened)))
        opened += 1
    with pytest.raises(DiskFull) as caught:
        journal.open(call("one too many"))
    assert caught.value.retry_after_s > 0
    assert not journal.payload_room()
    assert journal.status().blocked
    for number in range(opened):
        journal.settle(call(str(number)), OK, body(b"dropped"))
    journal.settle(call("0"), OK, body(bytes(AT_ONCE_BYTES + 1)))
    journal.flush()
    status = journal.status()
    assert (status.lost, status.dropped_payloads) == (0, opened + 1)
    found = frames(tmp_path)
    assert sum(isinstance(frame, Settled) for frame in found) == opened + 1 > 5
    assert len(found) == 2 * opened + 1


def test_bodies_may_be_dropped_so_that_calls_go_on_until_half_of_the_reserve_is_used(
    make: Make, tmp_path: Path
) -> None:
    journal = make(quota_bytes=5000, reserve_bytes=8000, when_full="drop_payloads")
    until(lambda: (tmp_path / "w.reserve").stat().st_size == 8000)
    opened = 0
    while not journal.status().blocked:
        journal.open(call(str(opened)), body(b"said"))
        opened += 1
    with pytest.raises(DiskFull):
        journal.open(call("one too many"))
    assert 9000 <= journal.status().folder_bytes < 9500
    for number in range(opened):
        journal.settle(call(str(number)), OK)
    found = frames(tmp_path)
    kept = sum(isinstance(frame, Request) for frame in found)
    status = journal.status()
    assert 0 < kept < opened == sum(isinstance(frame, Settled) for frame in found)
    assert (status.lost, status.dropped_payloads) == (0, opened - kept)


def test_on_a_full_disk_a_call_is_opened_without_its_body_if_bodies_may_be_dropped(
    make: Make, tmp_path: Path, failing: Callable[[int, int], None]
) -> None:
    journal = make(when_full="drop_payloads")
    until(lambda: (tmp_path / "w.reserve").stat().st_size > 0)
    failing(errno.ENOSPC, 1)
    journal.open(call(), body(b"no room for it"))
    assert frames(tmp_path) == [Opened(call())]
    assert (journal.status().lost, journal.status().dropped_payloads) == (0, 1)


def test_the_quota_counts_all_writers_and_sees_when_segments_went(make: Make, tmp_path: Path) -> None:
    other = tmp_path / segments.name("other", 0)
    other.write_bytes(bytes(10_000))
    journal = make(quota_bytes=5000)
    with pytest.raises(DiskFull):
        journal.open(call())
    other.unlink()
    until(journal.payload_room)
    journal.open(call())
    assert journal.status().folder_bytes < 5000


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_call_that_cannot_be_written_is_not_opened_until_there_is_room(
    make: Make, failing: Callable[[int, int], None], code: int
) -> None:
    journal = make()
    failing(code, 1)
    with pytest.raises(DiskFull):
        journal.open(call())
    with pytest.raises(DiskFull):
        journal.open(call())
    until(journal.payload_room)
    journal.open(call())


def test_a_settlement_goes_into_the_reserve_if_the_disk_is_full(
    make: Make, tmp_path: Path, failing: Callable[[int, int], None]
) -> None:
    journal = make()
    until(lambda: (tmp_path / "w.reserve").stat().st_size > 0)
    failing(errno.ENOSPC, 2)
    journal.settle(call(), OK, body(b"no room for it"))
    assert frames(tmp_path) == [Settled(call(), OK)]
    assert (journal.status().lost, journal.status().dropped_payloads) == (0, 1)
    assert (tmp_path / "w.reserve").stat().st_size < 1 << 20


def test_a_settlement_goes_into_a_new_segment_if_the_disk_fails_the_old(
    make: Make, tmp_path: Path, failing: Callable[[int, int], None]
) -> None:
    journal = make()
    failing(errno.EIO, 1)
    journal.settle(call(), OK, body(b"gone with the old one"))
    assert journal.status().dropped_payloads == 1
    assert [segment.seq for segment in segments.writers(tmp_path)["w"]] == [0, 1]
    assert frames(tmp_path) == [Settled(call(), OK)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_settlement_that_fits_nowhere_is_counted_and_logged_once(
    make: Make, failing: Callable[[int, int], None], code: int, caplog: pytest.LogCaptureFixture
) -> None:
    journal = make()
    failing(code, 1000)
    journal.settle(call(), OK)
    journal.settle(call(), OK)
    assert journal.status().lost == 2
    assert [record.message for record in caplog.records].count("journal_lost") == 1


def test_what_is_done_together_is_one_write_and_one_sync(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make(fsync="always")
    writes: list[bytes] = []
    append = SegmentWriter.append

    def count(self: SegmentWriter, frames: bytes) -> None:
        writes.append(frames)
        append(self, frames)

    monkeypatch.setattr(SegmentWriter, "append", count)
    with journal:
        for _ in range(3):
            journal.open(call(), body(b"asked"))
            journal.settle(call(), OK, body(b"said"))
        assert frames(tmp_path) == []
    assert len(writes) == 1
    assert [type(frame) for frame in frames(tmp_path)] == [Opened, Request, Settled, Answer] * 3
    assert journal.status().frames == 12


@pytest.mark.parametrize("large", [False, True])
def test_what_cannot_be_written_together_is_written_one_by_one(
    make: Make, tmp_path: Path, failing: Callable[[int, int], None], *, large: bool
) -> None:
    journal = make()
    until(lambda: (tmp_path / "w.reserve").stat().st_size > 0)
    failing(errno.ENOSPC, 2)
    said = body(b"x" * (AT_ONCE_BYTES + 1 if large else 1))
    with journal:
        refused = journal.open(call(), said)
        opened = journal.open(call(), said)
        journal.settle(call(), OK)
    assert refused.refused is not None
    assert opened.refused is None
    journal.close()
    kinds = [type(frame) for frame in frames(tmp_path) if not isinstance(frame, Request)]
    assert kinds == [Opened, Settled]
    assert journal.status().lost == 0


def test_calls_that_were_opened_together_are_refused_together_if_they_cannot_be_synced(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "as told")

    journal = make(fsync="always")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with journal:
            opened = [journal.open(call()), journal.open(call())]
    assert all(one.refused is not None for one in opened)


def test_a_settlement_msgpack_cannot_hold_is_lost_not_raised(make: Make) -> None:
    journal = make()
    huge = Call(call_id="a", started_at_us=1 << 70, surface="s")
    journal.settle(huge, OK)
    assert journal.status().lost == 1
    with pytest.raises(OverflowError):
        journal.open(huge)


def test_a_record_too_long_for_a_frame_is_refused(make: Make, tmp_path: Path) -> None:
    journal = make()
    with pytest.raises(ValueError, match="a record of"):
        journal.open(call("x" * (segments.MAX_FRAME + 1)))
    journal.open(call())
    assert frames(tmp_path) == [Opened(call())]


def test_a_body_that_cannot_be_cleaned_is_dropped_and_its_call_is_not(make: Make, tmp_path: Path) -> None:
    def clean(body: bytes) -> tuple[bytes, int]:
        if body == b"bad":
            raise ValueError("no")
        return body, 0

    journal = make(redact=clean)
    journal.open(call(), body(b"bad"))
    journal.settle(call(), OK, body(b"bad"))
    journal.open(call(), body(b"good"))
    assert journal.status().dropped_payloads == 2
    assert [type(frame) for frame in frames(tmp_path)] == [Opened, Settled, Opened, Request]


def test_a_backlog_beyond_its_limit_is_worked_off_by_the_caller(make: Make) -> None:
    entered, release = threading.Event(), threading.Event()
    by: list[str] = []

    def clean(body: bytes) -> tuple[bytes, int]:
        by.append(threading.current_thread().name)
        if by == ["journal"]:
            entered.set()
            release.wait(10)
        return body, 0

    journal = make(redact=clean, cut_bytes=10)
    journal.open(call(), body(bytes(AT_ONCE_BYTES + 1)))
    assert entered.wait(10)
    big = bytes(MOST_BACKLOG // 2)
    journal.open(call(), body(big))
    threading.Timer(0.05, release.set).start()
    journal.open(call(), body(big))
    assert journal.status().backlog_bytes <= MOST_BACKLOG
    journal.flush()
    assert journal.status().frames == 6
    assert journal.status().dropped_payloads == 0


@pytest.mark.parametrize("fsync", ["always", "interval", "off"])
def test_only_always_syncs_before_a_call_is_opened_and_nothing_for_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch, fsync: str
) -> None:
    by: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: by.append(threading.current_thread().name))
    journal = make(fsync=fsync)
    with journal:
        pass
    assert "MainThread" not in by
    journal.open(call())
    assert ("MainThread" in by) == (fsync == "always")
    if fsync == "interval":
        until(lambda: "journal" in by)


def test_after_a_failed_sync_a_new_segment_is_begun(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make(fsync="always")

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(DiskFull):
            journal.open(call("unsafe"))
    journal.settle(call("next"), OK)
    assert journal.status().sync_failures == 1
    assert len(segments.writers(tmp_path)["w"]) == 2


def test_segments_roll_and_every_frame_is_in_one_of_them(make: Make, tmp_path: Path) -> None:
    journal = make(segment_bytes=2000)
    for number in range(100):
        journal.open(call(str(number)), body(b"x" * 100))
    journal.close()
    assert len(segments.writers(tmp_path)["w"]) > 5
    found = frames(tmp_path)
    assert sorted(f.call.call_id for f in found if isinstance(f, Opened)) == sorted(map(str, range(100)))
    assert sum(isinstance(frame, Request) for frame in found) == 100


def test_close_writes_what_is_queued_and_lets_go(make: Make, tmp_path: Path) -> None:
    journal = make()
    for _ in range(50):
        journal.open(call(), body(bytes(AT_ONCE_BYTES + 1)))
    journal.close()
    journal.close()
    assert len(frames(tmp_path)) == 100
    assert segments.is_dead(segments.writers(tmp_path)["w"])
    assert not list(tmp_path.glob("*.reserve"))
    with pytest.raises(DiskFull):
        journal.open(call())
    journal.settle(call(), OK)
    assert journal.status().lost == 1


def test_calls_that_are_over_are_added_with_their_bodies_in_one_write(make: Make, tmp_path: Path) -> None:
    journal = make()
    large = body(b'{"a":"' + b"x" * AT_ONCE_BYTES + b'"}')

    journal.add([Told(call(one), OK, [("request", large), ("answer", body(b"{}"))]) for one in "ab"])

    found = frames(tmp_path)
    assert [type(frame) for frame in found] == [Settled, Request, Answer] * 2
    assert journal.status().frames == 6


def test_of_calls_that_do_not_fit_on_the_disk_none_is_added(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = make()
    write = os.write

    def short(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        with pytest.raises(DiskFull):
            journal.add([Told(call(one), OK, []) for one in "ab"])
        assert frames(tmp_path) == []
    until(journal.payload_room)
    journal.add([Told(call("c"), OK, [])])
    assert [frame.call.call_id for frame in frames(tmp_path) if isinstance(frame, Settled)] == ["c"]


def test_beyond_the_quota_nothing_is_added(make: Make, tmp_path: Path) -> None:
    journal = make(quota_bytes=1)
    with pytest.raises(DiskFull):
        journal.add([Told(call(), OK, [])])
    assert frames(tmp_path) == []
