"""Replies as the events of a stream, and the replies that events amount to."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from gateway.translation.base import StreamReader
from gateway.translation.conversation import (
    Citation,
    Media,
    Refusal,
    Reply,
    Text,
    Thinking,
    ToolCall,
)
from gateway.translation.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Ended,
    Event,
    Failed,
    Likely,
    MediaPiece,
    RefusalPiece,
    Started,
    Stopped,
    TextPiece,
    ThinkingPiece,
    ThinkingSigned,
)
from tests.fakes.conversations import MEDIA_TYPES, ReplyPart


def events_of(reply: Reply, *, size: int = 4, interleaved: bool = False) -> list[Event]:
    """What a reader would tell of this answer: words in pieces of `size` characters; calls' pieces in turns, if asked."""
    events: list[Event] = [Started(reply.id, reply.model)]
    calls: list[list[Event]] = []
    for part in reply.parts:
        if not isinstance(part, ToolCall):
            events.extend(_in_turns(calls, interleaved=interleaved))
            calls = []
            events.extend(_told(part, size))
            continue
        number = sum(isinstance(event, CallStarted) for event in events) + len(calls)
        begun = CallStarted(number, part.id, part.name, part.signature, part.origin)
        calls.append([begun, *(CallPiece(number, piece) for piece in cut(part.arguments, size))])
    events.extend(_in_turns(calls, interleaved=interleaved))
    if reply.logprobs:
        events.append(Likely(reply.logprobs))
    events.append(Stopped(reply.stop, reply.stop_sequence))
    if reply.usage is not None:
        events.append(Counted(reply.usage, reply.raw_usage, reply.service_tier))
    events.append(Ended())
    return events


def cut(text: str, size: int) -> list[str]:
    """The text in pieces of so many characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def _told(part: ReplyPart, size: int) -> Iterator[Event]:
    match part:
        case Text():
            yield from map(TextPiece, cut(part.text, size))
            yield from map(Cited, part.citations)
        case Refusal():
            yield from map(RefusalPiece, cut(part.text, size))
        case Thinking():
            yield from map(ThinkingPiece, cut(part.text, size))
            if part.signature or part.id:
                yield ThinkingSigned(part.signature, part.origin, part.hidden, part.id)
        case Media():
            yield MediaPiece(part.media_type, part.data)
        case ToolCall():
            raise AssertionError("calls are told by events_of")


def _in_turns(calls: list[list[Event]], *, interleaved: bool) -> Iterator[Event]:
    if not interleaved:
        for call in calls:
            yield from call
        return
    for at in range(max(map(len, calls), default=0)):
        for call in calls:
            if at < len(call):
                yield call[at]


class Gathering:
    """Puts an answer together from what a stream tells."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.parts: list[ReplyPart] = []
        self._calls: dict[int, int] = {}
        """Where in `parts` a call stands."""
        self._open = False
        """The last part may still grow."""

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self.fields.update(id=event.id, model=event.model)
            case TextPiece():
                self._grow(Text, event.text)
            case RefusalPiece():
                self._grow(Refusal, event.text)
            case ThinkingPiece():
                self._grow(Thinking, event.text)
            case ThinkingSigned():
                self._sign(event)
            case Cited():
                self._cite(event.citation)
            case CallStarted():
                assert event.call == len(self._calls), "calls are counted from 0"
                self._calls[event.call] = len(self.parts)
                self._add(
                    ToolCall(
                        id=event.id,
                        name=event.name,
                        arguments="",
                        signature=event.signature,
                        origin=event.origin,
                    )
                )
            case CallPiece():
                at = self._calls[event.call]
                call = self.parts[at]
                assert isinstance(call, ToolCall)
                self.parts[at] = msgspec.structs.replace(call, arguments=call.arguments + event.arguments)
            case MediaPiece():
                self._add(_piece_of_media(event))
            case _:
                self._close(event)

    def _close(self, event: Event) -> None:
        match event:
            case Likely():
                self.fields["logprobs"] = (*self.fields.get("logprobs", ()), *event.logprobs)
            case Stopped():
                self.fields.update(stop=event.stop, stop_sequence=event.stop_sequence)
            case Counted():
                self.fields.update(
                    usage=event.usage, raw_usage=event.raw_usage, service_tier=event.service_tier
                )
            case _:
                raise AssertionError(f"unexpected: {event}")

    def reply(self) -> Reply:
        parts = tuple(
            msgspec.structs.replace(part, arguments="{}")
            if isinstance(part, ToolCall) and not part.arguments
            else part
            for part in self.parts
        )
        return Reply(parts=parts, **self.fields)

    def _add(self, part: ReplyPart) -> None:
        self.parts.append(part)
        self._open = True

    def _grow(self, kind: Callable[..., Text | Refusal | Thinking], text: str) -> None:
        last = self.parts[-1] if self.parts and self._open else None
        if isinstance(last, Text | Refusal | Thinking) and type(last) is kind:
            self.parts[-1] = msgspec.structs.replace(last, text=last.text + text)
        else:
            self._add(kind(text=text))

    def _sign(self, event: ThinkingSigned) -> None:
        signed: dict[str, Any] = {"signature": event.signature, "origin": event.origin, "id": event.id}
        last = self.parts[-1] if self.parts and self._open else None
        if isinstance(last, Thinking) and not event.hidden:
            self.parts[-1] = msgspec.structs.replace(last, **signed)
        else:
            self._add(Thinking(hidden=event.hidden, **signed))
        self._open = False

    def _cite(self, citation: Citation) -> None:
        last = self.parts[-1] if self.parts else None
        assert isinstance(last, Text), "only words cite"
        self.parts[-1] = msgspec.structs.replace(last, citations=(*last.citations, citation))


def _piece_of_media(event: MediaPiece) -> Media:
    kinds = {kind.partition("/")[0]: name for name, kind in MEDIA_TYPES.items() if name != "document"}
    kind: Any = kinds.get(event.media_type.partition("/")[0], "document")
    return Media(kind=kind, media_type=event.media_type, data=event.data)


def reply_of(events: Iterable[Event]) -> Reply:
    """The answer that a whole stream told, exactly as events.py says it must."""
    told = list(events)
    assert isinstance(told[-1], Ended), f"not whole: {told[-1]}"
    assert isinstance(told[0], Started)
    gathering = Gathering()
    for event in told[:-1]:
        assert not isinstance(event, Ended | Failed), "nothing follows an end"
        gathering.take(event)
    return gathering.reply()


def told(reader: StreamReader, chunks: Iterable[bytes]) -> list[Event]:
    """Everything that a reader tells of a stream that arrives in these chunks."""
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return events + reader.end()


def ways(stream: bytes, seed: int = 0) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """The stream whole, byte by byte, and in random pieces."""
    pieces: list[bytes] = []
    chance = random.Random(seed)
    at = 0
    while at < len(stream):
        size = chance.choice((1, 2, 7, 40, 300, 2000))
        pieces.append(stream[at : at + size])
        at += size
    return [stream], [stream[at : at + 1] for at in range(len(stream))], pieces


def cut_off(stream: bytes, seed: int = 0, tries: int = 40) -> Iterator[bytes]:
    """The stream cut off at so many random places, the first and last bytes among them."""
    chance = random.Random(seed)
    last = len(stream) - 1
    for at in {0, 1, last, *(chance.randint(0, last) for _ in range(tries))}:
        yield stream[:at]
