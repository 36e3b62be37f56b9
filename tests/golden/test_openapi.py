"""The sandbox's answers against OpenAI's own description of its API, which lies beside the repository.

The description is stricter than the API it describes: what recorded answers show is put right first, and the
recordings have to pass as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from gateway.providers.openai import PATHS
from gateway.providers.sandbox import Bytes, play
from tests.golden.test_cassettes import DOCUMENTS, STREAMS, chunks_of
from tests.golden.test_responses import RECORDED
from tests.golden.test_responses import STREAMS as RESPONSE_STREAMS

jsonschema = pytest.importorskip("jsonschema")
referencing = pytest.importorskip("referencing")

DESCRIPTION = Path(__file__).parents[3] / "shared" / "conformance" / "openai-openapi.yml"

pytestmark = pytest.mark.skipif(not DESCRIPTION.exists(), reason="no description beside the repository")

NULL_IN_PRACTICE = {"system_fingerprint", "user", "usage", "safety_identifier", "error", "service_tier"}
OF_LATE = {"cache_write_tokens"}
"""Newly required, so that no older recording has it."""

TOOL = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
MESSAGES = [{"role": "user", "content": "What is the tide at noon?"}]
CHAT_TOOLS = [{"type": "function", "function": {"name": "tide", "parameters": TOOL}}]
TOOLS = [{"type": "function", "name": "tide", "parameters": TOOL, "strict": True}]


@cache
def validators() -> Any:
    with DESCRIPTION.open("rb") as file:
        described = yaml.load(file, Loader=yaml.CSafeLoader)
    _put_right(described["components"]["schemas"])
    resource = referencing.jsonschema.DRAFT202012.create_resource(described)
    return referencing.Registry().with_resource("urn:openai", resource)


def _put_right(schema: Any) -> None:
    """Make nullable what says so in the words of OpenAPI 3.0, or is null in recorded answers."""
    if isinstance(schema, list):
        for part in schema:
            _put_right(part)
    if not isinstance(schema, dict):
        return
    if isinstance(required := schema.get("required"), list):
        schema["required"] = [name for name in required if name not in OF_LATE]
    said = schema.get("properties")
    properties: dict[str, Any] = said if isinstance(said, dict) else {}
    for name, part in properties.items():
        if isinstance(part, dict) and (part.get("nullable") or name in NULL_IN_PRACTICE):
            properties[name] = {"anyOf": [part, {"type": "null"}]}
        if name == "embedding":
            properties[name] = {"anyOf": [part, {"type": "string"}]}
    for part in schema.values():
        _put_right(part)


def check(name: str, said: Any) -> None:
    schema = {"$ref": f"urn:openai#/components/schemas/{name}"}
    validator = jsonschema.Draft202012Validator(schema, registry=validators())
    if error := jsonschema.exceptions.best_match(validator.iter_errors(said)):
        pytest.fail(f"{name}: {error.json_path}: {error.message[:500]}")


def answer(surface: str, body: Mapping[str, Any], *, place: str = "", method: str = "POST") -> bytes:
    steps = play(PATHS[surface] + place, msgspec.json.encode(body) if body else b"", method)
    return b"".join(step.data for step in steps if isinstance(step, Bytes))


def document(surface: str, body: Mapping[str, Any], *, place: str = "", method: str = "POST") -> Any:
    return msgspec.json.decode(answer(surface, body, place=place, method=method))


CHATS: dict[str, dict[str, Any]] = {
    "plain": {},
    "several": {"n": 2},
    "short": {"max_tokens": 1},
    "tools": {"tools": CHAT_TOOLS},
    "structured": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": TOOL}}},
    "object": {"response_format": {"type": "json_object"}},
}


@pytest.mark.parametrize("more", CHATS.values(), ids=CHATS)
def test_the_sandbox_chats_as_openai_describes_it(more):
    body = {"model": "echo", "messages": MESSAGES, **more}

    check("CreateChatCompletionResponse", document("openai.chat", body))
    for include_usage in (False, True):
        options = {"include_usage": include_usage}
        events = answer("openai.chat", {**body, "stream": True, "stream_options": options})
        for chunk in chunks_of(events):
            check("CreateChatCompletionStreamResponse", chunk)


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_the_sandbox_embeds_as_openai_describes_it(encoding):
    body = {"model": "echo", "input": ["a", "b"], "encoding_format": encoding, "dimensions": 4}

    check("CreateEmbeddingResponse", document("openai.embeddings", body))


@pytest.mark.parametrize("more", [{}, {"n": 2, "echo": True}, {"prompt": ["a", "b"], "max_tokens": 1}])
def test_the_sandbox_completes_as_openai_describes_it(more):
    body = {"model": "echo", "prompt": "Once upon a tide", **more}

    check("CreateCompletionResponse", document("openai.completions", body))
    for chunk in chunks_of(answer("openai.completions", {**body, "stream": True})):
        check("CreateCompletionResponse", {**chunk, "choices": [_finished(c) for c in chunk["choices"]]})


def _finished(choice: dict[str, Any]) -> dict[str, Any]:
    """Give a choice a reason: the description has one schema for documents and streams, and no null."""
    return {**choice, "finish_reason": choice["finish_reason"] or "stop"}


RESPONSES: dict[str, dict[str, Any]] = {
    "plain": {},
    "short": {"max_output_tokens": 1},
    "tools": {"tools": TOOLS},
    "forced": {"tools": TOOLS, "tool_choice": {"type": "function", "name": "tide"}},
    "structured": {"text": {"format": {"type": "json_schema", "name": "x", "schema": TOOL, "strict": True}}},
    "object": {"text": {"format": {"type": "json_object"}}},
    "settings": {"instructions": "Be brief.", "reasoning": {"effort": "low"}, "metadata": {"a": "b"}},
    "background": {"background": True},
    "items": {
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Tide?"}]},
            {"type": "function_call", "call_id": "c", "name": "tide", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "high"},
        ],
        "tools": TOOLS,
    },
}


@pytest.mark.parametrize("more", RESPONSES.values(), ids=RESPONSES)
def test_the_sandbox_responds_as_openai_describes_it(more):
    body = {"model": "echo", "input": "What is the tide at noon?", **more}

    check("Response", document("openai.responses", body))
    events = chunks_of(answer("openai.responses", {**body, "stream": True}))
    for event in events:
        check("ResponseStreamEvent", event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"]["output"] == [
        event["item"] for event in events if event["type"] == "response.output_item.done"
    ]


@pytest.mark.parametrize("more", RESPONSES.values(), ids=RESPONSES)
def test_the_sandbox_keeps_responses_as_openai_describes_it(more):
    body = {"model": "echo", "input": "What is the tide at noon?", **more}
    made = document("openai.responses", body)
    place = f"/{made['id']}"

    fetched = document("openai.responses", {}, place=place, method="GET")
    check("Response", fetched)
    assert fetched["id"] == made["id"]
    assert fetched["status"] in {"completed", "incomplete"}
    check("ResponseItemList", document("openai.responses", {}, place=f"{place}/input_items", method="GET"))
    if more.get("background"):
        check("Response", document("openai.responses", {}, place=f"{place}/cancel"))


def test_the_sandbox_fails_a_stream_as_openai_describes_it():
    body = {"model": "echo", "input": "x", "stream": True, "sandbox": {"error": {"message": "Broken."}}}

    last = chunks_of(answer("openai.responses", body))[-1]

    check("ResponseErrorEvent", last)
    assert last["message"] == "Broken."


def recorded() -> Iterator[tuple[str, Any]]:
    """Yield what OpenAI itself has sent; before 2024-10 its messages had no refusal."""
    for _, body in DOCUMENTS:
        said = msgspec.json.decode(body)
        if b'"refusal"' in body and said.get("object") == "chat.completion":
            yield "CreateChatCompletionResponse", said
    for _, body in STREAMS:
        if b'"refusal"' in body:
            yield from (("CreateChatCompletionStreamResponse", chunk) for chunk in chunks_of(body))
    for name in RECORDED:
        yield from (("ResponseStreamEvent", said) for said in chunks_of(RESPONSE_STREAMS.get(name, b"")))


@pytest.mark.skipif(not DOCUMENTS, reason="no recordings beside the repository")
def test_what_openai_itself_has_sent_fits_the_description():
    checked = 0
    for name, said in recorded():
        if said.get("object") != "":  # Azure's filter
            check(name, said)
            checked += 1

    assert checked > 500


@pytest.mark.parametrize("missing", ["sequence_number", "item_id", "logprobs"])
def test_what_strict_clients_want_is_missed(missing):
    events = chunks_of(answer("openai.responses", {"model": "echo", "input": "tide", "stream": True}))
    delta = next(event for event in events if event["type"] == "response.output_text.delta")
    del delta[missing]

    with pytest.raises(pytest.fail.Exception, match="ResponseStreamEvent"):
        check("ResponseStreamEvent", delta)
