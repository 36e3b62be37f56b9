"""Writes parts as the blocks of messages."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

import msgspec

from gateway.translation.anthropic import citations
from gateway.translation.anthropic.blocks import (
    BlockOut,
    CacheControl,
    Citing,
    DocumentBlock,
    ImageBlock,
    RedactedBlock,
    SourceOut,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from gateway.translation.conversation import (
    Cache,
    Media,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

_ID = re.compile(r"[a-zA-Z0-9_-]+\Z")
_IMAGES = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lG": "image/gif", "UklG": "image/webp"}
"""By how their base64 begins."""
_NO_ARGUMENTS = msgspec.Raw(b"{}")
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])


def blocks_of(part: Part, lost: list[str]) -> Iterator[BlockOut]:
    """Write a part as the blocks that say it; add to `lost` what cannot be said."""
    match part:
        case Text():
            yield from text_blocks(part, lost)
        case Refusal():
            if part.text.strip():
                yield TextBlock(part.text)
        case Media():
            yield from _media(part, lost)
        case Thinking():
            if part.origin == "anthropic" and part.signature:
                yield thought(part, part.signature)
        case ToolCall():
            yield ToolUseBlock(
                id_of(part.id), part.name, input_of(part.arguments), cache_control=control(part.cache)
            )
        case ToolResult():
            yield _result(part, lost)


def text_blocks(text: Text, lost: list[str]) -> Iterator[TextBlock]:
    """Write words with the citations that are Anthropic's own; blank ones are refused and left out."""
    if not text.citations:
        if text.text.strip():
            yield TextBlock(text.text, cache_control=control(text.cache))
        return
    own = tuple(citation for citation in text.citations if citation.origin == "anthropic")
    if len(own) < len(text.citations):
        lost.append("citations")
        text = Text(text.text, text.cache, own)
    blocks = [
        TextBlock(piece, citations.written(cited))
        for piece, cited in citations.segments(text)
        if piece.strip()
    ]
    if blocks:
        blocks[-1].cache_control = control(text.cache)
    yield from blocks


def thought(part: Thinking, signature: str) -> ThinkingBlock | RedactedBlock:
    """Write a thought."""
    return RedactedBlock(signature) if part.hidden else ThinkingBlock(part.text, signature)


def control(cache: Cache | None) -> CacheControl | None:
    """Write where to cache up to."""
    return CacheControl("ephemeral", cache.ttl or None) if cache is not None else None


def id_of(given: str) -> str:
    """Return the id of a call as Anthropic takes it: letters, digits, `_` and `-`; others become a hash of theirs.

    Source: the API's own refusal, "String should match pattern '^[a-zA-Z0-9_-]+$'" (2026-11).
    """
    if _ID.match(given):
        return given
    return "toolu_" + hashlib.blake2b(given.encode(), digest_size=12).hexdigest()


def input_of(arguments: str) -> msgspec.Raw:
    """Return arguments as an object. What a model broke is wrapped as Anthropic advises.

    Source: https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/fine-grained-tool-streaming (2026-11).
    """
    if not arguments.strip():
        return _NO_ARGUMENTS
    raw = arguments.encode()
    try:
        _objects.decode(raw)
    except (ValueError, RecursionError):
        return msgspec.Raw(msgspec.json.encode({"INVALID_JSON": arguments}))
    return msgspec.Raw(raw)


def _media(media: Media, lost: list[str]) -> Iterator[ImageBlock | DocumentBlock]:
    source = (
        _image(media) if media.kind == "image" else _document(media) if media.kind == "document" else None
    )
    if source is None:
        lost.append(media.kind)
        return
    if media.kind == "image":
        if media.detail not in ("", "auto"):
            lost.append("detail")
        if media.name:
            lost.append("name")
        yield ImageBlock(source, control(media.cache))
        return
    yield DocumentBlock(
        source,
        title=media.name or None,
        citations=Citing(enabled=True) if media.cite else None,
        cache_control=control(media.cache),
    )


def _image(media: Media) -> SourceOut | None:
    if media.data:
        kind = media.media_type or next(
            (kind for start, kind in _IMAGES.items() if media.data.startswith(start)), "image/png"
        )
        return SourceOut("base64", media_type=kind, data=media.data)
    return _elsewhere(media)


def _document(media: Media) -> SourceOut | None:
    """Write a document: base64 must be of a PDF, so text is decoded."""
    if media.text:
        return SourceOut("text", media_type="text/plain", data=media.text)
    if not media.data:
        return _elsewhere(media)
    if media.media_type in ("", "application/pdf"):
        return SourceOut("base64", media_type="application/pdf", data=media.data)
    if not media.media_type.startswith("text/"):
        return None
    try:
        text = base64.b64decode(media.data).decode()
    except (binascii.Error, ValueError):
        return None
    return SourceOut("text", media_type="text/plain", data=text)


def _elsewhere(media: Media) -> SourceOut | None:
    if media.url:
        return SourceOut("url", url=media.url)
    if media.file_id and media.origin == "anthropic":
        return SourceOut("file", file_id=media.file_id)
    return None


def _result(result: ToolResult, lost: list[str]) -> ToolResultBlock:
    content = [
        block
        for part in result.parts
        for block in blocks_of(part, lost)
        if isinstance(block, TextBlock | ImageBlock | DocumentBlock)
    ]
    return ToolResultBlock(id_of(result.id), content, result.failed, control(result.cache))
