"""Writes a response as a stream of typed events.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.translation.base import Answering
from gateway.translation.conversation import Media, Stop, Thinking, ToolCall
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
from gateway.translation.openai_responses.items_out import picture_item, sealed_item
from gateway.translation.openai_responses.response_out import Envelope, reason_of
from gateway.translation.openai_responses.stream_items import Call, Message, Telling, Thought
from gateway.translation.openai_responses.tools import Toolbox

_UNSIGNED = Thinking()


class Writer:
    """A StreamWriter of responses."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._toolbox = Toolbox(answering.request.tools)
        self._telling = Telling()
        self._envelope: Envelope | None = None
        self._places = 0
        """Items that have begun."""
        self._whole: dict[int, msgspec.Raw] = {}
        """Items that have ended, by their place."""
        self._message: Message | None = None
        self._thought: Thought | None = None
        self._calls: dict[int, Call] = {}
        self._refused = False
        self._stop: Stop = "end"
        self._counted: Counted | None = None

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the bytes that say this."""
        for number, event in enumerate(events):
            match event:
                case TextPiece():
                    after = events[number + 1] if number + 1 < len(events) else None
                    self._speak().text(event.text, after.logprobs if isinstance(after, Likely) else ())
                case Likely():
                    if number == 0 or not isinstance(events[number - 1], TextPiece):
                        self._speak().text("", event.logprobs)
                case CallPiece():
                    if (call := self._calls.get(event.call)) is not None:
                        call.grow(event.arguments)
                case ThinkingPiece():
                    self._think().grow(event.text)
                case _:
                    self._hear(event)
        return self._telling.take()

    def _hear(self, event: Event) -> None:
        match event:
            case Started():
                self._begin(event)
            case ThinkingSigned():
                self._sign(event)
            case CallStarted():
                self._call(event)
            case RefusalPiece():
                self._refused = True
                self._speak().refuse(event.text)
            case Cited():
                self._speak().cite(event.citation)
            case MediaPiece():
                self._picture(event)
            case Stopped():
                self._stop = event.stop
            case Counted():
                self._counted = event
            case Ended():
                self._end()
            case _:
                pass  # of what failed the gateway tells

    def _begin(self, event: Started) -> Envelope:
        if self._envelope is None:
            self._envelope = Envelope(self._answering, id=event.id, model=event.model)
            begun = msgspec.Raw(self._envelope.begun())
            self._telling.say("response.created", response=begun)
            self._telling.say("response.in_progress", response=begun)
        return self._envelope

    def _next(self, kind: str) -> tuple[int, str]:
        """Return the place of a new item, and its id."""
        place = self._places
        self._places += 1
        return place, self._begin(Started()).item_id(kind, place)

    def _speak(self) -> Message:
        if self._message is None:
            self._close()
            self._message = Message(self._telling, *self._next("msg"))
        return self._message

    def _think(self) -> Thought:
        if self._thought is None:
            self._close()
            self._thought = Thought(self._telling, *self._next("rs"))
        return self._thought

    def _sign(self, event: ThinkingSigned) -> None:
        if event.hidden:
            self._close()
        thought = Thinking(signature=event.signature, hidden=event.hidden, id=event.id, origin=event.origin)
        self._end_thought(self._think(), thought)

    def _end_thought(self, thought: Thought, signed: Thinking) -> None:
        self._whole[thought.place] = thought.end(signed)
        self._thought = None

    def _call(self, event: CallStarted) -> None:
        self._close(calls=False)
        if event.signature:
            place, item_id = self._next("rs")
            self._place(place, sealed_item(event.signature, event.origin, item_id))
        call = ToolCall(id=event.id, name=event.name)
        place, item_id = self._next(self._toolbox.prefix(event.name))
        self._calls[event.call] = Call(self._telling, place, item_id, call, self._toolbox)

    def _picture(self, event: MediaPiece) -> None:
        self._close()
        if event.media_type.startswith("image/"):
            place, item_id = self._next("ig")
            picture = Media(kind="image", media_type=event.media_type, data=event.data)
            self._place(place, picture_item(item_id, picture))

    def _place(self, place: int, item: dict[str, object]) -> None:
        """Tell an item that is whole from the beginning."""
        raw = msgspec.Raw(msgspec.json.encode(item))
        for kind in ("added", "done"):
            self._telling.say(f"response.output_item.{kind}", output_index=place, item=raw)
        self._whole[place] = raw

    def _close(self, status: str = "completed", *, calls: bool = True) -> None:
        """End the items that are being told."""
        if self._message is not None:
            self._whole[self._message.place] = self._message.end(status)
            self._message = None
        if self._thought is not None:
            self._end_thought(self._thought, _UNSIGNED)
        if calls:
            for call in self._calls.values():
                self._whole[call.place] = call.end(status)
            self._calls = {}

    def _end(self) -> None:
        reason = reason_of(self._stop, refused=self._refused)
        self._close("incomplete" if reason else "completed")
        counted = self._counted
        items = [self._whole[place] for place in range(self._places)]
        response = self._begin(Started()).done(
            reason,
            items,
            None if counted is None else counted.usage,
            "" if counted is None else counted.service_tier,
        )
        kind = "response.incomplete" if reason else "response.completed"
        self._telling.say(kind, response=msgspec.Raw(response))
