from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.gemini_array import ArraySplitter

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.sampled_from('ab"\\{}[],:é\n')),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(st.sampled_from('k"\\{}'), max_size=4), values, max_size=3)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


@given(st.lists(objects, max_size=4), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.booleans())
def test_elements_come_out_whole_however_the_bytes_arrive(elements, sizes, pretty):
    data = msgspec.json.encode(elements)
    if pretty:
        data = msgspec.json.format(data, indent=2)
    splitter = ArraySplitter()

    found = [element for piece in cut(data, sizes) for element in splitter.push(piece)]

    assert [msgspec.json.decode(element) for element in found] == elements
    assert splitter.closed


@given(st.lists(st.binary(max_size=12), max_size=5))
def test_no_bytes_at_all_make_it_fail(pieces):
    splitter = ArraySplitter()

    for piece in pieces:
        splitter.push(piece)


def test_an_array_is_not_closed_before_its_bracket():
    splitter = ArraySplitter()

    assert splitter.push(b'[{"a": [1]}\n,\r\n{"b": "]"}') == [b'{"a": [1]}', b'{"b": "]"}']
    assert not splitter.closed
    splitter.push(b"\n]")
    assert splitter.closed


def test_an_object_alone_is_the_only_element():
    splitter = ArraySplitter()

    assert splitter.push(b'{"error": {"code"') == []
    assert splitter.push(b": 400}}") == [b'{"error": {"code": 400}}']
    assert splitter.closed


@pytest.mark.parametrize("size", [1, 5, 100])
def test_an_element_over_the_limit_is_passed_over(size):
    data = b'[{"long": "' + b"x" * 50 + b'"},{"a": 1}]'
    splitter = ArraySplitter(limit=20)

    found = [element for piece in cut(data, [size]) for element in splitter.push(piece)]

    assert found[-1] == b'{"a": 1}'
    assert len(found) == (2 if size == 100 else 1)  # one that is here already costs nothing to hand on
    assert splitter.closed


def test_a_bracket_that_begins_a_line_need_not_be_the_last():
    data = b'[{"a": {"b": 1\n}, "c": 2\n},{"d": [\n{"e": 3\n}]}]'

    assert ArraySplitter().push(data) == [b'{"a": {"b": 1\n}, "c": 2\n}', b'{"d": [\n{"e": 3\n}]}']
