"""Reads an Anthropic answer that is one document."""

from __future__ import annotations

import msgspec

from gateway.errors import BadRequest
from gateway.translation.anthropic import stops
from gateway.translation.anthropic.blocks import ABSENT, Block
from gateway.translation.anthropic.parts_in import Parts
from gateway.translation.conversation import Media, Refusal, Reply, Text, Thinking, ToolCall
from gateway.wire.anthropic_usage import parse_usage, service_tier

Said = Text | Media | Thinking | ToolCall | Refusal


class StopDetails(msgspec.Struct):
    """More on a refusal."""

    explanation: str | None = None


class _Message(msgspec.Struct):
    content: list[msgspec.Raw]
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: msgspec.Raw = ABSENT


_messages = msgspec.json.Decoder(_Message)
_blocks = msgspec.json.Decoder(Block)


def read_reply(body: bytes) -> Reply:
    """Read an answer; raise ValueError if it is none. Blocks of tools that ran at the provider are passed over."""
    said = _messages.decode(body)
    parts: list[Said] = []
    reader = Parts()
    for raw in said.content:
        part = _part(raw, reader)
        before = parts[-1] if parts else None
        if isinstance(part, Text) and isinstance(before, Text):
            parts[-1] = _joined(before, part)
        elif part is not None:
            parts.append(part)
    if said.stop_details is not None and said.stop_details.explanation:
        parts.append(Refusal(said.stop_details.explanation))
    usage = bytes(said.usage)
    return Reply(
        id=said.id or "",
        model=said.model or "",
        parts=tuple(parts),
        stop=stops.read(said.stop_reason),
        stop_sequence=said.stop_sequence or "",
        usage=parse_usage(usage) if usage else None,
        raw_usage=usage if usage != b"null" else b"",
        service_tier=service_tier(usage),
    )


def _part(raw: msgspec.Raw, reader: Parts) -> Said | None:
    try:
        part = reader.part(_blocks.decode(raw), "content")
    except (msgspec.MsgspecError, BadRequest):
        return None
    return part if isinstance(part, Said) else None


def _joined(before: Text, text: Text) -> Text:
    """Join two blocks, which are apart only because they are cited apart."""
    offset = len(before.text)
    moved = (
        msgspec.structs.replace(cited, start=cited.start + offset, end=cited.end + offset)
        for cited in text.citations
    )
    return Text(before.text + text.text, None, (*before.citations, *moved))
