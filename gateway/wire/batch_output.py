"""Counts what the answers in a batch's output used, line by line as it passes.

A line is OpenAI's `{"response": {"body": ...}}` (https://platform.openai.com/docs/guides/batch) or Anthropic's
`{"result": {"message": ...}}` (https://docs.anthropic.com/en/docs/build-with-claude/batch-processing, 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.wire import anthropic_usage
from gateway.wire.base import Finding
from gateway.wire.openai_answer import object_bytes, text
from gateway.wire.openai_usage import parse_usage
from gateway.wire.sums import added
from telemetry.records import BATCH, Usage

LONGEST_LINE = 4 << 20
"""Bytes; a longer one, say of pictures, passes uncounted, and the sum is no longer the whole."""

_ABSENT = msgspec.Raw(b"")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Body(msgspec.Struct):
    model: Any = ""
    usage: msgspec.Raw = _ABSENT


class _Response(msgspec.Struct):
    body: _Body | None = None


class _Result(msgspec.Struct):
    message: _Body | None = None


class _Line(msgspec.Struct):
    response: _Response | None = None
    result: _Result | None = None


_lines = msgspec.json.Decoder(_Line)


class BatchOutput:
    """`gateway.wire.base.Reading` of the output of one batch."""

    def __init__(self, batch: str) -> None:
        self.counted = False
        """It is for this call to count it: nobody has before."""
        self.began = False
        self._batch = batch
        self._rest = bytearray()
        self._unread = False
        """The line under way is too long."""
        self._whole = True
        self._ended = False
        self._usage: Usage | None = None
        self._answers = 0
        self._models: set[str] = set()

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is."""
        self.began = True
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._take(line)
            self._end_line()
        self._take(rest)
        return chunk

    def end(self) -> bytes:
        """Read a last line that no line break ended; hold nothing back."""
        self._end_line()
        self._ended = True
        return b""

    def finding(self) -> Finding:
        """Say what was seen; the usage only if it is for this call to count it."""
        usage = self._usage if self.counted and self._whole else None
        return Finding(
            complete=self._ended,
            usage=usage,
            raw_usage=b'{"answers":%d}' % self._answers if usage is not None else b"",
            response_model=next(iter(self._models)) if len(self._models) == 1 else "",
            response_id=self._batch if self._ended else "",
            service_tier=BATCH if self.counted else "",
            usage_due="untold" if self.counted else "elsewhere",
        )

    def _take(self, part: bytes) -> None:
        if len(self._rest) + len(part) > LONGEST_LINE:
            self._unread = True
            self._rest.clear()
        if not self._unread:
            self._rest += part

    def _end_line(self) -> None:
        line, self._whole = bytes(self._rest), self._whole and not self._unread
        self._rest.clear()
        self._unread = False
        try:
            said = _lines.decode(line)
        except _UNREADABLE:
            return
        body = said.response.body if said.response is not None else None
        parse = parse_usage
        if body is None and said.result is not None:
            body, parse = said.result.message, anthropic_usage.parse_usage
        if body is None or not (raw := object_bytes(body.usage)) or (usage := parse(raw)) is None:
            return
        self._answers += 1
        self._models.add(text(body.model))
        self._usage = added(self._usage, usage)
