from __future__ import annotations

import pytest

from gateway.errors import BadRequest
from gateway.wire.base import Peek, Wire
from gateway.wire.openai_embeddings import OpenAIEmbeddings
from telemetry.records import Usage

wire: Wire = OpenAIEmbeddings()


def test_peek_reads_the_model_and_small_settings():
    body = b'{"model":"e","input":["a","b"],"dimensions":8,"encoding_format":"base64"}'

    assert wire.peek(body) == Peek(model="e", parameters={"dimensions": 8, "encoding_format": "base64"})


@pytest.mark.parametrize(("body", "param"), [(b'{"model":"e"}', "input"), (b'{"input":"a"}', "model")])
def test_what_is_missing_is_named(body, param):
    with pytest.raises(BadRequest) as caught:
        wire.peek(body)

    assert caught.value.param == param


def test_a_rewrite_changes_the_model_only():
    body = b'{"model":"e","input":"a","stream":true}'

    assert wire.rewrite(body, model="f", ask_usage=True) == b'{"model":"f","input":"a","stream":true}'


def test_usage_is_input_only():
    reading = wire.reading(stream=False, strip_usage=False)
    reading.feed(b'{"object":"list","data":[{"embedding":[0.1,-2e-3]}],"model":"e-1",')
    reading.feed(b'"usage":{"prompt_tokens":9,"total_tokens":9}}')
    reading.end()

    finding = reading.finding()

    assert finding.complete
    assert finding.usage == Usage(input_uncached=9)
    assert finding.response_model == "e-1"


def test_errors_have_openais_shape():
    assert wire.error(BadRequest("no", param="input")).startswith(b'{"error":{"message":"no"')
    assert wire.broken(BadRequest("no")).startswith(b'data: {"error"')
