from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.base import Finding, Reading
from gateway.wire.gemini_stream import ArrayReading, EventsReading
from tests.fakes import gemini as fake


def as_events(said: list[dict[str, Any]]) -> bytes:
    return b"".join(fake.line(event) for event in said)


def as_array(said: list[dict[str, Any]]) -> bytes:
    return b"".join(fake.array(said))


KINDS = [
    pytest.param(EventsReading, as_events, id="events"),
    pytest.param(ArrayReading, as_array, id="array"),
]
Make = Callable[[], Reading]
Render = Callable[[list[dict[str, Any]]], bytes]


def read(make: Make, data: bytes, size: int = 1 << 20) -> Finding:
    reading = make()
    for at in range(0, len(data), size):
        assert reading.feed(data[at : at + size]) == data[at : at + size]
    assert reading.end() == b""
    return reading.finding()


@pytest.mark.parametrize(("make", "render"), KINDS)
@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_a_stream_is_read_the_same_in_any_pieces(make: Make, render: Render, size: int) -> None:
    finding = read(make, render(fake.events()), size)

    assert finding.complete
    assert (finding.finish_reason, finding.response_model, finding.response_id) == (
        "STOP",
        fake.MODEL,
        "resp-1",
    )
    assert msgspec.json.decode(finding.raw_usage) == fake.USAGE
    assert finding.usage is not None
    assert finding.usage.output_reasoning == 40
    assert not finding.output_uncounted


@pytest.mark.parametrize(("make", "render"), KINDS)
def test_a_stream_that_lacks_its_last_event_is_not_complete(make: Make, render: Render) -> None:
    finding = read(make, render(fake.events()[:3]))

    assert not finding.complete
    assert finding.usage is not None
    assert finding.usage.output_text == 5
    assert not finding.output_uncounted


@pytest.mark.parametrize(("make", "render"), KINDS)
def test_a_stream_that_broke_off_before_it_counted_its_words_says_so(make: Make, render: Render) -> None:
    finding = read(make, render(fake.events()[:1]))

    assert (finding.complete, finding.output_uncounted) == (False, True)


def test_an_array_is_complete_only_with_its_bracket() -> None:
    data = as_array(fake.events())

    assert not read(ArrayReading, data[:-1]).complete
    assert read(ArrayReading, data).complete


def test_the_last_event_needs_no_blank_line() -> None:
    assert read(EventsReading, as_events(fake.events()).rstrip()).complete


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_lines_may_end_in_any_way(end: bytes) -> None:
    data = as_events(fake.events()).replace(b"\r\n\r\n", end)

    assert read(EventsReading, b": hello" + end + data, 50).finish_reason == "STOP"


@pytest.mark.parametrize(("make", "render"), KINDS)
def test_what_a_function_is_called_with_decides_nothing(make: Make, render: Render) -> None:
    finding = read(make, render([fake.response([fake.CALL])]))

    assert (finding.complete, finding.finish_reason, finding.error) == (False, "", "")


@pytest.mark.parametrize(("make", "render"), KINDS)
def test_every_candidate_must_finish(make: Make, render: Render) -> None:
    first = fake.response([{"text": "a"}], "STOP")
    second = {"candidates": [{"index": 1, "content": {"parts": [{"text": "b"}]}}]}
    third = {"candidates": [{"index": 1, "finishReason": "SAFETY"}]}

    assert not read(make, render([first, second])).complete
    finding = read(make, render([second, first, third]))
    assert (finding.complete, finding.finish_reason) == (True, "STOP")


@pytest.mark.parametrize(("make", "render"), KINDS)
def test_a_blocked_prompt_ends_a_stream(make: Make, render: Render) -> None:
    finding = read(make, render([{"promptFeedback": {"blockReason": "OTHER"}, "usageMetadata": fake.PROMPT}]))

    assert (finding.complete, finding.finish_reason) == (True, "OTHER")
    assert finding.usage is not None
    assert finding.usage.input_total == 30


@pytest.mark.parametrize(("make", "render"), KINDS)
def test_an_error_inside_a_stream_is_told(make: Make, render: Render) -> None:
    sick = {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}

    assert read(make, render([fake.events()[0], sick])).error == "Overloaded."


@pytest.mark.parametrize(("make", "render"), KINDS)
@pytest.mark.parametrize(
    ("part", "begins"),
    [
        ({"text": ""}, False),
        ({"thoughtSignature": "Cg=="}, False),
        ({"text": "a"}, True),
        (fake.CALL, True),
        ({"inlineData": {"mimeType": "image/png", "data": "AA=="}}, True),
    ],
)
def test_an_answer_begins_with_its_first_content(
    make: Make,
    render: Render,
    part: dict[str, Any],
    begins: bool,  # noqa: FBT001
) -> None:
    reading = make()
    reading.feed(render([fake.response([part])]))

    assert reading.began is begins


@pytest.mark.parametrize(("make", "render"), KINDS)
def test_a_large_picture_does_not_hide_the_end(make: Make, render: Render) -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": "A" * (3 << 20)}}

    assert read(make, render([fake.response([picture], "STOP")]), 1 << 16).complete


def test_counts_of_vertex_that_come_only_at_the_end_are_found() -> None:
    early = fake.response([{"text": "a"}], usageMetadata={"trafficType": "ON_DEMAND"})

    assert read(EventsReading, as_events([early])).usage is None
    finding = read(EventsReading, as_events([early, *fake.events()[-1:]]))
    assert finding.usage is not None


@pytest.mark.parametrize("make", [EventsReading, ArrayReading])
@given(data=st.data())
def test_no_bytes_make_a_reading_fail(make: Make, data: st.DataObject) -> None:
    text = st.text(st.sampled_from('{}[]":,\\a1\r\n '), max_size=20)
    odd = text.map(str.encode) | st.sampled_from(
        [b"data: ", b'{"candidates":[{"index":[]}]}', b'"error":1', b'"finishReason":2', b"\xff", b"\n\n"]
    )

    read(make, b"".join(data.draw(st.lists(odd, max_size=8))), data.draw(st.integers(1, 9)))
