from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.wire.base import Peek, Wire
from gateway.wire.openai_completions import OpenAICompletions

wire: Wire = OpenAICompletions()


def test_peek_reads_what_routing_and_recording_need():
    body = (
        b'{"prompt":"Once","model":"m","stream":true,"stream_options":{"include_usage":true},"n":2,'
        b'"max_tokens":7,"temperature":0,"echo":true,"best_of":3,"logprobs":1,"unknown":{}}'
    )

    assert wire.peek(body) == Peek(
        model="m",
        stream=True,
        wants_usage=True,
        parameters={"temperature": 0, "max_tokens": 7, "n": 2, "best_of": 3, "echo": True, "logprobs": 1},
    )


def test_a_request_without_a_prompt_is_one():
    assert wire.peek(b'{"model":"m"}') == Peek(model="m")


def test_a_request_without_a_model_is_none():
    with pytest.raises(BadRequest):
        wire.peek(b'{"prompt":"Once"}')


def test_usage_is_asked_for_in_a_stream():
    after = wire.rewrite(b'{"model":"m","stream":true}', model="m", ask_usage=True)

    assert msgspec.json.decode(after)["stream_options"] == {"include_usage": True}


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.text())))
def test_another_model_changes_nothing_else(said):
    body = msgspec.json.encode({**said, "model": "m"})

    after = wire.rewrite(body, model="another", ask_usage=False)

    assert msgspec.json.decode(after) == {**msgspec.json.decode(body), "model": "another"}


def test_the_words_are_the_text():
    document = b'{"choices":[{"text":" upon a time","index":0}]}'
    stream = b'data: {"choices":[{"text":" upon"}]}\n\ndata: {"choices":[{"text":" a"}]}\n\ndata: [DONE]\n\n'

    assert wire.words("application/json", document) == " upon a time"
    assert wire.words("text/event-stream", stream) == " upon a"
    assert wire.words("application/json", b'{"prompt":"Once"}') == "Once"
