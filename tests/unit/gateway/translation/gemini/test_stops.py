from __future__ import annotations

import pytest

from gateway.translation.gemini import stops


@pytest.mark.parametrize(
    ("said", "called", "stop"),
    [
        ("STOP", False, "end"),
        ("STOP", True, "tool_calls"),
        (1, False, "end"),
        ("MAX_TOKENS", True, "length"),
        ("SAFETY", False, "filter"),
        ("PROHIBITED_CONTENT", False, "filter"),
        ("MALFORMED_FUNCTION_CALL", False, "other"),
        ("SOMETHING_NEW", False, "other"),
        ("CONTINUATION", False, "pause"),
        ("FINISH_REASON_UNSPECIFIED", False, None),
        (None, False, None),
        ({}, False, None),
    ],
)
def test_reasons_are_read(said, called, stop):
    assert stops.read(said, called=called) == stop


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        ("stop_sequence", "STOP"),
        ("tool_calls", "STOP"),
        ("context", "MAX_TOKENS"),
        ("refusal", "SAFETY"),
        ("pause", "OTHER"),
    ],
)
def test_reasons_are_written(stop, said):
    assert stops.write(stop) == said
