"""Events arrive with any line ends, in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from gateway.translation.events import Ended, Event, Failed, TextPiece
from gateway.translation.sse_reader import SseReader


class Reader(SseReader):
    """Tells the data as words."""

    @override
    def take(self, data: bytes, events: list[Event]) -> None:
        events.append(Failed("no") if data == b"fail" else TextPiece(data.decode()))

    @override
    def is_whole(self) -> bool:
        return True


def read(stream: bytes, size: int) -> list[Event]:
    reader = Reader()
    events = [event for at in range(0, len(stream), size) for event in reader.feed(stream[at : at + size])]
    return events + reader.end()


@given(
    st.lists(st.lists(st.sampled_from(["a", "b c", "{}", "ü"]), min_size=1, max_size=3), max_size=5),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 30),
)
def test_data_is_told_whatever_ends_its_lines(data, line_end, size):
    lines = [line for event in data for line in [": note", *(f"data: {one}" for one in event), ""]]
    stream = "".join(line + line_end for line in lines).encode()

    events = read(stream, size)

    assert events == [*(TextPiece("\n".join(event)) for event in data), Ended()]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_nothing_follows_a_failure(end):
    stream = b"".join(b"data: %b%b%b" % (word, end, end) for word in (b"a", b"fail", b"b"))

    for size in (1, len(stream)):
        assert read(stream, size) == [TextPiece("a"), Failed("no")]


def test_an_event_without_an_end_is_told_at_the_end():
    assert read(b"data: a\n\ndata: b", 3) == [TextPiece("a"), TextPiece("b"), Ended()]
