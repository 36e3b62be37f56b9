"""Reads Converse's answers."""

from __future__ import annotations

import msgspec

from gateway.translation.bedrock.parts_out import FORMATS
from gateway.translation.bedrock.shapes import Block, Cited, File, Reasoning, Shape, TokenUsage, ToolUse
from gateway.translation.conversation import (
    Citation,
    Media,
    Refusal,
    Reply,
    Stop,
    Text,
    Thinking,
    ToolCall,
)
from telemetry.records import Usage

STOPS: dict[str, Stop] = {
    "end_turn": "end",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "filter",
    "content_filtered": "filter",
    "model_context_window_exceeded": "context",
    "refusal": "refusal",
    "pause_turn": "pause",
}
TYPES = {form: media_type for media_type, form in reversed(FORMATS.items())}
ReplyPart = Text | Media | Thinking | ToolCall | Refusal


class _Message(Shape):
    content: list[Block] | None = None


class _Output(Shape):
    message: _Message | None = None


class Tier(Shape):
    """How the answer was served."""

    type: str | None = None


class Additional(Shape, rename=None):
    """What we asked to be told besides; see request_out."""

    stop_sequence: str | None = None


class _Answer(Shape):
    output: _Output
    stop_reason: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    service_tier: Tier | None = None
    additional_model_response_fields: Additional | None = None


class _Words(Shape):
    text: str | None = None


class _Web(Shape):
    url: str | None = None


class _Span(Shape):
    document_index: int | None = None


class _Location(Shape):
    web: _Web | None = None
    document_char: _Span | None = None
    document_page: _Span | None = None
    document_chunk: _Span | None = None


class _Citation(Shape):
    title: str | None = None
    source_content: list[_Words] | None = None
    location: _Location | None = None


_answers = msgspec.json.Decoder(_Answer, strict=False)
_usages = msgspec.json.Decoder(TokenUsage | None, strict=False)
_citations = msgspec.json.Decoder(_Citation | None, strict=False)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_reply(body: bytes) -> Reply:
    """Read an answer; raise ValueError if it is none."""
    said = _answers.decode(body)
    blocks = (said.output.message.content if said.output.message is not None else None) or []
    extra = said.additional_model_response_fields
    stop = STOPS.get(said.stop_reason or "", "other")
    usage, raw_usage = read_usage(said.usage)
    return Reply(
        parts=tuple(part for block in blocks if (part := _part(block)) is not None),
        stop=stop,
        stop_sequence=(extra.stop_sequence or "") if extra is not None and stop == "stop_sequence" else "",
        usage=usage,
        raw_usage=raw_usage,
        service_tier=read_tier(said.service_tier),
    )


def read_usage(raw: msgspec.Raw) -> tuple[Usage | None, bytes]:
    """Return the buckets and the provider's own words; nothing if this is no usage."""
    try:
        said = _usages.decode(raw)
    except _UNREADABLE:
        return None, b""
    if said is None or (said.input_tokens is None and said.output_tokens is None):
        return None, b""
    written = max(said.cache_write_input_tokens or 0, 0)
    long = sum(max(one.input_tokens or 0, 0) for one in said.cache_details or () if one.ttl == "1h")
    long = min(long, written)
    usage = Usage(
        input_uncached=max(said.input_tokens or 0, 0),
        cache_read=max(said.cache_read_input_tokens or 0, 0),
        cache_write_5m=written - long,
        cache_write_1h=long,
        output_text=max(said.output_tokens or 0, 0),
    )
    return usage, bytes(raw)


def read_tier(tier: Tier | None) -> str:
    """Return how it was served, if not as usual."""
    said = (tier.type or "") if tier is not None else ""
    return "" if said == "default" else said


def read_citation(raw: msgspec.Raw) -> Citation | None:
    """Return where a statement comes from; offsets count in the document, so they are told in `raw` only."""
    try:
        said = _citations.decode(raw)
    except _UNREADABLE:
        return None
    if said is None:
        return None
    place = said.location or _Location()
    span = place.document_char or place.document_page or place.document_chunk
    return Citation(
        url=(place.web.url or "") if place.web is not None else "",
        title=said.title or "",
        quote="".join(words.text or "" for words in said.source_content or ()),
        document=span.document_index if span is not None and span.document_index is not None else -1,
        raw=bytes(raw).decode(),
        origin="bedrock",
    )


def read_image(image: File) -> Media | None:
    """Return an image that the model made."""
    source = image.source
    if source is None or not source.bytes:
        return None
    return Media(kind="image", media_type=TYPES.get(image.format or "", "image/png"), data=source.bytes)


def _part(block: Block) -> ReplyPart | None:
    if block.text is not None:
        return Text(block.text)
    if block.tool_use is not None:
        return _call(block.tool_use)
    if block.reasoning_content is not None:
        return _thought(block.reasoning_content)
    if block.citations_content is not None:
        return _cited(block.citations_content)
    return read_image(block.image) if block.image is not None else None


def _call(call: ToolUse) -> ToolCall | None:
    """Return the call, unless Bedrock carries it out itself."""
    if call.type == "server_tool_use":
        return None
    arguments = bytes(call.input).decode()
    return ToolCall(
        id=call.tool_use_id,
        name=call.name,
        arguments=arguments if arguments not in ("", "null") else "{}",
    )


def _thought(thought: Reasoning) -> Thinking | None:
    if thought.redacted_content:
        return Thinking(signature=thought.redacted_content, hidden=True, origin="bedrock")
    said = thought.reasoning_text
    if said is None or not (said.text or said.signature):
        return None
    # Only Claude signs; see parts_out for where its signatures hold.
    return Thinking(
        text=said.text or "",
        signature=said.signature or "",
        origin="anthropic" if said.signature else "",
    )


def _cited(cited: Cited) -> Text:
    found = [read_citation(raw) for raw in cited.citations or ()]
    return Text(
        "".join(words.text or "" for words in cited.content or ()),
        citations=tuple(one for one in found if one is not None),
    )
