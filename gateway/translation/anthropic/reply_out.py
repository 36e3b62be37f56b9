"""Writes an answer for an Anthropic client, as one document.

There are no images in it, and a refusal is words like others.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.translation.anthropic import citations, stops
from gateway.translation.anthropic.blocks import BlockOut, RedactedBlock, TextBlock, ToolUseBlock
from gateway.translation.anthropic.parts_out import input_of, thought
from gateway.translation.anthropic.usage_out import UsageOut, usage_of
from gateway.translation.base import Answering
from gateway.translation.conversation import Media, Refusal, Reply, Text, Thinking, ToolCall
from gateway.translation.signatures import seal, seal_call


class _Message(msgspec.Struct, tag_field="type", tag="message"):
    id: str
    model: str
    content: list[BlockOut]
    stop_reason: str
    stop_sequence: str | None
    usage: UsageOut
    role: str = "assistant"


def write_reply(reply: Reply, answering: Answering) -> bytes:
    """Write the answer."""
    content: list[BlockOut] = []
    for part in reply.parts:
        content.extend(_blocks(part, call_id_of(answering, len(content))))
    kinds = {type(part) for part in reply.parts}
    message = _Message(
        reply.id or id_of(answering),
        reply.model or answering.model,
        content,
        stops.write(reply.stop, calls=ToolCall in kinds, refuses=Refusal in kinds),
        reply.stop_sequence or None,
        usage_of(reply.usage, reply.service_tier),
    )
    return msgspec.json.encode(message)


def id_of(answering: Answering) -> str:
    """Return an id for an answer that has none."""
    return "msg_" + answering.call_id.replace("-", "")


def call_id_of(answering: Answering, index: int) -> str:
    """Return an id for a call that has none."""
    return f"toolu_{answering.call_id.replace('-', '')}_{index}"


def sealed(part: Thinking) -> BlockOut:
    """Write a thought whose signature the client brings back."""
    return thought(part, seal(part.signature, part.origin, "anthropic"))


def seal_of(call: ToolCall) -> RedactedBlock:
    """Write a call's signature as an encrypted thought before the call."""
    return RedactedBlock(seal_call(call.signature, call.origin))


def _blocks(part: Text | Media | Thinking | ToolCall | Refusal, new_id: str) -> Iterator[BlockOut]:
    match part:
        case Text():
            for piece, cited in citations.segments(part):
                yield TextBlock(piece, citations.written(cited))
        case Refusal():
            yield TextBlock(part.text)
        case Thinking():
            if part.text or part.signature:
                yield sealed(part)
        case ToolCall():
            if part.signature:
                yield seal_of(part)
            yield ToolUseBlock(part.id or new_id, part.name, input_of(part.arguments))
        case Media():
            return
