from __future__ import annotations

import base64
import math
import struct
from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.providers.sandbox_embeddings import embeddings, vector
from gateway.providers.sandbox_script import Script


def answer(script: Script | None = None, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(embeddings("echo", body, script or Script()))
    return found


def test_a_text_has_its_own_unit_vector():
    one, other = vector("one", 64), vector("other", 64)

    assert math.isclose(math.fsum(v * v for v in one), 1, rel_tol=1e-6)
    assert one == vector("one", 64)
    assert one != other


def test_base64_holds_the_same_floats():
    (said,) = answer(input="x", dimensions=8, encoding_format="base64")["data"]

    assert list(struct.unpack("<8f", base64.b64decode(said["embedding"]))) == vector("x", 8)


@pytest.mark.parametrize(("said", "count"), [("a", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2)])
def test_texts_and_tokens_are_taken(said, count):
    assert len(answer(input=said)["data"]) == count


def test_usage_can_be_scripted():
    assert answer(Script(usage={"prompt_tokens": 5}), input="a")["usage"] == {"prompt_tokens": 5}
    assert "usage" not in answer(Script(usage=None), input="a")


@pytest.mark.parametrize(
    "body",
    [
        {"input": ""},
        {"input": []},
        {"input": {"a": 1}},
        {"input": ["a", ""]},
        {},
        {"input": "a", "dimensions": 0},
        {"input": "a", "dimensions": 10_000},
        {"input": "a", "encoding_format": "int8"},
    ],
)
def test_what_openai_would_refuse_is_refused(body):
    with pytest.raises(BadRequest):
        answer(**body)
