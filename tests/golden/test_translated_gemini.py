"""Recorded calls of Gemini and Vertex, translated: what they say is found out a second time by a slow reader.

The recordings lie beside the repository; without them only what is of our own making is read.
"""

from __future__ import annotations

import gzip
import random
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from google.genai import types

from gateway.errors import BadRequest
from gateway.translation.base import Answering
from gateway.translation.conversation import Media, Message, Reply, Request, Text, Thinking, ToolCall
from gateway.translation.events import Ended
from gateway.translation.gemini.format import GeminiFormat
from tests.fakes.conversations import bare
from tests.fakes.event_streams import cut_off, reply_of, told, ways

CASSETTES = Path(__file__).parents[3] / "shared" / "conformance" / "cassettes"
METHOD = re.compile(r":(generateContent|streamGenerateContent)(\?|\Z)")
STOPS = {"STOP": "end", "MAX_TOKENS": "length", 1: "end", 2: "length"}
GEMINI = GeminiFormat()
ASKED = Request(messages=(Message("user", (Text("Hi"),)),))
ANSWERING = Answering(call_id="call-1", created_s=0, model="gemini-2.5-flash", request=ASKED)

OWN = b"""[{"candidates": [{"content": {"parts": [{"text": "**Hm**", "thought": true}],"role": "model"},"index": 0}],
"usageMetadata": {"promptTokenCount": 4,"totalTokenCount": 4},"modelVersion": "models/gemini-3-pro","responseId": "r"},
{"candidates": [{"content": {"parts": [{"text": "Gr\xc3\xbc\xc3\x9fe"}],"role": "model"}}]},
{"candidates": [{"content": {"parts": [{"text": "!", "thoughtSignature": "c2ln"}, {"executableCode": {"code": "1"}}]}}]},
{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"x": 1.50}}, "thoughtSignature": "AA=="}]}}]},
{"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}, {"text": ""}]},
"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 3, "thoughtsTokenCount": 5,
"totalTokenCount": 12, "serviceTier": "priority"}, "modelVersion": "models/gemini-3-pro", "responseId": "r"}]"""


def recordings() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted([*CASSETTES.rglob("*.yaml"), *CASSETTES.rglob("*.yaml.gz")]):
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        if "enerateContent" in text:
            for i, entry in enumerate(yaml.load(text, Loader=yaml.CSafeLoader)["interactions"]):
                if METHOD.search(entry["request"]["uri"]):
                    yield f"{path.name.split('.yaml')[0]}-{i}", entry


def body_of(entry: dict[str, Any]) -> bytes:
    said = entry["response"]["body"]["string"]
    data = said if isinstance(said, bytes) else said.encode()
    return zlib.decompress(data, wbits=47) if data.startswith(b"\x1f\x8b") else data


def responses_of(body: bytes) -> list[dict[str, Any]]:
    """Decode everything the slow way."""
    if body.startswith(b"data:"):
        return [msgspec.json.decode(line[5:]) for line in body.splitlines() if line.startswith(b"data:")]
    said = msgspec.json.decode(body)
    return said if isinstance(said, list) else [said]


RECORDED = list(recordings())
GOOD = [(name, body_of(entry)) for name, entry in RECORDED if entry["response"]["status"]["code"] == 200]
ANSWERS = [pytest.param(responses_of(body), id=name) for name, body in [("own", OWN), *GOOD]]
REQUESTS = [
    pytest.param(body, int(entry["response"]["status"]["code"]), id=name)
    for name, entry in RECORDED
    if (body := entry["request"]["body"])
]


def check(reply: Reply, said: list[dict[str, Any]]) -> None:
    parts = [p for r in said for c in r.get("candidates", ()) for p in c.get("content", {}).get("parts", ())]
    texts = [part for part in parts if part.get("text") and not part.get("thought")]
    assert "".join(p.text for p in reply.parts if isinstance(p, Text)) == "".join(p["text"] for p in texts)
    thoughts = [part["text"] for part in parts if part.get("text") and part.get("thought")]
    assert "".join(p.text for p in reply.parts if isinstance(p, Thinking)) == "".join(thoughts)
    signed = [p.signature for p in reply.parts if isinstance(p, Thinking | ToolCall) and p.signature]
    assert signed == [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]
    calls = [(p.name, msgspec.json.decode(p.arguments)) for p in reply.parts if isinstance(p, ToolCall)]
    assert calls == [
        (p["functionCall"]["name"], p["functionCall"]["args"]) for p in parts if "functionCall" in p
    ]
    shown = [part.data for part in reply.parts if isinstance(part, Media)]
    assert shown == [part["inlineData"]["data"] for part in parts if "inlineData" in part]
    ends = [c["finishReason"] for r in said for c in r.get("candidates", ()) if c.get("finishReason")]
    assert reply.stop == ("tool_calls" if calls else STOPS[ends[-1]])
    assert reply.model == said[0]["modelVersion"].removeprefix("models/")
    assert reply.id == said[0].get("responseId", "")
    usage = [r["usageMetadata"] for r in said if "promptTokenCount" in r.get("usageMetadata", {})][-1]
    assert msgspec.json.decode(reply.raw_usage) == usage
    assert reply.usage is not None
    assert reply.usage.input_total == usage["promptTokenCount"]
    assert reply.usage.output_reasoning == usage.get("thoughtsTokenCount", 0)
    assert reply.usage.input_total + reply.usage.output_total == usage["totalTokenCount"]


def check_written(reply: Reply) -> None:
    """Write it for a client, as a document and as a stream, and read it again."""
    written = GEMINI.write_reply(reply, ANSWERING)
    assert bare(GEMINI.read_reply(written)) == bare(reply)
    response = msgspec.json.decode(written)
    response["usageMetadata"].pop("serviceTier", None)  # it is not among the types of its clients
    seen = types.GenerateContentResponse.model_validate(response)
    assert seen.candidates is not None


@pytest.mark.parametrize("said", ANSWERS)
def test_a_recorded_stream_is_read_right_in_any_pieces(said: list[dict[str, Any]]) -> None:
    stream = b"".join(b"data: " + msgspec.json.encode(response) + b"\r\n\r\n" for response in said)

    read = [reply_of(told(GEMINI.stream_reader(), chunks)) for chunks in ways(stream, seed=len(stream))]

    for reply in read:
        check(reply, said)
    check_written(read[0])


@pytest.mark.parametrize("said", ANSWERS)
def test_what_is_read_of_a_stream_is_written_as_the_same_stream(said: list[dict[str, Any]]) -> None:
    stream = b"".join(b"data: " + msgspec.json.encode(response) + b"\r\n\r\n" for response in said)
    events = told(GEMINI.stream_reader(), [stream])

    again = GEMINI.stream_writer(ANSWERING).write(events)

    assert bare(reply_of(told(GEMINI.stream_reader(), [again]))) == bare(reply_of(events))
    check_seen(again)


def check_seen(stream: bytes) -> None:
    for line in stream.split(b"\r\n\r\n"):
        if line:
            response = msgspec.json.decode(line.removeprefix(b"data: "))
            response.get("usageMetadata", {}).pop("serviceTier", None)
            types.GenerateContentResponse.model_validate(response)


@pytest.mark.parametrize("said", [p for p in ANSWERS if len(p.values[0]) == 1])  # type: ignore[arg-type]
def test_a_recorded_answer_is_read_right(said: list[dict[str, Any]]) -> None:
    reply = GEMINI.read_reply(msgspec.json.encode(said[0]))

    check(reply, said)
    check_written(reply)


@pytest.mark.parametrize("said", ANSWERS)
def test_a_recorded_stream_that_is_cut_off_never_ends_well(said: list[dict[str, Any]]) -> None:
    lines = [b"data: " + msgspec.json.encode(response) + b"\r\n\r\n" for response in said]
    finishing = next(i for i, r in enumerate(said) if r["candidates"][0].get("finishReason"))
    stream = b"".join(lines[: finishing + 1])
    last = len(stream) - len(lines[finishing])

    for cut in cut_off(stream[: last + 1], random.Random(last).randint(0, 99)):
        events = told(GEMINI.stream_reader(), [cut])
        assert not any(isinstance(event, Ended) for event in events)


@pytest.mark.parametrize(("body", "status"), REQUESTS)
def test_a_recorded_request_is_read_and_written_again(body: str | bytes, status: int) -> None:
    data = body if isinstance(body, bytes) else body.encode()
    try:
        request = GEMINI.read_request(data)
    except BadRequest:
        assert status == 400, "what the provider could read, we can"
        return

    again = GEMINI.write_request(request, model="gemini-3-flash-preview", usage=True)

    assert not again.lost
    assert GEMINI.read_request(again.body).messages == request.messages
    said = msgspec.json.decode(data)
    words = [p["text"] for c in said["contents"] for p in c["parts"] if p.get("text")]
    assert [p.text for m in request.messages for p in m.parts if isinstance(p, Text)] == words
    declared = [d for tool in said.get("tools", ()) for d in tool["functionDeclarations"]]
    assert [tool.name for tool in request.tools] == [d["name"] for d in declared]
    assert not request.others
