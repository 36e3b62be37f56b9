from __future__ import annotations

import pytest

from dashboards.readable import complaint, pretty, streamed, why

CHUNK = 'data: {"choices":[{"index":0,"delta":{"content":%s}}]}\n\n'


def test_json_is_indented_and_anything_else_left_as_it_is():
    assert pretty('{"a":[1]}') == '{\n  "a": [\n    1\n  ]\n}'
    for body in ("<b>no</b>", '{"cut": "of', "data: {}\n\n", "", "[" * 100_000):
        assert pretty(body) == body


def test_the_text_of_a_stream_is_put_together_from_its_chunks():
    body = CHUNK % '"Hel"' + ": ping\n\n" + CHUNK % '"lo <b>"' + CHUNK % "null" + "data: [DONE]\n\n"

    assert streamed(body) == "Hello <b>"


@pytest.mark.parametrize("body", ['{"choices":[]}', "data: {cut", 'data: {"choices": 5}', ""])
def test_what_is_no_stream_of_a_chat_has_no_such_text(body):
    assert streamed(body) == ""


def test_an_error_document_is_shown_by_its_message():
    assert complaint('{"error":{"message":"slow down","code":"x"}}') == "slow down"
    for error in ("connection reset", '{"error":"flat"}', ""):
        assert complaint(error) == error


def test_a_reason_says_what_to_do():
    assert "tidegate prices rerate" in why("unknown_model")
    assert why("no_rate:output_audio") == why("no_rate")
    assert why("never heard of") == ""
