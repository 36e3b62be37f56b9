"""Dead letters and segments that hold something of a user."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from telemetry.delivery import DeadLetter, bury
from telemetry.records import Frame, Opened, Request, Settled
from telemetry.upkeep.erase import Theirs, rewrite_letters, segments_with
from telemetry.upkeep.forgotten import Person
from tests.fakes.ledger import SegmentWriter, call, payload, settled, whole

ADA = Person(project="p1", environment="prod", user="ada")


def letter(folder: Path, name: str, frame: Frame | None, raw: bytes = b"") -> Path:
    told = DeadLetter(reason="spans: NO: ada", at_us=1, writer="w", seq=1, offset=1, frame=frame, raw=raw)
    bury(folder / "dead-letters", name, told)
    return folder / "dead-letters" / f"{name}.msgpack"


@pytest.fixture
def theirs() -> Theirs:
    return Theirs(ADA, {call(7).call_id})


def test_letters_keep_their_money_and_lose_the_user(tmp_path: Path, theirs: Theirs) -> None:
    mine = [
        letter(tmp_path, "settled", settled(1, user_id="ada", thread_id="ada's")),
        letter(tmp_path, "opened", Opened(call(2, user_id="ada"))),
    ]
    gone = [
        letter(tmp_path, "body", Request(payload(7, b"ada said"))),
        letter(tmp_path, "heard", Request(msgspec.structs.replace(payload(8, b"ada said"), user_id="ada"))),
        letter(tmp_path, "raw", None, b"\x00ada\x00"),
    ]
    others = [
        letter(tmp_path, "bea", settled(3, user_id="bea")),
        letter(tmp_path, "elsewhere", settled(4, user_id="ada", project="p2")),
        letter(tmp_path, "noise", None, b"noise"),
    ]
    before = [path.read_bytes() for path in others]
    assert rewrite_letters(tmp_path, theirs) == 5
    assert not any(path.exists() for path in gone)
    assert [path.read_bytes() for path in others] == before
    assert not any(b"ada" in path.read_bytes() for path in mine)
    kept = msgspec.msgpack.decode(mine[0].read_bytes(), type=DeadLetter)
    assert isinstance(kept.frame, Settled)
    assert (kept.frame.call.user_id, kept.frame.outcome.cost.total_nano_usd) == ("erased", 12_345)
    assert rewrite_letters(tmp_path, theirs) == 0


def test_segments_that_hold_a_call_or_what_was_said_in_it_are_named(tmp_path: Path, theirs: Theirs) -> None:
    writer = SegmentWriter(tmp_path, "w1")
    writer.write(*whole(1, user_id="bea"))
    writer.roll()
    writer.write(*whole(2, user_id="bea"), Opened(call(3, user_id="ada")))
    writer.roll()
    writer.write(Request(payload(3, b"said later")))
    writer.roll()
    writer.write(*whole(4, user_id="bea"))
    assert sorted(file.seq for file in segments_with(tmp_path, theirs)) == [2, 3]
