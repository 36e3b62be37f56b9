"""The blocks of Anthropic's messages, as they are read and as they are written.

Source: https://docs.anthropic.com/en/api/messages and anthropic-sdk-python 2.12.0, types/ (2026-11).
"""

from __future__ import annotations

import msgspec

ABSENT = msgspec.Raw(b"")
EMPTY_SCHEMA = msgspec.Raw(b'{"type":"object","properties":{}}')


class CacheControl(msgspec.Struct, omit_defaults=True):
    """Where to cache up to."""

    type: str
    ttl: str | None = None


class Block(msgspec.Struct):
    """Any block that comes in; what has another shape in another block is read later."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = ABSENT
    tool_use_id: str | None = None
    is_error: bool | None = None
    content: msgspec.Raw = ABSENT
    source: msgspec.Raw = ABSENT
    citations: msgspec.Raw = ABSENT
    title: str | None = None
    context: str | None = None
    transformations: msgspec.Raw = ABSENT
    cache_control: CacheControl | None = None


class Source(msgspec.Struct):
    """Where an image or a document is."""

    type: str = ""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: str | list[Block] | None = None


class TextBlock(msgspec.Struct, tag_field="type", tag="text", omit_defaults=True):
    """Words."""

    text: str
    citations: list[msgspec.Raw] | None = None
    cache_control: CacheControl | None = None


class SourceOut(msgspec.Struct, omit_defaults=True):
    """Where an image or a document is."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None


class ImageBlock(msgspec.Struct, tag_field="type", tag="image", omit_defaults=True):
    """An image."""

    source: SourceOut
    cache_control: CacheControl | None = None


class Citing(msgspec.Struct):
    """Whether to cite a document."""

    enabled: bool = False


class DocumentBlock(msgspec.Struct, tag_field="type", tag="document", omit_defaults=True):
    """A document."""

    source: SourceOut
    title: str | None = None
    citations: Citing | None = None
    cache_control: CacheControl | None = None


class ThinkingBlock(msgspec.Struct, tag_field="type", tag="thinking"):
    """A thought; clients require both fields."""

    thinking: str
    signature: str


class RedactedBlock(msgspec.Struct, tag_field="type", tag="redacted_thinking"):
    """An encrypted thought."""

    data: str


class ToolUseBlock(msgspec.Struct, tag_field="type", tag="tool_use", omit_defaults=True):
    """A call."""

    id: str
    name: str
    input: msgspec.Raw
    cache_control: CacheControl | None = None


class ToolResultBlock(msgspec.Struct, tag_field="type", tag="tool_result", omit_defaults=True):
    """What a call returned."""

    tool_use_id: str
    content: list[TextBlock | ImageBlock | DocumentBlock] = []
    is_error: bool = False
    cache_control: CacheControl | None = None


BlockOut = (
    TextBlock | ImageBlock | DocumentBlock | ThinkingBlock | RedactedBlock | ToolUseBlock | ToolResultBlock
)
