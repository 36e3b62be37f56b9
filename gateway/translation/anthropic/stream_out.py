"""Writes an Anthropic stream, as the official clients put it together.

They take the usage from `message_delta`, so `message_start` may say that there is none yet, and the input of a tool
from pieces alone. Source: anthropic-sdk-python 2.12.0, lib/streaming/_messages.py (2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.translation.anthropic import citations, stops
from gateway.translation.anthropic.blocks import RedactedBlock
from gateway.translation.anthropic.reply_out import call_id_of, id_of
from gateway.translation.anthropic.usage_out import usage_of
from gateway.translation.base import Answering
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Ended,
    Event,
    RefusalPiece,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from gateway.translation.signatures import seal, seal_call

_encode = msgspec.json.encode
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":%b,"type":"message","role":"assistant",'
    b'"model":%b,"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}}}'
    b"\n\n"
)
_BLOCK = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b":%b}}\n\n'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_END = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":%b,"stop_sequence":%b},"usage":%b}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
_TEXT = b'{"type":"text","text":""}'
_THOUGHT = b'{"type":"thinking","thinking":"","signature":""}'
_TEXT_DELTA = b'text_delta","text'
_JSON_DELTA = b'input_json_delta","partial_json'
_THINKING_DELTA = b'thinking_delta","thinking'
_SIGNATURE_DELTA = b'signature_delta","signature'
_CITATIONS_DELTA = b'citations_delta","citation'


class AnthropicStreamWriter:
    """Writes one stream. Blocks come one after another: what is said of a later call waits for the one before."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._out: list[bytes] = []
        self._index = -1
        """Of the last block that was begun."""
        self._kind = ""
        """Of the block that is open: text, thinking, tool_use; empty: none."""
        self._cited = False
        """The open text is complete, as its citations were written."""
        self._calls: list[_Call] = []
        """That are not finished; the first is open."""
        self._called = False
        self._refused = False
        self._began = False
        self._stopped = Stopped("end")
        self._counted: Counted | None = None
        self._writers: dict[type[Event], Callable[[Any], None]] = {
            TextPiece: self._text,
            ThinkingPiece: self._think,
            CallPiece: self._argue,
            CallStarted: self._call,
            ThinkingSigned: self._sign,
            Cited: self._cite,
            RefusalPiece: self._refuse,
            Started: self._start,
            Stopped: self._stop,
            Counted: self._count,
            Ended: self._end,
        }

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the bytes that say this. Pictures and likelihoods have no place."""
        writers = self._writers
        for event in events:
            writer = writers.get(type(event))
            if writer is not None:
                writer(event)
        written = b"".join(self._out)
        self._out.clear()
        return written

    def _start(self, event: Started) -> None:
        if not self._began:
            self._began = True
            answering = self._answering
            self._out.append(
                _START % (_encode(event.id or id_of(answering)), _encode(event.model or answering.model))
            )

    def _open(self, kind: str, block: bytes) -> None:
        """Begin a block, after the one that is open and the calls that wait."""
        self._close()
        self._begin(kind, block)

    def _begin(self, kind: str, block: bytes) -> None:
        self._start(Started())
        self._index += 1
        self._kind = kind
        self._out.append(_BLOCK % (self._index, block))

    def _close(self) -> None:
        while len(self._calls) > 1:
            self._next_call()
        self._calls.clear()
        self._finish()

    def _finish(self) -> None:
        if self._kind:
            self._kind = ""
            self._cited = False
            self._out.append(_STOP % self._index)

    def _delta(self, kind: bytes, value: str) -> None:
        self._out.append(_DELTA % (self._index, kind, _encode(value)))

    def _text(self, event: TextPiece | RefusalPiece) -> None:
        if self._kind != "text" or self._cited:
            self._open("text", _TEXT)
        self._delta(_TEXT_DELTA, event.text)

    def _refuse(self, event: RefusalPiece) -> None:
        self._refused = True
        self._text(event)

    def _cite(self, event: Cited) -> None:
        raw = citations.write(event.citation)
        if self._kind == "text" and raw is not None:
            self._cited = True
            self._out.append(_DELTA % (self._index, _CITATIONS_DELTA, bytes(raw)))

    def _think(self, event: ThinkingPiece) -> None:
        if self._kind != "thinking":
            self._open("thinking", _THOUGHT)
        self._delta(_THINKING_DELTA, event.text)

    def _sign(self, event: ThinkingSigned) -> None:
        signature = seal(event.signature, event.origin, "anthropic")
        if event.hidden:
            self._redact(signature)
            return
        if signature and self._kind != "thinking":
            self._open("thinking", _THOUGHT)
        if signature:
            self._delta(_SIGNATURE_DELTA, signature)
        if self._kind == "thinking":
            self._close()

    def _redact(self, data: str) -> None:
        self._open("redacted_thinking", _redacted(data))
        self._close()

    def _call(self, event: CallStarted) -> None:
        self._called = True
        if self._kind != "tool_use":
            self._close()
            self._calls.append(_Call(event))
            self._open_call()
        else:
            self._calls.append(_Call(event))
            self._advance()

    def _argue(self, event: CallPiece) -> None:
        for place, call in enumerate(self._calls):
            if call.number == event.call:
                call.pieces.append(event.arguments)
                if place == 0:
                    self._delta(_JSON_DELTA, event.arguments)
                else:
                    self._advance()
                return

    def _advance(self) -> None:
        """Go on to the next call if the open one is whole, so that it need not wait for the end."""
        while len(self._calls) > 1 and self._calls[0].is_whole():
            self._next_call()

    def _next_call(self) -> None:
        self._finish()
        del self._calls[0]
        self._open_call()

    def _open_call(self) -> None:
        call = self._calls[0]
        if call.signature:
            self._begin("redacted_thinking", _redacted(seal_call(call.signature, call.origin)))
            self._finish()
        made = call.id or call_id_of(self._answering, self._index + 1)
        block = {"type": "tool_use", "id": made, "name": call.name, "input": {}}
        self._begin("tool_use", _encode(block))
        for piece in call.pieces:
            self._delta(_JSON_DELTA, piece)

    def _stop(self, event: Stopped) -> None:
        self._stopped = event

    def _count(self, event: Counted) -> None:
        self._counted = event

    def _end(self, _event: Ended) -> None:
        self._start(Started())
        self._close()
        reason = stops.write(self._stopped.stop, calls=self._called, refuses=self._refused)
        counted = self._counted
        usage = usage_of(counted.usage if counted else None, counted.service_tier if counted else "")
        self._out.append(
            _END % (_encode(reason), _encode(self._stopped.stop_sequence or None), _encode(usage))
        )


class _Call:
    """One call, and all that was said of it."""

    __slots__ = ("id", "name", "number", "origin", "pieces", "signature")

    def __init__(self, event: CallStarted) -> None:
        self.number = event.call
        self.id = event.id
        self.name = event.name
        self.signature = event.signature
        self.origin = event.origin
        self.pieces: list[str] = []

    def is_whole(self) -> bool:
        """Say whether its arguments are complete."""
        if not self.pieces or not self.pieces[-1].rstrip().endswith("}"):
            return False
        try:
            _objects.decode("".join(self.pieces))
        except (ValueError, RecursionError):
            return False
        return True


def _redacted(data: str) -> bytes:
    return _encode(RedactedBlock(data))
