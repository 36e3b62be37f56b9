"""Gemini's bytes: a few of our own making, and recorded ones that lie beside the repository, if they are there.

Recordings are read whole, in odd pieces, byte by byte, and cut at each event; what they say is found out a second
time by a slow reader that knows nothing of the fast one.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from gateway.wire.base import Finding, Reading
from gateway.wire.gemini_answer import DocumentReading
from gateway.wire.gemini_generate import GeminiGenerate
from gateway.wire.gemini_stream import ArrayReading, EventsReading

CASSETTES = Path(__file__).parents[3] / "shared" / "conformance" / "cassettes"
METHODS = re.compile(
    r":(generateContent|streamGenerateContent|embedContent|batchEmbedContents|countTokens)(\?|\Z)"
)
REASONS = {1: "STOP", 2: "MAX_TOKENS"}

EVENTS = (
    b'data: {"candidates": [{"content": {"parts": [{"text": "Hi"}],"role": "model"},"index": 0}],"usageMetadata": '
    b'{"promptTokenCount": 4,"totalTokenCount": 4},"modelVersion": "gemini-2.5-flash","responseId": "r1"}\r\n\r\n'
    b'data: {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f","args": {"usageMetadata": '
    b'{"promptTokenCount": 9}}}}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": '
    b'{"promptTokenCount": 4,"candidatesTokenCount": 3,"totalTokenCount": 12,"thoughtsTokenCount": 5},'
    b'"modelVersion": "gemini-2.5-flash","responseId": "r1"}\r\n\r\n'
)
ARRAY = (
    b'[{\n  "candidates": [\n    {\n      "content": {\n        "parts": [\n          {\n            "text": "]}, {\\""\n'
    b'          }\n        ]\n      },\n      "index": 0\n    }\n  ],\n  "modelVersion": "gemini-2.5-flash"\n}\n,\r\n{\n'
    b'  "candidates": [\n    {\n      "finishReason": "MAX_TOKENS",\n      "index": 0\n    }\n  ],\n  "usageMetadata": {\n'
    b'    "promptTokenCount": 4,\n    "candidatesTokenCount": 3,\n    "totalTokenCount": 7\n  },\n'
    b'  "modelVersion": "gemini-2.5-flash",\n  "responseId": "r2"\n}\n]'
)
BLOCKED = (
    b'{\n  "promptFeedback": {\n    "blockReason": "PROHIBITED_CONTENT"\n  },\n  "usageMetadata": {\n'
    b'    "promptTokenCount": 6,\n    "totalTokenCount": 6\n  },\n  "modelVersion": "gemini-2.5-pro"\n}\n'
)


def recordings() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted([*CASSETTES.rglob("*.yaml"), *CASSETTES.rglob("*.yaml.gz")]):
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
        if "generateContent" not in text and "GenerateContent" not in text and "mbedContent" not in text:
            continue
        for i, entry in enumerate(yaml.load(text, Loader=yaml.CSafeLoader)["interactions"]):
            if METHODS.search(entry["request"]["uri"]):
                yield f"{path.name.split('.yaml')[0]}-{i}", entry


def body_of(entry: dict[str, Any]) -> bytes:
    said = entry["response"]["body"]["string"]
    data = said if isinstance(said, bytes) else said.encode()
    return zlib.decompress(data, wbits=47) if data.startswith(b"\x1f\x8b") else data


RECORDED = [(name, entry, body_of(entry)) for name, entry in recordings()]
ANSWERS = [(n, body) for n, entry, body in RECORDED if entry["response"]["status"]["code"] == 200]
OWN = [("own-events", EVENTS), ("own-array", ARRAY), ("own-blocked", BLOCKED)]
ALL = [pytest.param(body, id=name) for name, body in OWN + ANSWERS]
REQUESTS = [
    pytest.param(entry["request"]["body"], id=n) for n, entry, _ in RECORDED if entry["request"]["body"]
]


def kind_of(body: bytes) -> Callable[[], Reading]:
    if body.startswith(b"data:"):
        return EventsReading
    return ArrayReading if body.startswith(b"[") else DocumentReading


def responses_of(body: bytes) -> list[dict[str, Any]]:
    """Decode everything the slow way."""
    if body.startswith(b"data:"):
        return [msgspec.json.decode(line[5:]) for line in body.splitlines() if line.startswith(b"data:")]
    said = msgspec.json.decode(body)
    return said if isinstance(said, list) else [said]


def read(body: bytes, size: int) -> tuple[Reading, bytes]:
    reading = kind_of(body)()
    passed = b"".join(reading.feed(body[i : i + size]) for i in range(0, len(body), size)) + reading.end()
    return reading, passed


def check(finding: Finding, said: list[dict[str, Any]]) -> None:
    counted = [r["usageMetadata"] for r in said if "promptTokenCount" in r.get("usageMetadata", {})]
    ends = [c["finishReason"] for r in said for c in r.get("candidates", ()) if c.get("finishReason")]
    blocks = [r["promptFeedback"]["blockReason"] for r in said if "promptFeedback" in r]
    end = (ends[-1:] + blocks[:1] or [""])[0]
    assert finding.finish_reason == REASONS.get(end, end)
    assert finding.response_model == next((r["modelVersion"] for r in said if "modelVersion" in r), "")
    assert finding.response_id == next((r["responseId"] for r in said if "responseId" in r), "")
    if not counted:
        assert finding.usage is None
        return
    usage = counted[-1]
    assert msgspec.json.decode(finding.raw_usage) == usage
    assert finding.usage is not None
    assert finding.usage.input_total == usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0)
    assert finding.usage.cache_read == usage.get("cachedContentTokenCount", 0)
    assert finding.usage.output_reasoning == usage.get("thoughtsTokenCount", 0)
    assert finding.usage.input_total + finding.usage.output_total == usage.get(
        "totalTokenCount", usage["promptTokenCount"]
    )


@pytest.mark.parametrize("body", ALL)
def test_an_answer_is_read_right_in_any_pieces(body: bytes) -> None:
    said = responses_of(body)

    for size in (1, 13, 777, len(body)):
        reading, passed = read(body, size)
        assert passed == body
        assert reading.finding().complete
        check(reading.finding(), said)


@pytest.mark.parametrize("body", [p for p in ALL if p.values[0][:1] in (b"d", b"[")])  # type: ignore[index]
def test_a_stream_cut_at_any_event_is_not_complete(body: bytes) -> None:
    between = b"\r\n\r\n" if body.startswith(b"data:") else b"\n,\r\n"
    cuts = [found.end() for found in re.finditer(re.escape(between), body)]

    for cut in [at for at in cuts if at < len(body)] + [len(body) // 2]:
        reading, passed = read(body[:cut], 100)
        assert passed == body[:cut]
        assert not reading.finding().complete


@pytest.mark.parametrize("body", REQUESTS)
def test_a_recorded_request_survives_a_change_of_model(body: str | bytes) -> None:
    data = body if isinstance(body, bytes) else body.encode()
    before = msgspec.json.decode(data)

    after = msgspec.json.decode(GeminiGenerate().rewrite(data, model="another", ask_usage=False))

    for request in [before, *before.get("requests", ())]:
        if "model" in request:
            request["model"] = "models/another"
    assert after == before
