from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from gateway.translation.foreign import without_foreign


def anthropic(*blocks: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"model": "m", "messages": [{"role": "assistant", "content": list(blocks)}]})


OWN = {"type": "thinking", "thinking": "hm", "signature": "EqQBCg"}
SAID = {"type": "text", "text": 'she wrote "tg:gemini:x"'}


@pytest.mark.parametrize(
    "foreign",
    [
        {"type": "thinking", "thinking": "ah", "signature": "tg:gemini:abc"},
        {"type": "redacted_thinking", "data": "tg:openai:call:abc"},
    ],
)
def test_thoughts_of_another_family_do_not_go_to_anthropic(foreign):
    assert without_foreign("anthropic.messages", anthropic(OWN, foreign, SAID)) == anthropic(OWN, SAID)


def test_openai_does_not_see_reasoning_that_is_not_its_own():
    own = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": "tg:anthropic:abc"}
    body = {"model": "m", "input": [own, foreign, {"role": "user", "content": "tg:anthropic:abc"}]}

    kept = msgspec.json.decode(without_foreign("openai.responses", msgspec.json.encode(body)))

    assert kept == {**body, "input": [own, body["input"][2]]}


def test_gemini_gets_the_call_without_the_foreign_signature():
    sealed = base64.b64encode(b"tg:anthropic:abc").decode()
    part = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": sealed}
    body = {"contents": [{"role": "model", "parts": [part, {"text": "x", "thoughtSignature": "CpMB"}]}]}

    kept = msgspec.json.decode(without_foreign("gemini.generate", msgspec.json.encode(body)))

    parts = kept["contents"][0]["parts"]
    assert parts == [{"functionCall": {"name": "f", "args": {}}}, {"text": "x", "thoughtSignature": "CpMB"}]


@pytest.mark.parametrize(
    "surface", ["anthropic.messages", "openai.chat", "openai.responses", "gemini.generate"]
)
@pytest.mark.parametrize("body", [b'{"a":  1.0}', b'{"a": "tg:', b'["dGc6', b""])
def test_every_other_body_keeps_its_bytes(surface, body):
    assert without_foreign(surface, body) == body
