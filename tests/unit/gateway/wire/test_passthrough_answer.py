from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.wire import passthrough_answer
from gateway.wire.base import Finding
from gateway.wire.passthrough_answer import Due, PassedDocument, PassedStream
from telemetry.records import Usage
from tests.fakes import passthrough as fake


def read(document: Any, *, due: Due = "untold", size: int = 0) -> Finding:
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    reading = PassedDocument("other", due)
    size = size or len(body) or 1
    for at in range(0, len(body), size):
        assert reading.feed(body[at : at + size]) == body[at : at + size]
    assert reading.end() == b""
    return reading.finding()


@pytest.mark.parametrize("size", [1, 7, 0])
@pytest.mark.parametrize(
    ("document", "usage"),
    [
        (fake.PICTURE, Usage(input_uncached=10, input_image=40, output_image=1056)),
        (fake.HEARD, Usage(input_uncached=4, input_audio=10, output_text=6)),
        ({"usage": {"input_tokens": 3, "output_tokens": 9}}, Usage(input_uncached=3, output_text=9)),
        ({"usage": {"prompt_tokens": 3, "total_tokens": 3}}, Usage(input_uncached=3)),
        ({"usage": {"total_tokens": 150}}, Usage(input_uncached=150)),
        (
            {"usage": {"input_tokens": 1, "output_tokens": 9, "output_token_details": {"audio_tokens": 7}}},
            Usage(input_uncached=1, output_text=2, output_audio=7),
        ),
        (
            {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}},
            Usage(input_uncached=5, output_text=2),
        ),
        (
            {"meta": {"billed_units": {"input_tokens": 6, "output_tokens": 1}}},
            Usage(input_uncached=6, output_text=1),
        ),
    ],
)
def test_what_was_used_is_read_in_disjoint_buckets(document, usage, size):
    finding = read(document, size=size)

    assert (finding.usage, finding.complete) == (usage, True)
    assert finding.raw_usage in msgspec.json.encode(document)


@pytest.mark.parametrize(
    ("document", "raw"),
    [
        (fake.TIMED, b'{"type":"duration","seconds":12}'),
        (fake.RANKED, b'{"search_units":1}'),
        ({"usage": {"total_tokens": -1}}, b'{"total_tokens":-1}'),
        ({"usage": {"total_tokens": 1 << 60}}, b'{"total_tokens":1152921504606846976}'),
    ],
)
def test_other_units_are_kept_as_they_are_told(document, raw):
    finding = read(document)

    assert (finding.usage, finding.raw_usage) == (None, raw)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"plain text",
        b"{",
        b"[1]",
        {"usage": None},
        {"usage": []},
        {"usage": "x"},
        {"meta": 1},
        {"meta": {}},
    ],
)
def test_what_tells_nothing_tells_nothing(document):
    finding = read(document)

    assert (finding.usage, finding.raw_usage, finding.complete) == (None, b"", True)


def test_what_was_counted_before_is_not_counted_again():
    finding = read({"id": "c-1", "model": "m", "usage": {"prompt_tokens": 1}}, due="elsewhere")

    assert (finding.usage, finding.raw_usage, finding.usage_due) == (None, b"", "elsewhere")
    assert (finding.response_id, finding.response_model) == ("c-1", "m")


def test_a_document_that_is_too_long_passes_unread(monkeypatch):
    monkeypatch.setattr(passthrough_answer, "MOST_READ", 100)

    assert read({"pad": "x" * 100, "usage": {"total_tokens": 1}}, size=10).usage is None
    assert read({"usage": {"total_tokens": 1}}, size=10).usage is not None


def test_an_answer_that_has_not_ended_is_not_complete():
    reading = PassedDocument("other", "untold")
    before = reading.began
    reading.feed(b"{")

    assert (before, reading.began) == (False, True)
    assert not reading.finding().complete


EVENTS = [
    b'event: a\ndata: {"type":"image_generation.partial_image","b64_json":"aa"}\n\n',
    b"data: " + msgspec.json.encode({"id": "x", "usage": None}) + b"\n\n",
    b"data: " + msgspec.json.encode(fake.PAINTED) + b"\n\n",
    b"data: [DONE]\n\n",
]


@pytest.mark.parametrize("size", [1, 5, 10_000])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_the_last_event_that_tells_usage_counts(size, ending):
    stream = b"".join(EVENTS).replace(b"\n", ending)
    reading = PassedStream("images.generations", "untold")
    out = b"".join(reading.feed(stream[at : at + size]) for at in range(0, len(stream), size)) + reading.end()

    finding = reading.finding()
    assert out == stream
    assert (finding.complete, reading.began) == (True, True)
    assert finding.usage == Usage(input_uncached=10, input_image=40, output_image=1056)


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (b'data: {"error":{"message":"overloaded"}}\n\n', "overloaded"),
        (b'event: error\ndata: {"type":"error","error":{"message":"sick"}}', "sick"),
        (b'data: {"error":null}\n\n', ""),
        (b'data: {"error"\n\n', ""),
    ],
)
def test_an_error_in_a_stream_is_found(event, error):
    reading = PassedStream("other", "untold")
    reading.feed(event)
    reading.end()

    assert reading.finding().error == error
