"""What becomes of logs that are sent: in the journal before anybody is told so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry import segments
from telemetry.answers import Refusal
from telemetry.ingest.intake import MOST_LOGS, Intake
from telemetry.ingest.log import Reader, Sender
from telemetry.journal import Journal
from telemetry.records import Frame, Settled
from tests.fakes.books import OnePrice

SENDER = Sender("shop", "prod")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path, writer="logs-1", fsync="off", reserve_bytes=0)
    yield made
    made.close()


@pytest.fixture
def intake(journal: Journal) -> Intake:
    return Intake(journal, Reader(OnePrice(), now_us=lambda: 1_795_000_000_000_000, cut_bytes=1000))


def frames(folder: Path) -> list[Frame]:
    (files,) = segments.writers(folder).values()
    return [frame for file in files for _, frame in segments.read(file.path, 0, limit_bytes=1 << 30).frames]


def test_one_log_is_in_the_journal_when_its_taker_returns(intake: Intake, tmp_path: Path) -> None:
    results, listed = intake.take(b'{"unique_id": "a", "input": "x", "output": "y"}', SENDER)

    assert [(one.unique_id, one.status, one.error) for one in results] == [("a", "accepted", None)]
    assert not listed
    assert len(frames(tmp_path)) == 3


def test_of_a_list_the_good_ones_are_taken_and_the_others_named(intake: Intake, tmp_path: Path) -> None:
    body = b' [{"unique_id":"a"}, {"unique_id":"b","latency":-1}, 5, {"unique_id":"a","cost":9}, {}]'

    results, listed = intake.take(body, SENDER)

    assert listed
    assert [one.status for one in results] == ["accepted", "invalid", "invalid", "repeated", "accepted"]
    assert [one.unique_id for one in results[:4]] == ["a", "b", None, "a"]
    assert results[1].error is not None
    assert results[1].error.param == "latency"
    written = [frame.call.log_id for frame in frames(tmp_path) if isinstance(frame, Settled)]
    assert written == ["a", results[4].unique_id]


def test_an_empty_list_is_a_list(intake: Intake) -> None:
    assert intake.take(b"[]", SENDER) == ([], True)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b'{"cost": NaN}', 400, "invalid_json"),
        (b"[" * 9000, 400, "invalid_json"),
        (b"[" + b"{}," * MOST_LOGS + b"{}]", 413, "too_many_logs"),
    ],
)
def test_what_cannot_be_read_at_all_is_refused_whole(
    intake: Intake, tmp_path: Path, body: bytes, status: int, code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        intake.take(body, SENDER)
    assert (refused.value.status, refused.value.code) == (status, code)
    assert frames(tmp_path) == []


def test_without_room_in_the_journal_nothing_is_taken(tmp_path: Path) -> None:
    journal = Journal(tmp_path, writer="logs-1", fsync="off", reserve_bytes=0, quota_bytes=1)
    full = Intake(journal, Reader(OnePrice(), now_us=lambda: 1_795_000_000_000_000, cut_bytes=1000))
    with pytest.raises(Refusal) as refused:
        full.take(b'[{"unique_id":"a"},{"unique_id":"b","latency":-1}]', SENDER)
    assert (refused.value.status, refused.value.code) == (503, "journal_full")
    assert frames(tmp_path) == []
    journal.close()
