"""The shapes of Converse, as far as they are written and read alike.

Source: botocore 1.44.5, bedrock-runtime/2023-09-30/service-2.json (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec


class Shape(msgspec.Struct, omit_defaults=True, rename="camel"):
    """Base of all: null and missing are the same."""


class S3(Shape):
    """A place in S3."""

    uri: str


class Source(Shape):
    """Of an image, document, audio or video: one of them."""

    bytes: str | None = None
    """Base64."""
    text: str | None = None
    s3_location: S3 | None = None


class Switch(Shape):
    """Something that is on."""

    enabled: bool


class File(Shape):
    """An image, document, audio or video."""

    format: str | None = None
    name: str | None = None
    source: Source | None = None
    citations: Switch | None = None


class ToolUse(Shape):
    """A call; with `type`, one that Bedrock carries out itself."""

    tool_use_id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"")
    type: str | None = None


class CachePoint(Shape, omit_defaults=False):
    """What stands before it is cached."""

    type: str = "default"
    ttl: str | msgspec.UnsetType = msgspec.UNSET


class ReasoningText(Shape):
    """A thought that is shown."""

    text: str | None = None
    signature: str | None = None


class Reasoning(Shape):
    """A thought: one of them."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None
    """Base64."""


class Words(Shape):
    """A piece of text."""

    text: str | None = None


class Cited(Shape):
    """Text and where it comes from."""

    content: list[Words] | None = None
    citations: list[msgspec.Raw] | None = None


class Block(Shape):
    """A part of a message: one of them."""

    text: str | None = None
    image: File | None = None
    document: File | None = None
    audio: File | None = None
    video: File | None = None
    tool_use: ToolUse | None = None
    tool_result: Result | None = None
    cache_point: CachePoint | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Cited | None = None


class Result(Shape):
    """What a function returned."""

    tool_use_id: str
    content: list[Block]
    """Must be there, but may be empty."""
    status: str | None = None


class Turn(Shape):
    """A message."""

    role: str
    content: list[Block]


class InferenceConfig(Shape):
    """What all models understand."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: tuple[str, ...] | None = None


class Body(Shape):
    """A request; the model is named by its path."""

    messages: list[Turn]
    system: list[Block] | None = None
    inference_config: InferenceConfig | None = None
    tool_config: dict[str, Any] | None = None
    additional_model_request_fields: dict[str, Any] | None = None
    additional_model_response_field_paths: list[str] | None = None
    output_config: dict[str, Any] | None = None
    service_tier: dict[str, str] | None = None


class CacheDetail(Shape):
    """How long so many of the written tokens are kept."""

    ttl: str | None = None
    input_tokens: int | None = None


class TokenUsage(Shape):
    """What was used: the three kinds of input are disjoint.

    Source: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html (2026-11).
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[CacheDetail] | None = None
