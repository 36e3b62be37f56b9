"""What is read of a request and of a response: the fields that mean something here, all of them optional.

Source: OpenAI's OpenAPI description, schemas `InputItem`, `OutputItem`, `InputContent`, `OutputContent` (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import BadRequest

ABSENT = msgspec.Raw(b"")


class Audio(msgspec.Struct):
    """Of an `input_audio` part."""

    data: str = ""
    format: str = ""


class Logprobs(msgspec.Struct):
    """How likely a token was."""

    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[Logprobs] | None = None


class Annotation(msgspec.Struct):
    """Where a statement comes from."""

    type: str | None = None
    url: str | None = None
    title: str | None = None
    filename: str | None = None
    file_id: str | None = None
    index: int | None = None
    start_index: int | None = None
    end_index: int | None = None


class Part(msgspec.Struct):
    """A part of a message, of a tool's output, or of a thought."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: Audio | None = None
    annotations: list[msgspec.Raw] | None = None
    logprobs: list[Logprobs] | None = None
    prompt_cache_breakpoint: Any = None


class Item(msgspec.Struct):
    """An item of the input or the output, of any type."""

    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | dict[str, msgspec.Raw] | None = None
    input: str | None = None
    output: str | list[Part] | dict[str, msgspec.Raw] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None
    result: str | None = None
    output_format: str | None = None


class IncompleteDetails(msgspec.Struct):
    """Why a response is incomplete."""

    reason: str | None = None


class Response(msgspec.Struct):
    """An answer, whole or under way."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[Item] | None = None
    incomplete_details: IncompleteDetails | None = None
    error: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    service_tier: str | None = None


class Grammar(msgspec.Struct):
    """What the input of a custom tool looks like."""

    type: str | None = None
    syntax: str | None = None
    definition: str | None = None


class ToolShape(msgspec.Struct):
    """A tool, of any type."""

    type: str | None = None
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = ABSENT
    strict: bool | None = None
    format: Grammar | None = None
    tools: list[ToolShape] | None = None


def invalid(param: str, why: str) -> BadRequest:
    """Return the error for a value that this format does not have."""
    return BadRequest(f"Invalid value for '{param}': {why}.", code="invalid_value", param=param)
