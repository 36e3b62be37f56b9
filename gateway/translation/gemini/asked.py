"""What a `GenerateContentRequest` looks like, as far as other APIs have something like it.

Source: https://ai.google.dev/api/generate-content (2026-11). All fields may be null or missing. Whatever does not fit,
be it written in snake_case or unknown here, is set right by `gateway.translation.gemini.tidy`.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.errors import BadRequest
from gateway.translation.gemini.tidy import camel, tidy
from gateway.wire import openai_body

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Struct(msgspec.Struct, rename="camel", omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Base of everything in a request."""


class Blob(Struct):
    """Bytes with their type; `data` is base64."""

    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class File(Struct):
    """A file, by its address."""

    mime_type: str | None = None
    file_uri: str | None = None
    display_name: str | None = None


class Call(Struct):
    """The model called a function; `args` is a JSON object."""

    name: str | None = None
    args: Raw | UnsetType = UNSET
    id: str | None = None


class ReturnedPart(Struct):
    """A medium that a function returned."""

    inline_data: Blob | None = None
    file_data: File | None = None


class Returned(Struct):
    """What a function returned; `response` is a JSON object."""

    name: str | None = None
    response: Raw | UnsetType = UNSET
    id: str | None = None
    parts: list[ReturnedPart] | None = None


class Part(Struct):
    """A piece of a turn; any may carry the signature of the thought behind it."""

    text: str | None = None
    thought: bool | None = None
    inline_data: Blob | None = None
    file_data: File | None = None
    function_call: Call | None = None
    function_response: Returned | None = None
    thought_signature: str | None = None


class Content(Struct):
    """A turn."""

    parts: list[Part] | None = None
    role: str | None = None


class Declaration(Struct):
    """A function. `parameters` is of the OpenAPI kind, `parametersJsonSchema` JSON Schema; one of them is there."""

    name: str | None = None
    description: str | None = None
    parameters: Raw | UnsetType = UNSET
    parameters_json_schema: Raw | UnsetType = UNSET


class Tool(Struct):
    """Functions; tools that Google runs stand beside them in fields of their own."""

    function_declarations: list[Declaration] | None = None


class Calling(Struct):
    """Whether functions may be called, and which."""

    mode: str | int | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(Struct):
    """Around `functionCallingConfig`."""

    function_calling_config: Calling | None = None


class Thinking(Struct):
    """How much to think: a budget up to Gemini 2.5, a level from Gemini 3 on."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | int | None = None


class Config(Struct):
    """Settings of the answer."""

    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    candidate_count: int | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    response_mime_type: str | None = None
    response_schema: Raw | UnsetType = UNSET
    response_json_schema: Raw | UnsetType = UNSET
    response_modalities: list[str | int] | None = None
    thinking_config: Thinking | None = None


class Safety(Struct):
    """From where on the provider's filters step in."""

    category: Any = None
    threshold: Any = None
    method: Any = None


class Body(Struct):
    """A request."""

    contents: list[Content] | None = None
    system_instruction: Content | str | None = None
    tools: list[Tool] | None = None
    tool_config: ToolConfig | None = None
    generation_config: Config | None = None
    safety_settings: list[Safety] | None = None
    service_tier: str | None = None
    model: str | None = None


_bodies = msgspec.json.Decoder(Body, strict=False)
_objects = msgspec.json.Decoder(dict[str, Raw])


def decode(body: bytes, drop: AbstractSet[str]) -> tuple[Body, list[str]]:
    """Read a request without the fields to `drop`, and the paths of what is said beside; raise BadRequest."""
    if drop:
        fields = openai_body.decode(_objects, body)
        if any(name in drop or camel(name) in drop for name in fields):
            kept = {name: fields[name] for name in fields if name not in drop and camel(name) not in drop}
            body = msgspec.json.encode(kept)
    try:
        return _bodies.decode(body), []
    except _UNREADABLE:
        pass
    unknown: list[str] = []
    fields = openai_body.decode(_objects, body)
    try:
        tidied = tidy(fields, Body, unknown)
    except _UNREADABLE as error:
        raise unreadable() from error
    return openai_body.decode(_bodies, tidied), unknown


def text_of(raw: Raw) -> str:
    """Return JSON as its text; raise BadRequest if it is not UTF-8."""
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise unreadable() from error


def unreadable() -> BadRequest:
    """Return the error for what is not JSON where nobody looked before."""
    return BadRequest("The body is not valid JSON, or nested too deeply.", code="invalid_json")
