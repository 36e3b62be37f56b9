"""Counts what the answers in a batch's output used, line by line as it passes.

A line is OpenAI's `{"response": {"body": ...}}` (https://platform.openai.com/docs/guides/batch), Anthropic's
`{"result": {"message": ...}}` (https://docs.anthropic.com/en/docs/build-with-claude/batch-processing) or Gemini's
`{"response": {"usageMetadata": ...}}`, which may stand in the batch itself (https://ai.google.dev/api/batch-api, 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from typing_extensions import override

from gateway.wire import anthropic_usage, gemini_usage
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


class _Response(msgspec.Struct, rename="camel"):
    body: _Body | None = None
    model_version: Any = ""
    usage_metadata: msgspec.Raw = _ABSENT


class _Result(msgspec.Struct):
    message: _Body | None = None


class _Line(msgspec.Struct):
    response: _Response | None = None
    result: _Result | None = None


class _Inlined(msgspec.Struct, rename="camel"):
    inlined_responses: list[_Line] | None = None


class _Output(msgspec.Struct, rename="camel"):
    inlined_responses: _Inlined | None = None


class _Batch(msgspec.Struct):
    response: _Output | None = None


_lines = msgspec.json.Decoder(_Line)
_batches = msgspec.json.Decoder(_Batch)


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
        self._holds = True
        """It is the output, and not only a batch that has none yet."""
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
            response_id=self._batch if self._ended and self._holds else "",
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
        self._count(said)

    def _count(self, said: _Line) -> None:
        model, usage = _told(said)
        if usage is None:
            return
        self._answers += 1
        self._models.add(text(model))
        self._usage = added(self._usage, usage)


class BatchObject(BatchOutput):
    """The same of a batch that may hold its output itself; one that does not is not counted."""

    def __init__(self, batch: str) -> None:
        super().__init__(batch)
        self._pieces: list[bytes] = []
        self._holds = False

    @override
    def feed(self, chunk: bytes) -> bytes:
        self.began = True
        self._pieces.append(chunk)
        return chunk

    @override
    def end(self) -> bytes:
        """Read the batch; hold nothing back."""
        with suppress(*_UNREADABLE):
            output = _batches.decode(b"".join(self._pieces)).response
            inlined = output.inlined_responses if output is not None else None
            for said in (inlined.inlined_responses if inlined is not None else None) or ():
                self._holds = True
                self._count(said)
        self._pieces.clear()
        self._ended = True
        return b""


def _told(said: _Line) -> tuple[Any, Usage | None]:
    """Return the model and the usage of which a line tells."""
    if (answer := said.response) is not None:
        if answer.body is not None:
            return answer.body.model, _parsed(answer.body.usage, parse_usage)
        return answer.model_version, _parsed(answer.usage_metadata, gemini_usage.parse_usage)
    message = said.result.message if said.result is not None else None
    if message is None:
        return "", None
    return message.model, _parsed(message.usage, anthropic_usage.parse_usage)


def _parsed(raw: msgspec.Raw, parse: Callable[[bytes], Usage | None]) -> Usage | None:
    found = object_bytes(raw)
    return parse(found) if found else None
