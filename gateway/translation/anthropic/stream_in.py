"""Reads an Anthropic stream.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming (2026-11).
"""

from __future__ import annotations

import msgspec
from typing_extensions import override

from gateway.translation.anthropic import citations, stops
from gateway.translation.anthropic.blocks import ABSENT, Block
from gateway.translation.anthropic.reply_in import StopDetails
from gateway.translation.conversation import Family
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Ended,
    Event,
    Failed,
    RefusalPiece,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from gateway.translation.signatures import unseal
from gateway.translation.sse_reader import SseReader
from gateway.wire.anthropic_usage import merge_usage, parse_usage, service_tier


class _Delta(msgspec.Struct):
    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: msgspec.Raw = ABSENT
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class _Message(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = ABSENT


class _Error(msgspec.Struct):
    type: str | None = None
    message: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: Block | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = ABSENT
    error: _Error | None = None


class _Open(msgspec.Struct):
    """A block that has not been stopped."""

    kind: str
    call: int = -1
    start: int = 0
    """Of its words, among those of the blocks of text that came one after another."""
    arguments: bytes = b""
    """That came with the block's start: what it is called with if no pieces follow."""
    signature: str = ""
    citations: list[msgspec.Raw] = []


_events = msgspec.json.Decoder(_Event)


class AnthropicStreamReader(SseReader):
    """Reads one stream. Citations are told when their block ends, as only then all their words are known."""

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._stopped = False
        self._calls = 0
        self._written = 0
        """Characters of the text that is being written."""
        self._open: dict[int, _Open] = {}
        self._usage = b""
        self._seal: tuple[str, Family] = ("", "")
        """Signature for the call that comes next."""

    @override
    def take(self, data: bytes, events: list[Event]) -> None:
        """Add what one event says."""
        try:
            said = _events.decode(data)
        except (ValueError, RecursionError):
            return
        if said.type == "content_block_delta":
            self._go_on(said, events)
        elif said.type == "content_block_start":
            self._begin(said, events)
        elif said.type == "content_block_stop":
            self._finish(said.index, events)
        else:
            self._take_message(said, events)

    def _take_message(self, said: _Event, events: list[Event]) -> None:
        match said.type:
            case "message_start":
                message = said.message or _Message()
                self._start(events, message.id or "", message.model or "")
                self._count(message.usage, events, output_uncounted=True)
            case "message_delta":
                self._start(events)
                self._stop(said.delta or _Delta(), events)
                self._count(said.usage, events, output_uncounted=False)
            case "message_stop":
                self._start(events)
                if not self._stopped:
                    events.append(Stopped("end"))
                events.append(Ended())
            case "error":
                error = said.error or _Error()
                events.append(Failed(error.message or "", error.type or ""))
            case _:
                pass

    def _start(self, events: list[Event], made: str = "", model: str = "") -> None:
        if not self._started:
            self._started = True
            events.append(Started(made, model))

    def _begin(self, said: _Event, events: list[Event]) -> None:
        block = said.content_block
        if block is None:
            return
        self._start(events)
        opened = _Open(block.type)
        self._open[said.index] = opened
        if block.type == "text":
            opened.start = self._written
            self._say(block.text or "", events)
            return
        self._written = 0
        if block.type == "tool_use":
            self._call(block, opened, events)
        elif block.type == "thinking":
            opened.signature = block.signature or ""
            if block.thinking:
                events.append(ThinkingPiece(block.thinking))
        elif block.type == "redacted_thinking":
            opened.signature = block.data or ""

    def _call(self, block: Block, opened: _Open, events: list[Event]) -> None:
        signature, origin = self._seal
        self._seal = ("", "")
        opened.call = self._calls
        opened.arguments = bytes(block.input)
        self._calls += 1
        events.append(CallStarted(opened.call, block.id or "", block.name or "", signature, origin))

    def _go_on(self, said: _Event, events: list[Event]) -> None:
        opened, delta = self._open.get(said.index), said.delta
        if opened is None or delta is None:
            return
        if delta.type == "text_delta" and opened.kind == "text":
            self._say(delta.text or "", events)
        elif delta.type == "input_json_delta" and opened.call >= 0:
            if delta.partial_json:
                opened.arguments = b""
                events.append(CallPiece(opened.call, delta.partial_json))
        elif delta.type == "thinking_delta" and opened.kind == "thinking":
            if delta.thinking:
                events.append(ThinkingPiece(delta.thinking))
        elif delta.type == "signature_delta":
            opened.signature = delta.signature or opened.signature
        elif delta.type == "citations_delta":
            opened.citations.append(delta.citation)

    def _say(self, text: str, events: list[Event]) -> None:
        if text:
            self._written += len(text)
            events.append(TextPiece(text))

    def _finish(self, index: int, events: list[Event]) -> None:
        opened = self._open.pop(index, None)
        if opened is None:
            return
        if opened.call >= 0:
            if opened.arguments:
                events.append(CallPiece(opened.call, opened.arguments.decode(errors="replace")))
        elif opened.kind == "text":
            if self._written > opened.start:
                found = (citations.read(raw, opened.start, self._written) for raw in opened.citations)
                events.extend(Cited(citation) for citation in found if citation is not None)
        elif opened.signature:
            signature, origin, of_call = unseal(opened.signature, "anthropic")
            if of_call:
                self._seal = (signature, origin)
            else:
                events.append(ThinkingSigned(signature, origin, opened.kind == "redacted_thinking"))

    def _stop(self, delta: _Delta, events: list[Event]) -> None:
        if delta.stop_details is not None and delta.stop_details.explanation:
            events.append(RefusalPiece(delta.stop_details.explanation))
        if delta.stop_reason is not None:
            self._stopped = True
            events.append(Stopped(stops.read(delta.stop_reason), delta.stop_sequence or ""))

    def _count(self, usage: msgspec.Raw, events: list[Event], *, output_uncounted: bool) -> None:
        """Tell the usage; counts are totals, so the last word on each counts."""
        news = bytes(usage)
        if not news.startswith(b"{"):
            return
        self._usage = merge_usage(self._usage, news) if self._usage else news
        counted = parse_usage(self._usage)
        if counted is not None:
            events.append(
                Counted(counted, self._usage, service_tier(self._usage), output_uncounted=output_uncounted)
            )
