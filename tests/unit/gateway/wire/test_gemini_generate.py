from __future__ import annotations

import msgspec
import pytest

from gateway.errors import BadRequest, Unavailable
from gateway.wire.gemini_answer import DocumentReading
from gateway.wire.gemini_generate import GeminiGenerate
from gateway.wire.gemini_stream import ArrayReading, EventsReading

BODY = b'{"contents": [{"parts": [{"text": "hi"}]}]'
EVENTS = GeminiGenerate(stream=True)
ARRAY = GeminiGenerate(stream=True, array=True)


def test_the_path_names_the_model_and_whether_it_streams():
    assert GeminiGenerate().peek(BODY + b"}", model="m").model == "m"
    assert not GeminiGenerate().peek(BODY + b"}", model="m").stream
    assert EVENTS.peek(BODY + b"}", model="m").stream
    assert ARRAY.peek(BODY + b"}", model="m").stream


@pytest.mark.parametrize("name", ["generationConfig", "generation_config"])
def test_small_settings_are_kept_whatever_their_spelling(name):
    config = {
        "temperature": 0.5,
        "top_p": 1,
        "maxOutputTokens": 9,
        "candidate_count": 2,
        "thinkingConfig": {"thinkingBudget": 0, "includeThoughts": True},
        "response_mime_type": "application/json",
        "responseSchema": {"type": "OBJECT"},
        "seed": None,
    }
    body = BODY + b', "tools": [{}, {}], "%b": %b}' % (name.encode(), msgspec.json.encode(config))

    assert GeminiGenerate().peek(body, model="m").parameters == {
        "temperature": 0.5,
        "topP": 1,
        "maxOutputTokens": 9,
        "candidateCount": 2,
        "thinkingBudget": 0,
        "responseMimeType": "application/json",
        "tools": 2,
    }


@pytest.mark.parametrize(
    "rest", [b', "generationConfig": null', b', "tools": {}', b', "generation_config": [1]']
)
def test_settings_of_another_type_are_left_to_the_provider(rest):
    assert GeminiGenerate().peek(BODY + rest + b"}", model="m").parameters == {}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"contents": [', b'{"generationConfig": {}}'])
def test_what_no_provider_understands_is_refused(body):
    with pytest.raises(BadRequest):
        GeminiGenerate().peek(body, model="m")


def test_claims_of_a_body_are_taken_out():
    peek = GeminiGenerate().peek(BODY + b', "customer_identifier": "ada"}', model="m")

    assert peek.claims is not None
    assert peek.control == ("customer_identifier",)
    assert EVENTS.rewrite(
        BODY + b', "customer_identifier": "ada"}', model="m", ask_usage=False, drop=peek.control
    ) == (b'{"contents":[{"parts": [{"text": "hi"}]}]}')


def test_each_kind_of_answer_has_its_reader():
    assert isinstance(EVENTS.reading(stream=True, strip_usage=False), EventsReading)
    assert isinstance(ARRAY.reading(stream=True, strip_usage=False), ArrayReading)
    assert isinstance(ARRAY.reading(stream=False, strip_usage=False), DocumentReading)
    assert (EVENTS.stream_type, ARRAY.stream_type) == ("text/event-stream", "application/json")


def test_errors_look_like_the_answer_they_replace():
    error = Unavailable("away")

    assert msgspec.json.decode(EVENTS.error(error))["error"]["code"] == 503
    assert msgspec.json.decode(ARRAY.error(error))[0]["error"]["code"] == 503
    assert EVENTS.broken(error).startswith(b'data: {"error"')
    assert EVENTS.broken(error).endswith(b"\r\n\r\n")
    assert msgspec.json.decode(b"[{}" + ARRAY.broken(error) + b"]")[1]["error"]["message"] == "away"


def test_estimates_count_thoughts_and_memories_find_the_user():
    said = b'data: {"candidates": [{"content": {"parts": [{"text": "Hm", "thought": true}]}}]}\n\n'

    assert EVENTS.words("text/event-stream", said) == "Hm"
    talk = EVENTS.conversation(BODY + b"}")
    assert talk is not None
    assert talk.turns == ["hi"]
