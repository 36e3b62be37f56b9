from __future__ import annotations

import gzip

import pytest

from gateway.errors import BrokenAnswer
from gateway.wire.base import Finding
from gateway.wire.packed import Packed, Unpacked


class Shouting:
    """A reading that says everything in capitals, and something at the end."""

    began = True

    def __init__(self) -> None:
        self.seen = b""

    def feed(self, chunk: bytes) -> bytes:
        self.seen += chunk
        return chunk.upper()

    def end(self) -> bytes:
        return b"THE END"

    def finding(self) -> Finding:
        return Finding()


SAID = b"high water at noon, and again at midnight"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_packed_answer_goes_on_as_it_is_and_is_read(size: int) -> None:
    packed = gzip.compress(SAID)
    reading = Shouting()
    view = Packed(reading)

    passed = b"".join(view.feed(packed[i : i + size]) for i in range(0, len(packed), size)) + view.end()

    assert passed == packed
    assert reading.seen == SAID


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_unpacked_one_goes_on_as_its_reading_has_it(size: int) -> None:
    packed = gzip.compress(SAID)
    view = Unpacked(Shouting())
    kept = []

    passed = []
    for i in range(0, len(packed), size):
        passed.append(view.feed(packed[i : i + size]))
        kept.append(view.plain)
    passed.append(view.end())
    kept.append(view.plain)

    assert b"".join(passed) == b"".join(kept) == SAID.upper() + b"THE END"
    assert view.began


def test_what_is_not_packed_breaks_the_answer() -> None:
    with pytest.raises(BrokenAnswer):
        Packed(Shouting()).feed(b"plain words")
