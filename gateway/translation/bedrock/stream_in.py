"""Reads ConverseStream's events."""

from __future__ import annotations

import msgspec

from gateway.translation.bedrock.reply_in import (
    STOPS,
    Additional,
    Tier,
    read_citation,
    read_image,
    read_tier,
    read_usage,
)
from gateway.translation.bedrock.shapes import File, Shape
from gateway.translation.conversation import Citation
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Ended,
    Event,
    Failed,
    MediaPiece,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from gateway.wire.aws_event_stream import Damaged, Frame, Frames

_NULL = msgspec.Raw(b"null")
_LAST = ("messageStop", "metadata")
"""A stream without one of them was cut off."""


class _Call(Shape):
    tool_use_id: str | None = None
    name: str | None = None
    type: str | None = None


class _Start(Shape):
    tool_use: _Call | None = None
    image: File | None = None


class _Input(Shape):
    input: str | None = None


class _Thought(Shape):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(Shape):
    text: str | None = None
    tool_use: _Input | None = None
    reasoning_content: _Thought | None = None
    citation: msgspec.Raw = _NULL
    image: File | None = None


class _Payload(Shape):
    """Of every event: they share no name that means two things."""

    start: _Start | None = None
    delta: _Delta | None = None
    content_block_index: int | None = None
    stop_reason: str | None = None
    additional_model_response_fields: Additional | None = None
    usage: msgspec.Raw = _NULL
    service_tier: Tier | None = None
    message: str | None = None


_payloads = msgspec.json.Decoder(_Payload, strict=False)


class BedrockStreamReader:
    """Knows which block is open, and what is told only at its end."""

    def __init__(self) -> None:
        self._frames = Frames()
        self._over = False
        self._told: set[str] = set()
        """Which of the two last events there were."""
        self._block = -1
        self._calls: dict[int, int] = {}
        """Of each block that is a call, which of them it is."""
        self._signature = ""
        self._citations: list[Citation] = []
        self._spoken = False
        """The open block has words."""
        self._format = ""
        """Of the image that the open block is."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Return what happened in the next bytes."""
        events: list[Event] = []
        if self._over:
            return events
        try:
            frames = self._frames.feed(chunk)
        except Damaged as error:
            self._fail("damaged_stream", str(error), events)
            return events
        for frame in frames:
            if frame.kind == "event":
                self._take(frame, events)
            else:
                self._refuse(frame, events)
            if events and isinstance(events[-1], Ended | Failed):
                break
        return events

    def end(self) -> list[Event]:
        """Return nothing: usage comes last of all, and a stream without it was cut off."""
        return []

    def _take(self, frame: Frame, events: list[Event]) -> None:
        said = _read(frame)
        match frame.name:
            case "contentBlockDelta":
                self._open(said, events)
                if said.delta is not None:
                    self._more(said.delta, events)
            case "contentBlockStart":
                self._open(said, events)
                if said.start is not None:
                    self._begin(said.start, events)
            case "messageStart":
                events.append(Started())
            case "contentBlockStop":
                self._close(events)
            case "messageStop":
                self._close(events)
                self._stop(said, events)
            case "metadata":
                self._count(said, events)
            case _:
                pass

    def _refuse(self, frame: Frame, events: list[Event]) -> None:
        """Tell an exception, or an error of the stream itself."""
        said = frame.payload.decode(errors="replace") if frame.kind == "error" else _read(frame).message
        code = frame.name[:1].upper() + frame.name[1:]  # as it is written in an answer that is no stream
        self._fail(code, said or code or "error", events)

    def _fail(self, code: str, message: str, events: list[Event]) -> None:
        self._over = True
        events.append(Failed(message, code))

    def _open(self, said: _Payload, events: list[Event]) -> None:
        index = said.content_block_index or 0
        if index != self._block:
            self._close(events)
            self._block = index

    def _begin(self, start: _Start, events: list[Event]) -> None:
        call = start.tool_use
        if start.image is not None:
            self._format = start.image.format or ""
        if call is None or call.type == "server_tool_use":
            return
        number = self._calls[self._block] = len(self._calls)
        events.append(CallStarted(number, call.tool_use_id or "", call.name or ""))

    def _more(self, delta: _Delta, events: list[Event]) -> None:
        if delta.text:
            self._spoken = True
            events.append(TextPiece(delta.text))
        elif delta.tool_use is not None:
            call = self._calls.get(self._block)
            if call is not None and delta.tool_use.input:
                events.append(CallPiece(call, delta.tool_use.input))
        elif delta.reasoning_content is not None:
            self._think(delta.reasoning_content, events)
        elif delta.image is not None:
            delta.image.format = delta.image.format or self._format
            if (image := read_image(delta.image)) is not None:
                events.append(MediaPiece(image.media_type, image.data))
        elif (citation := read_citation(delta.citation)) is not None:
            self._citations.append(citation)

    def _think(self, thought: _Thought, events: list[Event]) -> None:
        if thought.text:
            events.append(ThinkingPiece(thought.text))
        if thought.signature:
            self._signature += thought.signature
        if thought.redacted_content:
            events.append(ThinkingSigned(thought.redacted_content, "bedrock", hidden=True))

    def _close(self, events: list[Event]) -> None:
        """Tell what belongs to the whole block: a citation comes before the words it is about."""
        if self._signature:
            events.append(ThinkingSigned(self._signature, "anthropic"))
            self._signature = ""
        if self._citations:
            if self._spoken:
                events.extend(map(Cited, self._citations))
            self._citations = []
        self._spoken = False

    def _stop(self, said: _Payload, events: list[Event]) -> None:
        stop = STOPS.get(said.stop_reason or "", "other")
        extra = said.additional_model_response_fields
        met = (extra.stop_sequence or "") if extra is not None and stop == "stop_sequence" else ""
        events.append(Stopped(stop, met))
        self._end("messageStop", events)

    def _count(self, said: _Payload, events: list[Event]) -> None:
        usage, raw_usage = read_usage(said.usage)
        if usage is not None:
            events.append(Counted(usage, raw_usage, read_tier(said.service_tier)))
        self._end("metadata", events)

    def _end(self, name: str, events: list[Event]) -> None:
        self._told.add(name)
        if len(self._told) == len(_LAST):
            self._over = True
            events.append(Ended())


def _read(frame: Frame) -> _Payload:
    try:
        return _payloads.decode(frame.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Payload()
