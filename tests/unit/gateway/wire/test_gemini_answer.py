from __future__ import annotations

import msgspec
import pytest

from gateway.wire.gemini_answer import DocumentReading, reason
from tests.fakes import gemini as fake


def read(body: bytes) -> DocumentReading:
    reading = DocumentReading()
    assert reading.feed(body[:7]) == body[:7]
    assert reading.feed(body[7:]) == body[7:]
    assert reading.end() == b""
    return reading


def test_a_whole_answer_says_who_answered_how_and_for_how_much():
    finding = read(fake.pretty(fake.response([{"text": "Hello"}], "MAX_TOKENS"))).finding()

    assert finding.complete
    assert finding.finish_reason == "MAX_TOKENS"
    assert (finding.response_model, finding.response_id) == (fake.MODEL, "resp-1")
    assert msgspec.json.decode(finding.raw_usage) == fake.USAGE
    assert finding.usage is not None
    assert (finding.usage.input_total, finding.usage.output_total) == (30, 45)


def test_the_first_candidate_decides_whatever_its_place():
    candidates = [{"index": 1, "finishReason": "SAFETY"}, {"finishReason": "STOP"}]

    assert read(msgspec.json.encode({"candidates": candidates})).finding().finish_reason == "STOP"


def test_a_blocked_prompt_says_why():
    body = b'{"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "models/gemini-9"}'

    finding = read(body).finding()

    assert (finding.complete, finding.finish_reason, finding.response_model) == (True, "SAFETY", "gemini-9")


def test_an_error_after_a_200_is_told():
    assert read(b'{"error": {"code": 500, "message": "Oh.", "status": "INTERNAL"}}').finding().error == "Oh."
    assert read(b'{"error": {"status": "INTERNAL"}}').finding().error == "INTERNAL"
    assert read(b'{"error": [1]}').finding().error == "error"
    assert read(b'{"error": null}').finding().error == ""


def test_a_document_that_broke_off_is_not_complete():
    reading = DocumentReading()
    reading.feed(b'{"candidates": [')

    assert reading.began
    assert not reading.finding().complete


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"candidates": null, "promptFeedback": null, "usageMetadata": null, "responseId": 7}',
        b'{"candidates": [null]}',
        b'{"candidates": [{"index": [], "finishReason": {}}], "usageMetadata": []}',
    ],
)
def test_odd_documents_say_nothing(body):
    finding = read(body).finding()

    assert (finding.usage, finding.finish_reason, finding.response_id, finding.error) == (None, "", "", "")


@pytest.mark.parametrize(
    ("said", "name"),
    [("STOP", "STOP"), (1, "STOP"), (3, "SAFETY"), (9, "9"), (0, ""), (-1, ""), (10**30, ""), (None, "")],
)
def test_reasons_have_names(said, name):
    assert reason(said) == name


def test_an_unspecified_reason_is_none():
    assert reason("FINISH_REASON_UNSPECIFIED") == ""
