"""Reads a provider's stream of chunks, in all the dialects that `reply_in` knows."""

from __future__ import annotations

from typing import Any

import msgspec
from typing_extensions import override

from gateway.translation.conversation import Text
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
from gateway.translation.openai_chat.answer import read_annotations, read_logprobs, stop_of
from gateway.translation.openai_chat.messages_in import arguments_of
from gateway.translation.openai_chat.reply_in import (
    ABSENT,
    Call,
    Choice,
    Document,
    Function,
    Said,
    read_audio,
    read_content,
    read_images,
)
from gateway.translation.openai_chat.thoughts import read_blocks, signature_of
from gateway.translation.sse_reader import SseReader
from gateway.wire.openai_answer import error_message, text
from gateway.wire.openai_usage import parse_usage

_DONE = b"[DONE]"


class _Code(msgspec.Struct):
    code: str | int | None = None


class _Chunk(Document):
    object: Any = None
    message: Any = None
    """Of an error that stands at the top (vLLM)."""

    def broken(self) -> str:
        """Return what went wrong; empty if nothing did."""
        if message := error_message(self.error):
            return message
        return (text(self.message) or "error") if self.object == "error" else ""


_decode = msgspec.json.Decoder(_Chunk).decode
_codes = msgspec.json.Decoder(_Code)
_NAMELESS = Function()


class ChatStreamReader(SseReader):
    """Reads the first choice of a stream."""

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._stopped = False
        self._refused = False
        self._tier = ""
        self._kind = ""
        """Of the part that may go on: `text`, `thought` (until it is signed), `call` ..."""
        self._ids: list[str] = []
        """Of the calls, in their order."""
        self._places: dict[int, int] = {}
        """Which call a provider's index means."""

    @override
    def take(self, data: bytes, events: list[Event]) -> None:
        if data == _DONE:
            self._start(Document(), events)
            events.append(Ended())
            return
        try:
            said = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if (said.error is not ABSENT or said.object == "error") and (message := said.broken()):
            events.append(Failed(message, _code_of(said.error)))
            return
        if not self._started and (said.choices or said.id or said.model):
            self._start(said, events)
        for choice in said.choices or ():
            if choice.index in (0, None):
                self._choose(choice, events)
        if said.service_tier is not None:
            self._tier = text(said.service_tier)
        if said.usage is not ABSENT or said.x_groq is not None:
            self._count(said, events)

    def _count(self, said: Document, events: list[Event]) -> None:
        raw = said.raw_usage()
        if raw and (usage := parse_usage(raw)) is not None:
            events.append(Counted(usage, raw, self._tier))

    @override
    def is_whole(self) -> bool:
        return self._stopped

    def _start(self, said: Document, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            events.append(Started(text(said.id), text(said.model)))

    def _choose(self, choice: Choice, events: list[Event]) -> None:
        delta = choice.delta or choice.message
        if delta is not None:
            if delta.reasoning_content or delta.reasoning or delta.thinking_blocks:
                self._think(delta, events)
            if delta.content:
                self._say(delta.content, events)
            if delta.refusal or delta.images or delta.audio or delta.annotations or delta.function_call:
                self._take_rare(delta, events)
            if delta.tool_calls:
                for call in delta.tool_calls:
                    self._call(call, call.function or _NAMELESS, events)
        if choice.logprobs and (logprobs := read_logprobs(choice.logprobs)):
            events.append(Likely(logprobs))
        if choice.finish_reason and not self._stopped:
            self._stop(choice, events)

    def _stop(self, choice: Choice, events: list[Event]) -> None:
        self._stopped = True
        sequence = text(choice.stop_reason)
        reason = text(choice.finish_reason)
        stop = stop_of(reason, sequence=sequence, called=bool(self._ids), refused=self._refused)
        events.append(Stopped(stop, sequence if stop == "stop_sequence" else ""))

    def _think(self, delta: Said, events: list[Event]) -> None:
        """Take a thought, and blocks that sign it: their own text is only a repetition of what was shown."""
        shown = delta.thought()
        if shown:
            self._kind = "thought"
            events.append(ThinkingPiece(shown))
        for block in read_blocks(delta.thinking_blocks):
            if block.text and self._kind != "thought":
                events.append(ThinkingPiece(block.text))
            if block.signature or block.id:
                events.append(ThinkingSigned(block.signature, block.origin, block.hidden, block.id))
                self._kind = ""
            elif not shown:
                self._kind = "thought"

    def _say(self, content: object, events: list[Event]) -> None:
        if isinstance(content, str):
            self._kind = "text"
            events.append(TextPiece(content))
            return
        for part in read_content(content):
            if isinstance(part, Text):
                self._kind = "text"
                events.append(TextPiece(part.text))
            else:
                self._kind = "thought"
                events.append(ThinkingPiece(part.text))

    def _take_rare(self, delta: Said, events: list[Event]) -> None:
        if delta.annotations and self._kind == "text":
            events.extend(map(Cited, read_annotations(delta.annotations)))
        if refusal := text(delta.refusal):
            self._refused = True
            self._kind = "refusal"
            events.append(RefusalPiece(refusal))
        for media in (*read_images(delta.images), *read_audio(delta.audio)):
            if isinstance(media, Text):
                self._say(media.text, events)
            elif media.data:
                self._kind = "media"
                events.append(MediaPiece(media.media_type, media.data))
        if delta.function_call is not None:
            self._call(Call(index=-1), delta.function_call, events)

    def _call(self, call: Call, function: Function, events: list[Event]) -> None:
        """Take a piece of a call, or all of it."""
        self._kind = "call"
        id_, name = text(call.id), text(function.name)
        number = self._number(call.index, id_, name)
        if number is None:
            number = len(self._ids)
            self._ids.append(id_)
            signature, origin = signature_of(call.extra_content)
            events.append(CallStarted(number, id_, name, signature, origin))
            if isinstance(call.index, int):
                self._places[call.index] = number
        if function.arguments and number >= 0:
            events.append(CallPiece(number, arguments_of(function.arguments)))

    def _number(self, index: object, id_: str, name: str) -> int | None:
        """Return which call this goes on with; None for a new one, -1 if there is none.

        Some providers leave the index out, or give all calls the same: then an id or a name begins a call.
        """
        if isinstance(index, int):
            known = self._places.get(index)
            if known is None or not (id_ and name) or self._ids[known] == id_:
                return known
            return None
        if id_:
            return self._ids.index(id_) if id_ in self._ids else None
        return None if name else len(self._ids) - 1


def _code_of(error: msgspec.Raw) -> str:
    try:
        code = _codes.decode(error).code
    except msgspec.DecodeError:
        return ""
    return "" if code is None else str(code)
