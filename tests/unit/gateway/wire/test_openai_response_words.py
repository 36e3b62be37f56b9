from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.openai_response_words import words
from gateway.wire.preview import preview

JSON, SSE = "application/json", "text/event-stream; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"input":"high tide"}', "high tide"),
        (
            b'{"input":[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"assistant"}]}',
            "b",
        ),
        (
            b'{"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image"}]}]}',
            "a",
        ),
        (b'{"input":[{"type":"function_call_output","output":"x"}]}', ""),
        (b'{"output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}', "hi"),
        (b'{"output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]}', "no"),
        (b'{"output":[{"type":"function_call","name":"f","arguments":"{}"}]}', "f({})"),
        (b'{"output":[{"type":"custom_tool_call","name":"f","input":"ls"}]}', "f(ls)"),
        (b'{"output":[]}', ""),
        (b'{"input":7}', ""),
        (b"{", ""),
    ],
)
def test_the_words_of_a_document(body, said):
    assert words(JSON, body) == said


def test_the_words_of_a_stream_are_what_is_said_and_called():
    stream = (
        b'event: response.created\ndata: {"type":"response.created","response":{}}\n\n'
        b'data: {"type":"response.reasoning_text.delta","delta":"hm"}\n\n'
        b'data: {"type":"response.output_text.delta","delta":"high "}\n\n'
        b'data: {"type":"response.output_text.delta","delta":"tide"}\n\n'
        b'data: {"type":"response.output_item.added","item":{"type":"function_call","name":"f"}}\n\n'
        b'data: {"type":"response.function_call_arguments.delta","delta":"{}"}\n\n'
        b'data: {"type":"response.output_text.delta","del'
    )

    assert words(SSE, stream) == "high tidef {}"


@given(st.sampled_from([JSON, SSE]), st.binary())
def test_no_bytes_make_it_fail(content_type, body):
    words(content_type, body)
    words(content_type, b'data: {"type":"response.output_text.delta","delta":' + body)


def test_a_list_shows_the_words_of_a_response():
    assert preview("openai.responses", JSON, b'{"input":"high tide"}') == "high tide"
    assert preview("openai.completions", JSON, b'{"prompt":"Once"}') == "Once"
