"""Reads an OpenAI chat stream as it passes.

Nearly every event is only searched, not parsed: one pass of a regular expression over a whole block costs
a fraction of decoding its events. What the search finds is then decoded and judged. A key can be searched
for in raw JSON because a quote inside a JSON string is always escaped.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.wire import sse
from gateway.wire.base import Finding
from gateway.wire.openai_answer import error_message, object_bytes, text
from gateway.wire.openai_usage import parse_usage

_BEGAN = re.compile(
    rb'"(?:content|reasoning_content|reasoning|refusal|arguments|transcript)"\s*:\s*(?:"(?!")|\[\s*\{)'
    rb'|"(?:tool_calls|function_call|audio)"\s*:\s*[\[{]'
)
_DONE = b"[DONE]"
_REMARKABLE = re.compile(
    rb'"(?:usage"\s*:\s*\{|finish_reason"\s*:\s*"|index"\s*:\s*[1-9]|error"\s*:\s*[^\sn])'
)
_NAMED_ERROR = re.compile(rb"(?:\A|[\r\n])event: ?error")


class _Choice(msgspec.Struct):
    index: Any = 0
    finish_reason: Any = None


class _Groq(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw(b"")


class _Event(msgspec.Struct):
    id: Any = ""
    model: Any = ""
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"")
    message: Any = ""
    x_groq: _Groq | None = None
    """Groq's usage without `include_usage` (recorded 2025-02)."""


_decoder = msgspec.json.Decoder(_Event)


class StreamReading:
    """Reads events as they pass; with `strip_usage`, takes out the usage event that nobody asked for."""

    def __init__(self, *, strip_usage: bool) -> None:
        self._strip = strip_usage
        self._splitter = sse.Splitter()
        self._began = False
        self._done = False
        self._id = ""
        self._model = ""
        self._raw_usage = b""
        self._finish_reason = ""
        self._seen: set[int] = {0}
        self._finished: set[int] = set()
        self._error = ""

    @property
    def began(self) -> bool:
        """Whether content, a refusal, reasoning or a tool call has been seen."""
        return self._began

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is, or with `strip_usage` the whole events known so far."""
        loose, block = self._splitter.push(chunk)
        passed = self._read(block) if block else b""
        if self._strip:
            return loose + passed if loose else passed
        return chunk

    def end(self) -> bytes:
        """Read an event that no blank line ended; return it if it was held back."""
        rest = self._splitter.end()
        passed = self._read(rest) if rest else b""
        return passed if self._strip else b""

    def finding(self) -> Finding:
        """Say what was seen; complete after `[DONE]`, or once every choice seen has finished."""
        return Finding(
            complete=self._done or self._finished >= self._seen,
            usage=parse_usage(self._raw_usage) if self._raw_usage else None,
            raw_usage=self._raw_usage,
            finish_reason=self._finish_reason,
            response_model=self._model,
            response_id=self._id,
            error=self._error,
        )

    def _read(self, block: bytes) -> bytes:
        """Read whole events; return those that may pass."""
        if not self._began:
            self._began = _BEGAN.search(block) is not None
        if not self._done and (at := block.find(_DONE)) >= 0:
            self._done = _says_done(block, at)
        if self._id:
            return self._search(block)
        return self._introduce(block)

    def _introduce(self, block: bytes) -> bytes:
        """Read events one by one until one says who is answering."""
        kept = b""
        rest = block
        while rest and not self._id:
            _, end = sse.span(rest, 0)
            if not self._note(rest[:end]):
                kept += rest[:end]
            rest = rest[end:]
        return kept + self._search(rest) if rest else kept

    def _search(self, block: bytes) -> bytes:
        """Find the events that say more than a word of the answer, and note them."""
        dropped: list[tuple[int, int]] = []
        end = 0
        for found in _REMARKABLE.finditer(block):
            if found.start() >= end:
                start, end = sse.span(block, found.start())
                if self._note(block[start:end]):
                    dropped.append((start, end))
        if b"event:" in block and (named := _NAMED_ERROR.search(block)) is not None:
            start, end = sse.span(block, named.end())
            self._note(block[start:end])
        return _without(block, dropped) if dropped else block

    def _note(self, event: bytes) -> bool:
        """Take what the event says; return whether it is to be taken out."""
        data = sse.data_of(event)
        if not data or data == _DONE:
            return False
        try:
            said = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._note_error(event, b"")
            return False
        self._id = self._id or text(said.id)
        self._model = self._model or text(said.model)
        for choice in said.choices or ():
            self._note_choice(choice)
        self._note_error(event, bytes(said.error), text(said.message))
        usage = object_bytes(said.usage)
        self._raw_usage = (
            usage or (object_bytes(said.x_groq.usage) if said.x_groq else b"") or self._raw_usage
        )
        return self._strip and bool(usage) and not said.choices

    def _note_choice(self, choice: _Choice) -> None:
        index = choice.index if isinstance(choice.index, int) else 0
        self._seen.add(index)
        if reason := text(choice.finish_reason):
            self._finished.add(index)
            if not self._finish_reason or index == 0:
                self._finish_reason = reason

    def _note_error(self, event: bytes, error: bytes, message: str = "") -> None:
        said = error_message(msgspec.Raw(error))
        if not said and b"event:" in event and _NAMED_ERROR.search(event) is not None:
            said = message or "error"
        self._error = self._error or said


def _says_done(block: bytes, at: int) -> bool:
    """Whether `[DONE]` is an event here, at `at` or later, and not a word of the answer."""
    while at >= 0:
        start, end = sse.span(block, at)
        if sse.data_of(block[start:end]) == _DONE:
            return True
        at = block.find(_DONE, at + 1)
    return False


def _without(block: bytes, spans: list[tuple[int, int]]) -> bytes:
    kept = []
    at = 0
    for start, end in spans:
        kept.append(block[at:start])
        at = end
    kept.append(block[at:])
    return b"".join(kept)
