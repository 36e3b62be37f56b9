from __future__ import annotations

import pytest

from gateway.wire.passthrough_words import words

JSON = "application/json"


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        (JSON, b'{"model": "m", "prompt": "high tide"}', "high tide"),
        (JSON, b'{"input": ["a", "b", 1], "instructions": "softly"}', "a\nb\nsoftly"),
        (JSON, b'{"query": "tide", "documents": ["no"]}', "tide"),
        (JSON, b'{"text": "High tide."}', "High tide."),
        (JSON, b'{"data": []}', ""),
        (JSON, b"{", ""),
        (JSON, b"[1]", ""),
        ("text/plain", b"High tide.", "High tide."),
        (
            "text/event-stream",
            b'data: {"delta": "High "}\r\n\r\ndata: {"delta": "tide"}\n\ndata: [DONE]',
            "High tide",
        ),
    ],
)
def test_what_is_said_is_found(content_type, body, said):
    assert words(content_type, body) == said
