"""Recorded answers of real providers, read whole, in odd pieces and byte by byte.

The recordings lie beside the repository and are not part of it; without them these tests are skipped.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from gateway.wire.openai_answer import DocumentReading
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.openai_stream import StreamReading

CASSETTES = Path(__file__).parents[3] / "shared" / "conformance" / "cassettes"
ENDINGS = ("/chat/completions", "/embeddings")


def recordings() -> Iterator[tuple[str, dict[str, Any]]]:
    for repository in ("openllmetry", "opentelemetry-python-contrib"):
        for path in sorted((CASSETTES / repository).rglob("*.yaml")):
            text = path.read_text("utf-8")
            if not any(ending in text for ending in ENDINGS):
                continue
            for i, entry in enumerate(yaml.load(text, Loader=yaml.CSafeLoader)["interactions"]):
                if entry["request"]["uri"].partition("?")[0].endswith(ENDINGS):
                    yield f"{path.parent.name}/{path.stem}-{i}", entry


def body_of(entry: dict[str, Any]) -> bytes:
    said = entry["response"]["body"]["string"]
    data = said if isinstance(said, bytes) else said.encode()
    return zlib.decompress(data, wbits=47) if data.startswith(b"\x1f\x8b") else data


ANSWERS = [
    (name, body_of(entry)) for name, entry in recordings() if entry["response"]["status"]["code"] == 200
]
STREAMS = [(name, body) for name, body in ANSWERS if body.lstrip().startswith(b"data:")]
DOCUMENTS = [(name, body) for name, body in ANSWERS if body.lstrip().startswith(b"{")]
BODIES = [(name, entry["request"]["body"]) for name, entry in recordings() if entry["request"]["body"]]

pytestmark = pytest.mark.skipif(not ANSWERS, reason="no recordings beside the repository")


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    """Decode every event the slow way."""
    lines = [line[5:].strip() for line in stream.splitlines() if line.startswith(b"data:")]
    return [msgspec.json.decode(line) for line in lines if line != b"[DONE]"]


@pytest.mark.parametrize("body", [b for _, b in STREAMS], ids=[n for n, _ in STREAMS])
def test_a_recorded_stream_is_read_right_in_any_pieces(body):
    chunks = chunks_of(body)
    said = [c.get("usage") or (c.get("x_groq") or {}).get("usage") for c in chunks]
    usage = next((u for u in reversed(said) if u), None)
    reasons = [c["finish_reason"] for e in chunks for c in e["choices"] if c.get("finish_reason")]

    for size in (1, 13, 777, len(body)):
        for strip in (False, True):
            reading = StreamReading(strip_usage=strip)
            passed = (
                b"".join(reading.feed(body[i : i + size]) for i in range(0, len(body), size)) + reading.end()
            )
            finding = reading.finding()
            left = [c for c in chunks if not (strip and c.get("usage") and not c["choices"])]
            assert chunks_of(passed) == left
            assert strip or passed == body
            assert finding.complete
            assert finding.finish_reason == reasons[0]
            assert finding.response_id == next(c["id"] for c in chunks if c["id"])
            assert (finding.usage.input_total if finding.usage else None) == (
                usage and usage["prompt_tokens"]
            )
            assert (finding.usage.output_total if finding.usage else None) == (
                usage and usage["completion_tokens"]
            )
            assert reading.began


@pytest.mark.parametrize("body", [b for _, b in DOCUMENTS], ids=[n for n, _ in DOCUMENTS])
def test_a_recorded_document_is_read_right(body):
    said = msgspec.json.decode(body)
    reading = DocumentReading()
    reading.feed(body[:100])
    reading.feed(body[100:])
    reading.end()

    finding = reading.finding()

    assert finding.complete
    if "error" in said:  # Azure's filter, recorded with status 200
        assert finding.error == said["error"]["message"]
        return
    assert finding.response_model == said["model"]
    assert finding.usage is not None
    assert finding.usage.input_total == said["usage"]["prompt_tokens"]
    assert finding.usage.output_total == said["usage"].get("completion_tokens", 0)


@pytest.mark.parametrize("body", [b for _, b in BODIES], ids=[n for n, _ in BODIES])
def test_a_recorded_request_survives_a_change_of_model(body):
    data = body if isinstance(body, bytes) else body.encode()
    before = msgspec.json.decode(data)
    if "model" not in before:
        pytest.skip("Azure names the model in its path")

    after = msgspec.json.decode(OpenAIChat().rewrite(data, model="another", ask_usage=True))

    streams = before.get("stream") is True
    expected = {**before, "model": "another"}
    if streams:
        expected["stream_options"] = {**(before.get("stream_options") or {}), "include_usage": True}
    assert after == expected
