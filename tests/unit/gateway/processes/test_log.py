"""Log lines that people and grep can read."""

from __future__ import annotations

import logging
import re
import sys

from gateway.processes.log import EventFormatter


def _line(message: str, *, error: bool = False, **fields: object) -> str:
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, message, None, None)
    vars(record).update(fields)
    if error:
        try:
            raise ValueError("boom")
        except ValueError:
            record.exc_info = sys.exc_info()
    return EventFormatter("worker-1").format(record)


def test_an_event_is_one_line_with_its_fields() -> None:
    line = _line("child_ended", child="hub", code=-9, again_in_s=0.25)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning worker-1 child_ended child=hub code=-9 again_in_s=0.25",
        line,
    )


def test_a_value_cannot_break_the_line_or_pretend_to_be_a_field() -> None:
    line = _line("failed", reason="no\nmore", who="a=b c", empty="")
    assert "\n" not in line
    assert line.endswith(r'failed reason="no\nmore" who="a=b c" empty=""')


def test_a_trace_follows_its_event() -> None:
    lines = _line("request_failed", error=True).splitlines()
    assert lines[0].endswith("request_failed")
    assert lines[-1] == "ValueError: boom"
