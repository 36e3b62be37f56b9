from __future__ import annotations

import pytest

from gateway.errors import BadRequest
from gateway.wire.gemini_answer import DocumentReading
from gateway.wire.gemini_embed import GeminiEmbed

ONE, BATCH = GeminiEmbed(), GeminiEmbed(batch=True)


def test_one_text_and_a_batch_are_asked_for_apart():
    one = ONE.peek(b'{"content": {}, "outputDimensionality": 8, "taskType": "CLUSTERING"}', model="m")
    batch = BATCH.peek(b'{"requests": [{}, {}]}', model="m")

    assert (ONE.surface, ONE.operation) == ("gemini.embed", "embeddings")
    assert BATCH.surface == "gemini.batch_embed"
    assert one.parameters == {"outputDimensionality": 8, "taskType": "CLUSTERING"}
    assert batch.parameters == {"requests": 2}
    assert (one.model, one.stream) == ("m", False)


@pytest.mark.parametrize(
    ("wire", "body"), [(ONE, b'{"requests": []}'), (BATCH, b'{"content": {}}'), (ONE, b"[]")]
)
def test_what_is_missing_is_named(wire, body):
    with pytest.raises(BadRequest):
        wire.peek(body, model="m")


def test_requests_of_another_type_are_left_to_the_provider():
    assert BATCH.peek(b'{"requests": 7}', model="m").parameters == {}


def test_vectors_have_no_words():
    assert ONE.words("application/json", b'{"embedding": {"values": [1]}}') == ""
    assert isinstance(ONE.reading(stream=False, strip_usage=False), DocumentReading)


def test_models_inside_a_batch_are_renamed():
    body = b'{"requests": [{"model": "models/a"}]}'

    assert BATCH.rewrite(body, model="b", ask_usage=False) == b'{"requests":[{"model":"models/b"}]}'
