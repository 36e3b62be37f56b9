from __future__ import annotations

import pytest

from gateway.wire.base import Finding, Reading
from gateway.wire.openai_answer import DocumentReading
from telemetry.records import Usage

DOCUMENT = (
    b'{"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"content":"x"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
)
FOUND = Finding(
    complete=True,
    usage=Usage(input_uncached=3, output_text=2),
    raw_usage=b'{"prompt_tokens":3,"completion_tokens":2}',
    finish_reason="stop",
    response_model="gpt-4o-2024-08-06",
    response_id="chatcmpl-1",
)


def read(*chunks: bytes, end: bool = True) -> Finding:
    reading: Reading = DocumentReading()
    for chunk in chunks:
        assert reading.feed(chunk) is chunk
    if end:
        assert reading.end() == b""
    return reading.finding()


def test_the_document_is_read_once_it_is_whole():
    assert read(DOCUMENT[:9], b"", DOCUMENT[9:]) == FOUND


def test_a_document_cut_short_is_not_complete():
    assert read(DOCUMENT[:-3]) == Finding()
    assert not read(DOCUMENT, end=False).complete
    assert read(DOCUMENT, end=False).usage == FOUND.usage


@pytest.mark.parametrize("data", [b"", b"not json", b"[]", b"\x1f\x8bgarbage", b'{"choices":7}', b"\xff"])
def test_nonsense_is_no_finding(data):
    assert read(data) == Finding()


def test_content_has_begun_with_the_first_byte():
    reading = DocumentReading()
    assert not reading.began

    reading.feed(b"{")

    assert reading.began


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (b'{"message":"bad"}', "bad"),
        (b'"bad"', "bad"),
        (b"null", ""),
        (b"7", "error"),
        (b'{"code":"c"}', "c"),
    ],
)
def test_an_error_in_the_document_is_told(error, said):
    assert read(b'{"error":' + error + b"}").error == said


@pytest.mark.parametrize(("said", "tier"), [(b'"flex"', "flex"), (b"null", ""), (b"7", "")])
def test_the_service_tier_is_the_one_that_the_answer_names(said, tier):
    assert read(DOCUMENT[:-1] + b',"service_tier":' + said + b"}").service_tier == tier
    assert read(DOCUMENT[:-1] + b',"service_tier":' + said + b"}").usage == FOUND.usage
