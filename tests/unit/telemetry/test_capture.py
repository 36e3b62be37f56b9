"""What of the journal is handed to the memory, in what pieces, and what becomes of what it cannot take."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from telemetry.capture import MOST_BYTES, MOST_CALLS, CaptureConsumer
from telemetry.collector import Pipe
from telemetry.delivery import DeadLetter
from telemetry.follower import Follower
from telemetry.records import Answer, Opened, Payload, Request
from telemetry.store.base import StoreRefused
from tests.fakes.ledger import SegmentWriter, call, payload, settled


def now_us() -> int:
    return 5_000_000


class Mind:
    """Takes requests; is away, or refuses those of some users, when told to."""

    def __init__(self) -> None:
        self.batches: list[list[Payload]] = []
        self.away_after = -1
        self.refused: set[str] = set()

    def take(self, body: bytes) -> None:
        if len(self.batches) == self.away_after:
            raise ConnectionRefusedError
        batch = msgspec.msgpack.decode(body, type=list[Payload])
        if any(one.user_id in self.refused for one in batch):
            raise StoreRefused("no", name="refused")
        self.batches.append(batch)

    def users(self) -> list[str]:
        return [one.user_id for batch in self.batches for one in batch]


@pytest.fixture
def mind() -> Mind:
    return Mind()


@pytest.fixture
def pipe(tmp_path: Path, mind: Mind) -> Pipe:
    follower = Follower("memory", tmp_path, now_us=now_us)
    return Pipe(follower, CaptureConsumer(mind.take, tmp_path / "dead", now_us=now_us), now_us=now_us)


def said(number: int, *, size: int = 2, **changes: object) -> Request:
    """A request that may be remembered, of a user named after its number."""
    body = payload(number, b"{" + b" " * (size - 2) + b"}")
    given: dict[str, object] = {"remember": True, "user_id": f"u{number}", "thread_id": "t", **changes}
    return Request(msgspec.structs.replace(body, **given))


def test_requests_that_may_be_remembered_are_handed_over_with_who_said_them(
    tmp_path: Path, mind: Mind, pipe: Pipe
) -> None:
    SegmentWriter(tmp_path, "w1").write(
        Opened(call(1)),
        said(1),
        settled(1),
        Answer(payload(1, b"{}")),
        said(2, remember=False),
        said(3, surface="openai.embeddings"),
        said(4, surface="anthropic.messages"),
        said(5, surface="gemini.generate"),
    )
    assert pipe.step()
    assert not pipe.step()

    took = [said(1), said(4, surface="anthropic.messages"), said(5, surface="gemini.generate")]
    assert mind.batches == [[one.payload for one in took]]
    assert (pipe.status().payloads, pipe.status().dead_letters) == (3, 0)


def test_a_batch_of_the_journal_is_handed_over_in_pieces_and_in_order(
    tmp_path: Path, mind: Mind, pipe: Pipe
) -> None:
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(*(said(number) for number in range(MOST_CALLS + 1)))
    writer.write(*(said(number, size=MOST_BYTES // 2 + 1) for number in (1000, 1001)))
    writer.write(said(1002, size=2 * MOST_BYTES))
    assert pipe.step()

    assert [len(batch) for batch in mind.batches] == [MOST_CALLS, 2, 1, 1]
    assert mind.users() == [f"u{number}" for number in (*range(MOST_CALLS + 1), 1000, 1001, 1002)]


def test_what_nobody_took_is_handed_over_again(tmp_path: Path, mind: Mind, pipe: Pipe) -> None:
    SegmentWriter(tmp_path, "w1").write(*(said(number) for number in range(MOST_CALLS + 1)))
    mind.away_after = 1
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            pipe.step()
    mind.away_after = -1
    assert pipe.step()

    assert mind.users()[MOST_CALLS:] == [f"u{number}" for number in range(MOST_CALLS + 1)]
    assert not pipe.step()
    assert pipe.status().last_error == ""


def test_a_request_that_is_refused_is_buried_alone(tmp_path: Path, mind: Mind, pipe: Pipe) -> None:
    SegmentWriter(tmp_path, "w1").write(*(said(number) for number in range(20)))
    mind.refused = {"u3", "u17"}
    assert pipe.step()
    assert not pipe.step()

    assert mind.users() == [f"u{number}" for number in range(20) if number not in (3, 17)]
    letters = [
        msgspec.msgpack.decode(path.read_bytes(), type=DeadLetter) for path in (tmp_path / "dead").iterdir()
    ]
    assert len(letters) == 2
    assert all(letter.frame in (said(3), said(17)) for letter in letters)
    assert (pipe.status().payloads, pipe.status().dead_letters) == (18, 2)
