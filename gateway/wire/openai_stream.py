"""Reads an OpenAI chat stream as it passes.

Nearly every event is like the one before it, but for a word of the answer. So the first such event is taken
for a pattern (what stands before the word, what stands after it), and the next ones are only compared with
it. What does not fit the pattern is searched, and what the search finds is decoded and judged. A key can be
searched for in raw JSON because a quote inside a JSON string is always escaped.
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
_WORD = re.compile(
    rb'"(?:content|reasoning_content|reasoning|arguments)"\s*:\s*"(?P<word>[^"\\\r\n]+)"[},][^\r\n]*\r?\n\r?\n'
)
_PADDING = re.compile(rb'"obfuscation"\s*:\s*"(?P<word>[^"\\\r\n]*)"[},]')
"""OpenAI pads its events to one length unless told not to: `stream_options.include_obfuscation` of its API
reference (2026-11)."""
_MOST_PATTERNS = 64
"""Learnt per stream. Providers write the second into each event, so that a pattern lasts as long."""
_NO_PATTERN = (b"\0", b"", b"")
_ABSENT = msgspec.Raw(b"")


class _Choice(msgspec.Struct):
    index: Any = 0
    finish_reason: Any = None


class _Groq(msgspec.Struct):
    usage: msgspec.Raw = _ABSENT


class _Event(msgspec.Struct):
    id: Any = ""
    model: Any = ""
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT
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
        self._pattern = _NO_PATTERN
        self._learnt = 0
        self._finding: Finding | None = None

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
        self._finding = self._sum_up()
        return passed if self._strip else b""

    def finding(self) -> Finding:
        """Say what was seen; complete after `[DONE]`, or once every choice seen has finished."""
        return self._finding or self._sum_up()

    def _sum_up(self) -> Finding:
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
        dropped: list[tuple[int, int]] = []
        at = self._skip(block, 0)
        if at == len(block):
            return block
        end_of = sse.end_of if b"\r" in block else sse.end_of_lines
        while at < len(block):
            end = end_of(block, at)
            if self._judge(block[at:end]):
                dropped.append((at, end))
            at = self._skip(block, end)
        return _without(block, dropped) if dropped else block

    def _skip(self, block: bytes, at: int) -> int:
        """Return where the first event at or after `at` begins that is not like the pattern.

        The word cannot hold a quote, so nothing that `_REMARKABLE` looks for can hide in it.
        """
        head, tail, shut = self._pattern
        past_head, past_tail, past_shut = len(head), len(tail), len(shut)
        begins, find = block.startswith, block.find
        while begins(head, at):
            quote = find(b'"', at + past_head)
            if not begins(tail, quote):
                break
            end = quote + past_tail
            if shut:
                quote = find(b'"', end)
                if not begins(shut, quote):
                    break
                end = quote + past_shut
            at = end
        return at

    def _judge(self, event: bytes) -> bool:
        """Take what the event says, if it says more than a word; return whether it is to be taken out."""
        if not self._began:
            self._began = _BEGAN.search(event) is not None
        if (
            not self._id
            or _REMARKABLE.search(event) is not None
            or (b"event:" in event and _NAMED_ERROR.search(event) is not None)
        ):
            return self._note(event)
        if _DONE in event and sse.data_of(event) == _DONE:
            self._done = True
        elif self._began and self._learnt < _MOST_PATTERNS:
            self._learn(event)
        return False

    def _learn(self, event: bytes) -> None:
        """Make an event that says nothing but a word the pattern."""
        word = _WORD.search(event)
        if word is None or word.end() != len(event):
            return
        self._learnt += 1
        start, end = word.span("word")
        padding = _PADDING.search(event, end) if b"obfuscation" in event else None
        if padding is None:
            self._pattern = event[:start], event[end:], b""
        else:
            shut, shut_end = padding.span("word")
            self._pattern = event[:start], event[end:shut], event[shut_end:]

    def _note(self, event: bytes) -> bool:
        """Take what the event says; return whether it is to be taken out."""
        data = sse.data_of(event)
        if data == _DONE:
            self._done = True
        if not data or data == _DONE:
            return False
        try:
            said = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._note_error(event, b"")
            return False
        if not self._id:
            self._id = text(said.id)
        if not self._model:
            self._model = text(said.model)
        for choice in said.choices or ():
            self._note_choice(choice)
        if said.error is not _ABSENT or b"event:" in event:
            self._note_error(event, bytes(said.error), text(said.message))
        if said.x_groq is not None and said.x_groq.usage is not _ABSENT:
            self._raw_usage = object_bytes(said.x_groq.usage) or self._raw_usage
        if said.usage is _ABSENT:
            return False
        usage = object_bytes(said.usage)
        self._raw_usage = usage or self._raw_usage
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


def _without(block: bytes, spans: list[tuple[int, int]]) -> bytes:
    kept = []
    at = 0
    for start, end in spans:
        kept.append(block[at:start])
        at = end
    kept.append(block[at:])
    return b"".join(kept)
