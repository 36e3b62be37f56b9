"""Writes a stream of chunks for a client.

Entries of lists in a delta have an `index`: OpenAI's clients put them together by it.
Sources: OpenAI's OpenAPI file, `CreateChatCompletionStreamResponse`; openai 2.54.0, lib/streaming/_deltas.py (2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.translation.base import Answering
from gateway.translation.conversation import Thinking, ToolCall
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Ended,
    Event,
    Likely,
    MediaPiece,
    RefusalPiece,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from gateway.translation.openai_chat.answer import (
    TIERS,
    annotation_of,
    call_id,
    logprobs_of,
    reason_of,
    usage_of,
)
from gateway.translation.openai_chat.reply_out import answer_id, audio_of
from gateway.translation.openai_chat.thoughts import block_of, extra_of

_encode = msgspec.json.encode
_DONE = b"data: [DONE]\n\n"
_NO_LOGPROBS = b'},"logprobs":null'


class ChatStreamWriter:
    """Writes what it hears, chunk by chunk."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._open = self._head = b""
        """How every chunk begins, and how those with a delta do."""
        self._usage = b',"usage":null' if answering.wants_usage else b""
        """OpenAI says so on every chunk if usage is to come."""
        self._tail = _NO_LOGPROBS + b',"finish_reason":null}]' + self._usage + b"}\n\n"
        self._start(Started())
        self._stopped = Stopped("end")
        self._counted: Counted | None = None
        self._refused = False
        self._calls: dict[int, bool] = {}
        """Whether any of a call's arguments have been written."""
        self._entries = {"thinking_blocks": 0, "annotations": 0, "images": 0}
        """How many of each list have been written."""
        self._thought: list[str] = []
        """The one that is not signed yet."""
        self._chars = 0
        self._first = -1
        """Where the text that goes on began; -1 if none does."""

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the chunks that say this."""
        out: list[bytes] = []
        words = False
        for event in events:
            match event:
                case TextPiece(text):
                    if self._first < 0:
                        self._turn(self._chars)
                    self._chars += len(text)
                    out.append(self._chunk(b'"content":' + _encode(text)))
                case CallPiece(call, arguments):
                    self._calls[call] = True
                    out.append(self._arguments(call, arguments))
                case Likely(logprobs):
                    said = b'},"logprobs":' + _encode(logprobs_of(logprobs))
                    begun = out.pop().removesuffix(self._tail) if words else self._head
                    out.append(begun + said + self._tail.removeprefix(_NO_LOGPROBS))
                case _:
                    out.append(self._write_rare(event))
            words = type(event) in (TextPiece, RefusalPiece)
        return b"".join(out)

    def _write_rare(self, event: Event) -> bytes:
        match event:
            case Started():
                return self._start(event)
            case ThinkingPiece(text):
                self._first = -1
                self._thought.append(text)
                return self._chunk(b'"reasoning_content":' + _encode(text))
            case RefusalPiece(text):
                self._turn()
                self._refused = True
                return self._chunk(b'"refusal":' + _encode(text))
            case CallStarted():
                return self._call(event)
            case ThinkingSigned() | MediaPiece() | Cited():
                return self._add(event)
            case _:
                return self._close(event)

    def _close(self, event: Event) -> bytes:
        match event:
            case Stopped():
                self._stopped = event
            case Counted():
                self._counted = event
            case Ended():
                return self._end()
            case _:
                pass
        return b""

    def _turn(self, first: int = -1) -> None:
        """Something else than a thought begins; text at the character `first`."""
        self._first = first
        self._thought.clear()

    def _chunk(self, delta: bytes) -> bytes:
        return self._head + delta + self._tail

    def _start(self, event: Started) -> bytes:
        head = {
            "id": event.id or answer_id(self._answering),
            "object": "chat.completion.chunk",
            "created": self._answering.created_s,
            "model": event.model or self._answering.model,
        }
        self._open = b"data: " + _encode(head)[:-1]
        self._head = self._open + b',"choices":[{"index":0,"delta":{'
        return self._chunk(b'"role":"assistant","content":"","refusal":null')

    def _add(self, event: ThinkingSigned | MediaPiece | Cited) -> bytes:
        """Write what is told as an entry of a list."""
        match event:
            case ThinkingSigned():
                shown = "" if event.hidden else "".join(self._thought)
                signed = Thinking(
                    text=shown,
                    signature=event.signature,
                    hidden=event.hidden,
                    id=event.id,
                    origin=event.origin,
                )
                self._turn()
                return self._entry("thinking_blocks", block_of(signed))
            case Cited(citation):
                said = annotation_of(citation, max(self._first, 0), self._chars)
                return self._entry("annotations", said) if said else b""
            case MediaPiece(media_type, data):
                self._turn()
                if media_type.startswith("image/"):
                    image = {"url": f"data:{media_type};base64,{data}"}
                    return self._entry("images", {"type": "image_url", "image_url": image})
                if media_type.startswith("audio/"):
                    return self._chunk(b'"audio":' + _encode(audio_of(data, self._answering)))
                return b""

    def _entry(self, name: str, entry: dict[str, Any]) -> bytes:
        index = self._entries[name]
        self._entries[name] += 1
        return self._chunk(_encode({name: [{"index": index, **entry}]})[1:-1])

    def _call(self, event: CallStarted) -> bytes:
        self._turn()
        self._calls[event.call] = False
        signed = ToolCall(id="", name="", signature=event.signature, origin=event.origin)
        call = {
            "index": event.call,
            "id": call_id(event.id, self._answering.call_id, event.call),
            "type": "function",
            "function": {"name": event.name, "arguments": ""},
            **extra_of(signed),
        }
        return self._chunk(b'"tool_calls":[' + _encode(call) + b"]")

    def _arguments(self, call: int, arguments: str) -> bytes:
        return self._chunk(
            b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]' % (call, _encode(arguments))
        )

    def _end(self) -> bytes:
        """Write the reason, usage if the client wants it, and the end."""
        out = [self._arguments(call, "{}") for call, begun in self._calls.items() if not begun]
        counted, stopped = self._counted, self._stopped
        reason = reason_of(stopped.stop, called=bool(self._calls), refused=self._refused)
        last = _NO_LOGPROBS + b',"finish_reason":' + _encode(reason)
        if stopped.stop_sequence:
            last += b',"stop_reason":' + _encode(stopped.stop_sequence)
        last += b"}]" + self._usage
        if counted is not None and counted.service_tier in TIERS:
            last += b',"service_tier":' + _encode(counted.service_tier)
        out.append(self._head + last + b"}\n\n")
        if counted is not None and self._answering.wants_usage:
            usage = _encode(usage_of(counted.usage))
            out.append(self._open + b',"choices":[],"usage":' + usage + b"}\n\n")
        out.append(_DONE)
        return b"".join(out)
