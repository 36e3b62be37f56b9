"""Reads an Anthropic stream as it passes.

Four kinds of events say more than words: `message_start`, `message_delta`, `message_stop` and `error`. Only
blocks of bytes in which one of them is named are looked at more closely.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming (2026-11).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.wire import sse
from gateway.wire.anthropic_usage import merge_usage, parse_usage, service_tier
from gateway.wire.base import Finding
from gateway.wire.openai_answer import error_message, object_bytes, text

_ABSENT = msgspec.Raw(b"")
_NAME = re.compile(rb"(?:\A|[\r\n])event:[ \t]*([a-z_]+)")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Event(msgspec.Struct):
    type: Any = None
    message: msgspec.Raw = _ABSENT
    delta: msgspec.Raw = _ABSENT
    usage: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT


class _Message(msgspec.Struct):
    id: Any = ""
    model: Any = ""
    stop_reason: Any = None
    usage: msgspec.Raw = _ABSENT


_events = msgspec.json.Decoder(_Event)
_messages = msgspec.json.Decoder(_Message)
_NOTHING = _Message()


class StreamReading:
    """Reads events as they pass; takes out none."""

    __slots__ = (
        "_began",
        "_counted",
        "_done",
        "_error",
        "_finding",
        "_id",
        "_model",
        "_raw_usage",
        "_splitter",
        "_stop_reason",
    )

    def __init__(self) -> None:
        self._splitter = sse.Splitter()
        self._began = False
        self._done = False
        self._counted = False
        """The output was counted: what `message_start` says of it is a placeholder."""
        self._id = ""
        self._model = ""
        self._stop_reason = ""
        self._raw_usage = b""
        self._error = ""
        self._finding: Finding | None = None

    @property
    def began(self) -> bool:
        """Whether any part of a content block has been seen."""
        return self._began

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk as it is."""
        block = self._splitter.push(chunk)[1]
        if block:
            self._read(block)
        return chunk

    def end(self) -> bytes:
        """Read an event that no blank line ended; nothing was held back."""
        rest = self._splitter.end()
        if rest:
            self._read(rest)
        self._finding = self._sum_up()
        return b""

    def finding(self) -> Finding:
        """Say what was seen; complete after `message_stop`."""
        return self._finding or self._sum_up()

    def _sum_up(self) -> Finding:
        usage = parse_usage(self._raw_usage) if self._raw_usage else None
        return Finding(
            complete=self._done,
            usage=usage,
            raw_usage=self._raw_usage,
            output_uncounted=usage is not None and not self._counted,
            finish_reason=self._stop_reason,
            response_model=self._model,
            response_id=self._id,
            error=self._error,
            service_tier=service_tier(self._raw_usage),
        )

    def _read(self, block: bytes) -> None:
        if not self._began:
            self._began = b"content_block_delta" in block or b"content_block_stop" in block
        message, error = block.find(b"message_"), block.find(b"error")
        if message < 0 and error < 0:
            return
        if sse.CR in block:
            self._read_each(block)
            return
        while message >= 0 or error >= 0:
            at = message if error < 0 or 0 <= message < error else error
            start, end = block.rfind(b"\n\n", 0, at), block.find(b"\n\n", at)
            end = len(block) if end < 0 else end
            self._note(block[0 if start < 0 else start + 2 : end])
            if 0 <= message < end:
                message = block.find(b"message_", end)
            if 0 <= error < end:
                error = block.find(b"error", end)

    def _read_each(self, block: bytes) -> None:
        """Do the same, slower, for a block with other line ends."""
        at = 0
        while at < len(block):
            end = sse.end_of(block, at)
            event = block[at:end]
            if b"message_" in event or b"error" in event:
                self._note(event)
            at = end

    def _note(self, event: bytes) -> None:
        """Take what the event says, if it is one of the four."""
        named = _NAME.search(event)
        name = named[1].decode() if named is not None else ""
        try:
            said = _events.decode(_data(event))
        except _UNREADABLE:
            if name == "error":
                self._error = self._error or "error"
            return
        match text(said.type) or name:
            case "message_start":
                self._take(_message(said.message))
            case "message_delta":
                self._stop_reason = text(_message(said.delta).stop_reason) or self._stop_reason
                self._counted |= self._count(said.usage)
            case "message_stop":
                self._done = True
            case "error" | "":
                self._error = self._error or error_message(said.error) or ("error" if name == "error" else "")
            case _:
                pass

    def _take(self, message: _Message) -> None:
        self._id = self._id or text(message.id)
        self._model = self._model or text(message.model)
        self._stop_reason = text(message.stop_reason) or self._stop_reason
        self._count(message.usage)

    def _count(self, usage: msgspec.Raw) -> bool:
        """Take the usage; say whether it is one."""
        news = object_bytes(usage)
        if news:
            self._raw_usage = merge_usage(self._raw_usage, news) if self._raw_usage else news
        return bool(news)


def _message(raw: msgspec.Raw) -> _Message:
    try:
        return _messages.decode(raw)
    except _UNREADABLE:
        return _NOTHING


def _data(event: bytes) -> bytes:
    """Return the event's data; without a regular expression, if its last line is all of it."""
    at = event.find(b"\ndata:") + 1
    line = event[at + 5 :]
    if at and sse.LF not in line and sse.CR not in line:
        return line
    return sse.data_of(event)
