"""Reads a response that comes as a stream of typed events.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from typing_extensions import override

from gateway.translation.conversation import Refusal, Text, Thinking, ToolCall
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
from gateway.translation.openai_responses.citations import read_citations
from gateway.translation.openai_responses.items_in import (
    BETWEEN,
    read_call,
    read_picture,
    read_thought,
    signed,
)
from gateway.translation.openai_responses.reply_in import content_of, read_content, read_logprobs, stop_of
from gateway.translation.openai_responses.shapes import ABSENT, Item, Logprobs, Part, Response
from gateway.translation.sse_reader import SseReader
from gateway.wire.openai_answer import error_message, object_bytes
from gateway.wire.openai_usage import parse_usage

_encode = msgspec.json.encode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Event(msgspec.Struct):
    type: str = ""
    delta: Any = ""
    output_index: int | None = None
    item_id: str | None = None
    summary_index: int | None = None
    item: Item | None = None
    part: Part | None = None
    response: Response | None = None
    logprobs: list[Logprobs] | None = None
    message: Any = ""
    code: Any = ""
    error: msgspec.Raw = ABSENT

    @property
    def place(self) -> int | str:
        """Which item it is about: its place, where a provider says it, because not all keep its id."""
        return (self.item_id or "") if self.output_index is None else self.output_index

    @property
    def words(self) -> str:
        return self.delta if isinstance(self.delta, str) else ""


_events = msgspec.json.Decoder(_Event, strict=False)


class _Call:
    """A call that is being told."""

    def __init__(self, number: int, *, freeform: bool) -> None:
        self.number = number
        self.freeform = freeform
        self.told = False
        """A piece of its arguments has come."""


class Reader(SseReader):
    """A StreamReader of responses."""

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._told: set[int | str] = set()
        """Items of which words have come, or all."""
        self._calls: dict[int | str, _Call] = {}
        self._signature: Thinking | None = None
        """Of the call that comes next."""
        self._refused = False
        self._hearing: dict[str, Callable[[_Event, list[Event]], None]] = {
            "response.created": self._start,
            "response.in_progress": self._start,
            "response.output_text.delta": self._text,
            "response.refusal.delta": self._refuse,
            "response.reasoning_summary_text.delta": self._think,
            "response.reasoning_text.delta": self._think,
            "response.reasoning_summary_part.added": self._think_on,
            "response.content_part.done": self._cite,
            "response.output_item.added": self._add,
            "response.function_call_arguments.delta": self._argue,
            "response.custom_tool_call_input.delta": self._argue,
            "response.output_item.done": self._finish,
            "response.completed": self._complete,
            "response.incomplete": self._complete,
            "response.failed": self._fail,
            "response.cancelled": self._fail,
            "error": self._error,
        }

    @override
    def take(self, data: bytes, events: list[Event]) -> None:
        try:
            said = _events.decode(data)
        except _UNREADABLE:
            return
        if (hear := self._hearing.get(said.type)) is not None:
            hear(said, events)
        elif not said.type and said.error is not ABSENT:
            self._error(said, events)

    def _start(self, said: _Event, events: list[Event]) -> None:
        if not self._started and said.response is not None:
            self._started = True
            events.append(Started(said.response.id or "", said.response.model or ""))

    def _text(self, said: _Event, events: list[Event]) -> None:
        self._told.add(said.place)
        events.append(TextPiece(said.words))
        if said.logprobs:
            events.append(Likely(read_logprobs(said.logprobs)))

    def _refuse(self, said: _Event, events: list[Event]) -> None:
        self._told.add(said.place)
        self._refused = True
        events.append(RefusalPiece(said.words))

    def _think(self, said: _Event, events: list[Event]) -> None:
        self._told.add(said.place)
        events.append(ThinkingPiece(said.words))

    def _think_on(self, said: _Event, events: list[Event]) -> None:
        if said.summary_index and said.place in self._told:
            events.append(ThinkingPiece(BETWEEN))

    def _cite(self, said: _Event, events: list[Event]) -> None:
        if said.part is not None and said.place in self._told:
            events.extend(map(Cited, read_citations(said.part.annotations)))

    def _add(self, said: _Event, events: list[Event]) -> None:
        if said.item is not None and (call := read_call(said.item)) is not None:
            self._begin(call, said.item, said.place, events)

    def _begin(self, call: ToolCall, item: Item, place: int | str, events: list[Event]) -> _Call:
        begun = _Call(len(self._calls), freeform=item.type == "custom_tool_call")
        self._calls[place] = begun
        call, self._signature = signed(call, self._signature), None
        events.append(CallStarted(begun.number, call.id, call.name, call.signature, call.origin))
        return begun

    def _argue(self, said: _Event, events: list[Event]) -> None:
        call = self._calls.get(said.place)
        if call is None or not said.words:
            return
        piece = said.words
        if call.freeform:
            piece = _encode(piece)[1:-1].decode()
            if not call.told:
                piece = '{"input":"' + piece
        call.told = True
        events.append(CallPiece(call.number, piece))

    def _finish(self, said: _Event, events: list[Event]) -> None:
        if said.item is not None:
            self._done(said.item, said.place, events)

    def _done(self, item: Item, place: int | str, events: list[Event]) -> None:
        """Tell what an item holds, unless it was told piece by piece."""
        if item.type == "reasoning":
            self._done_thinking(item, place, events)
        elif (call := read_call(item)) is not None:
            begun = self._calls.get(place) or self._begin(call, item, place, events)
            if not begun.told:
                begun.told = True
                events.append(CallPiece(begun.number, call.arguments))
            elif begun.freeform:
                events.append(CallPiece(begun.number, '"}'))
        elif item.type == "image_generation_call":
            if (picture := read_picture(item)) is not None:
                events.append(MediaPiece(picture.media_type, picture.data))
        elif place not in self._told:
            self._done_saying(item, events)
        self._told.add(place)

    def _done_thinking(self, item: Item, place: int | str, events: list[Event]) -> None:
        thought, of_call = read_thought(item)
        if of_call:
            self._signature = thought
            return
        if thought.text and place not in self._told:
            events.append(ThinkingPiece(thought.text))
        if thought.signature:
            events.append(ThinkingSigned(thought.signature, thought.origin, thought.hidden, thought.id))

    def _done_saying(self, item: Item, events: list[Event]) -> None:
        for part in read_content(content_of(item)):
            if isinstance(part, Text):
                events.append(TextPiece(part.text))
                events.extend(map(Cited, part.citations))
            elif isinstance(part, Refusal):
                self._refused = True
                events.append(RefusalPiece(part.text))

    def _complete(self, said: _Event, events: list[Event]) -> None:
        response = said.response
        if response is None:
            return
        self._start(said, events)
        if not self._told:  # nor calls: a provider that tells everything at the end
            for place, item in enumerate(response.output or ()):
                self._done(item, place, events)
        response.status = said.type.removeprefix("response.")
        events.append(Stopped(stop_of(response, called=bool(self._calls), refused=self._refused)))
        raw_usage = object_bytes(response.usage)
        if raw_usage and (usage := parse_usage(raw_usage)) is not None:
            events.append(Counted(usage, raw_usage, response.service_tier or ""))
        events.append(Ended())

    def _fail(self, said: _Event, events: list[Event]) -> None:
        error = said.response.error if said.response is not None else ABSENT
        events.append(Failed(error_message(error) or said.type.removeprefix("response."), _code(error)))

    def _error(self, said: _Event, events: list[Event]) -> None:
        message = said.message if isinstance(said.message, str) else ""
        code = said.code if isinstance(said.code, str) else ""
        events.append(Failed(message or error_message(said.error) or "error", code or _code(said.error)))


class _Error(msgspec.Struct):
    code: Any = ""


_errors = msgspec.json.Decoder(_Error)


def _code(error: msgspec.Raw) -> str:
    try:
        code = _errors.decode(error).code
    except _UNREADABLE:
        return ""
    return code if isinstance(code, str) else ""
