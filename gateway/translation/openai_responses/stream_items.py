"""Items of a stream: each is told as it grows, and is whole at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.translation.conversation import Citation, Logprob, Refusal, Text, Thinking, ToolCall
from gateway.translation.openai_responses.citations import write_citation
from gateway.translation.openai_responses.items_out import call_item, message_item, thought_item
from gateway.translation.openai_responses.parts import write_answer
from gateway.translation.openai_responses.response_out import write_logprobs
from gateway.translation.openai_responses.tools import Toolbox

_encode = msgspec.json.encode


class Telling:
    """Events in their order, numbered."""

    def __init__(self) -> None:
        self._events: list[bytes] = []
        self._number = 0

    def say(self, kind: str, **said: object) -> None:
        """Add an event."""
        data = _encode({"type": kind, **said, "sequence_number": self._number})
        self._number += 1
        self._events.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))

    def add(self, head: bytes, delta: str) -> None:
        """Add an event of which all is known but its delta."""
        self._events.append(b'%b%b,"sequence_number":%d}\n\n' % (head, _encode(delta), self._number))
        self._number += 1

    def take(self) -> bytes:
        """Return the events that were added since."""
        events, self._events = self._events, []
        return b"".join(events)


def _head(kind: str, **said: object) -> bytes:
    """Return an event up to its delta."""
    data = _encode({"type": kind, **said})[:-1]
    return b'event: %b\ndata: %b,"delta":' % (kind.encode(), data)


class Item:
    """What all items have in common."""

    def __init__(self, telling: Telling, place: int, item_id: str) -> None:
        self.place = place
        self._telling = telling
        self._id = item_id
        self._pieces: list[str] = []

    def _added(self, item: object) -> None:
        self._telling.say("response.output_item.added", output_index=self.place, item=item)

    def _done(self, item: object) -> msgspec.Raw:
        raw = msgspec.Raw(_encode(item))
        self._telling.say("response.output_item.done", output_index=self.place, item=raw)
        return raw

    def _say(self, kind: str, **said: object) -> None:
        self._telling.say(f"response.{kind}", output_index=self.place, item_id=self._id, **said)

    def _head(self, kind: str, **said: object) -> bytes:
        return _head(f"response.{kind}.delta", output_index=self.place, item_id=self._id, **said)


class Message(Item):
    """Words, or a refusal."""

    def __init__(self, telling: Telling, place: int, item_id: str) -> None:
        super().__init__(telling, place, item_id)
        self._content: list[object] = []
        self._kind: Literal["", "output_text", "refusal"] = ""
        """Of the part that is being told."""
        self._delta = b""
        self._citations: list[Citation] = []
        self._logprobs: list[object] = []
        self._added(message_item(item_id, [], "in_progress"))

    def text(self, piece: str, logprobs: Sequence[Logprob]) -> None:
        """Add words, and how likely they were."""
        if self._kind != "output_text":
            self._open("output_text", Text(""))
            self._delta = self._head("output_text", content_index=len(self._content), logprobs=[])
        self._pieces.append(piece)
        if not logprobs:
            self._telling.add(self._delta, piece)
            return
        written = write_logprobs(logprobs)
        self._logprobs += written
        self._part("output_text.delta", delta=piece, logprobs=written)

    def refuse(self, piece: str) -> None:
        """Add words of a refusal."""
        if self._kind != "refusal":
            self._open("refusal", Refusal(""))
            self._delta = self._head("refusal", content_index=len(self._content))
        self._pieces.append(piece)
        self._telling.add(self._delta, piece)

    def cite(self, citation: Citation) -> None:
        """Add where the words come from."""
        if self._kind != "output_text":
            return
        annotation = write_citation(citation, sum(map(len, self._pieces)))
        self._part(
            "output_text.annotation.added", annotation=annotation, annotation_index=len(self._citations)
        )
        self._citations.append(citation)

    def end(self, status: str) -> msgspec.Raw:
        """End the message."""
        self._close()
        return self._done(message_item(self._id, self._content, status))

    def _part(self, kind: str, **said: object) -> None:
        self._say(kind, content_index=len(self._content), **said)

    def _open(self, kind: Literal["output_text", "refusal"], empty: Text | Refusal) -> None:
        self._close()
        self._kind = kind
        self._part("content_part.added", part=write_answer(empty, []))

    def _close(self) -> None:
        if not self._kind:
            return
        text = "".join(self._pieces)
        if self._kind == "output_text":
            self._part("output_text.done", text=text, logprobs=self._logprobs)
            part = write_answer(Text(text, citations=tuple(self._citations)), self._logprobs)
        else:
            self._part("refusal.done", refusal=text)
            part = write_answer(Refusal(text))
        self._part("content_part.done", part=part)
        self._content.append(part)
        self._kind = ""
        self._pieces, self._citations, self._logprobs = [], [], []


class Thought(Item):
    """What the model thought."""

    def __init__(self, telling: Telling, place: int, item_id: str) -> None:
        super().__init__(telling, place, item_id)
        self._delta = self._head("reasoning_summary_text", summary_index=0)
        self._added(thought_item(Thinking(hidden=True), item_id))

    def grow(self, piece: str) -> None:
        """Add words."""
        if not self._pieces:
            self._say("reasoning_summary_part.added", summary_index=0, part=_summary(""))
        self._pieces.append(piece)
        self._telling.add(self._delta, piece)

    def end(self, thought: Thinking) -> msgspec.Raw:
        """End the thought, with its signature."""
        text = "".join(self._pieces)
        if self._pieces:
            self._say("reasoning_summary_text.done", summary_index=0, text=text)
            self._say("reasoning_summary_part.done", summary_index=0, part=_summary(text))
        return self._done(thought_item(msgspec.structs.replace(thought, text=text), self._id))


def _summary(text: str) -> dict[str, str]:
    return {"type": "summary_text", "text": text}


class Call(Item):
    """A call of a function or a free-form tool."""

    def __init__(self, telling: Telling, place: int, item_id: str, call: ToolCall, toolbox: Toolbox) -> None:
        super().__init__(telling, place, item_id)
        self._call = call
        self._toolbox = toolbox
        self._freeform = toolbox.is_freeform(call.name)
        self._delta = self._head("function_call_arguments")
        self._added(self._item("", "in_progress"))

    def grow(self, piece: str) -> None:
        """Add a piece of the arguments; the text for a free-form tool is told when all of it is there."""
        self._pieces.append(piece)
        if not self._freeform:
            self._telling.add(self._delta, piece)

    def end(self, status: str) -> msgspec.Raw:
        """End the call."""
        if not any(self._pieces):
            self.grow("{}")
        item = self._item("".join(self._pieces), status)
        if self._freeform:
            self._say("custom_tool_call_input.delta", delta=item["input"])
            self._say("custom_tool_call_input.done", input=item["input"])
        else:
            self._say("function_call_arguments.done", arguments=item["arguments"], name=item["name"])
        return self._done(item)

    def _item(self, arguments: str, status: str) -> dict[str, object]:
        call = msgspec.structs.replace(self._call, arguments=arguments)
        return call_item(self._toolbox, call, self._id, status)
