from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.sse import Splitter, data_of, end_of, end_of_lines, start_of

ENDS = [b"\n", b"\r\n", b"\r"]


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


def split(chunks: list[bytes], limit: int = 1 << 20) -> list[bytes]:
    """Return the events, however the stream was cut."""
    splitter = Splitter(limit)
    found = b""
    for chunk in chunks:
        loose, block = splitter.push(chunk)
        found += loose + block
    rest = splitter.end()
    events, data = [], found + rest
    while data:
        end = end_of(data, 0)
        events.append(data[:end])
        data = data[end:]
    return events


@given(
    lines=st.lists(st.sampled_from([b"data: a", b"data: bc", b": ping", b"event: x", b""]), max_size=12),
    end=st.sampled_from(ENDS),
    sizes=st.lists(st.integers(0, 9), max_size=30),
)
def test_events_do_not_depend_on_how_the_bytes_arrive(lines, end, sizes):
    data = end.join([*lines, b"", b""])

    assert split(cut(data, sizes)) == split([data])
    assert b"".join(split([data])) == data


def test_an_event_ends_at_a_blank_line_whatever_the_line_ends():
    for end in ENDS:
        assert split([b"data: a" + end + end + b"data: b" + end + end]) == [
            b"data: a" + end + end,
            b"data: b" + end + end,
        ]


def test_a_carriage_return_may_be_half_of_a_line_end():
    splitter = Splitter()

    assert splitter.push(b"data: a\r\n\r") == (b"", b"")
    assert splitter.push(b"\ndata") == (b"", b"data: a\r\n\r\n")


def test_an_overlong_event_passes_unread_and_the_next_is_whole_again():
    splitter = Splitter(limit=10)

    assert splitter.push(b"data: 0123456789") == (b"data: 0123456789", b"")
    assert splitter.push(b"abc\n") == (b"abc\n", b"")
    assert splitter.push(b"\ndata: b\n\ndata") == (b"\n", b"data: b\n\n")
    assert splitter.push(b": c\n") == (b"", b"")
    assert splitter.end() == b"data: c\n"


def test_data_lines_are_joined_and_comments_are_nothing():
    assert data_of(b"data: one\n\n") == b"one"
    assert data_of(b": note\r\ndata:one\r\ndata:  two\r\nid: 3\r\n\r\n") == b"one\n two"
    assert data_of(b": note\n\n") == b""


def test_the_end_of_an_event_is_found_from_its_beginning():
    for end in ENDS:
        first, second = b"data: a" + end * 2, b"data: b" + end
        assert end_of(first + second, 0) == len(first)
        assert end_of(first + second, len(first)) == len(first + second)
        if end == b"\n":
            assert end_of_lines(first + second, 0) == len(first)
            assert end_of_lines(first + second, len(first)) == len(first + second)


def test_the_beginning_of_an_event_is_found_from_anywhere_in_it():
    for ends in itertools.product(ENDS, repeat=2):
        first, second = (b"data: a" + end + b"data: b" + end * 2 for end in ends)
        block = first + second
        for place in range(len(block)):
            inside = place >= len(first) + 1
            assert start_of(block, 0, place) == (len(first) if inside else 0) or place == len(first)
            assert start_of(block, len(first), max(place, len(first))) == len(first)
