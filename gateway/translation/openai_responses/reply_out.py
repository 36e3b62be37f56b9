"""Writes an answer as a response that is one JSON document."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.translation.base import Answering
from gateway.translation.conversation import Logprob, Media, Refusal, Reply, Text, Thinking, ToolCall
from gateway.translation.openai_responses.items_out import (
    call_item,
    message_item,
    picture_item,
    sealed_item,
    thought_item,
)
from gateway.translation.openai_responses.parts import write_answer
from gateway.translation.openai_responses.response_out import Envelope, reason_of, write_logprobs
from gateway.translation.openai_responses.tools import Toolbox

_MAY_BE_CUT_SHORT = frozenset({"message", "function_call", "custom_tool_call"})


def write_reply(reply: Reply, answering: Answering) -> bytes:
    """Write the response."""
    envelope = Envelope(answering, id=reply.id, model=reply.model)
    reason = reason_of(reply.stop, refused=any(isinstance(part, Refusal) for part in reply.parts))
    items = _Items(envelope, Toolbox(answering.request.tools), reply.logprobs)
    for part in reply.parts:
        items.add(part)
    if reason and items.written and items.written[-1]["type"] in _MAY_BE_CUT_SHORT:
        items.written[-1]["status"] = "incomplete"
    return envelope.done(reason, items.written, reply.usage, reply.service_tier)


class _Items:
    """The output so far."""

    def __init__(self, envelope: Envelope, toolbox: Toolbox, logprobs: Sequence[Logprob]) -> None:
        self.written: list[dict[str, object]] = []
        self._envelope = envelope
        self._toolbox = toolbox
        self._logprobs = logprobs
        """Of the text that comes next."""
        self._content: list[object] | None = None
        """Of the message that is being written."""

    def add(self, part: Text | Media | Thinking | ToolCall | Refusal) -> None:
        if isinstance(part, Text | Refusal):
            self._say(part)
            return
        self._content = None
        match part:
            case Thinking():
                self.written.append(thought_item(part, self._id("rs")))
            case ToolCall():
                if part.signature:
                    self.written.append(sealed_item(part.signature, part.origin, self._id("rs")))
                item_id = self._id(self._toolbox.prefix(part.name))
                self.written.append(call_item(self._toolbox, part, item_id, "completed"))
            case Media(kind="image"):
                self.written.append(picture_item(self._id("ig"), part))
            case Media():
                pass  # a response holds no sound

    def _say(self, part: Text | Refusal) -> None:
        if self._content is None:
            self._content = []
            self.written.append(message_item(self._id("msg"), self._content, "completed"))
        logprobs: list[object] = []
        if isinstance(part, Text):
            logprobs, self._logprobs = write_logprobs(self._logprobs), ()
        self._content.append(write_answer(part, logprobs))

    def _id(self, kind: str) -> str:
        return self._envelope.item_id(kind, len(self.written))
