"""Reads a client's request.

Source: OpenAI's OpenAPI file, `CreateChatCompletionRequest` (2026-11).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.errors import BadRequest
from gateway.translation.conversation import Format, Reasoning, Request, Tool, ToolChoice
from gateway.translation.openai_chat.content_in import CacheControl
from gateway.translation.openai_chat.messages_in import Messages, Said
from gateway.wire.openai_body import decode, missing

_ABSENT = msgspec.Raw(b"")


class _Function(msgspec.Struct):
    name: str = ""
    description: str | None = None
    parameters: msgspec.Raw = _ABSENT
    strict: bool | None = None
    cache_control: CacheControl | None = None


class _Tool(msgspec.Struct):
    type: str | None = None
    function: _Function | None = None
    cache_control: CacheControl | None = None


class _Choice(msgspec.Struct):
    type: str = ""
    function: _Function | None = None
    name: str = ""
    """Of the deprecated `function_call`."""


class _Schema(msgspec.Struct):
    name: str = ""
    description: str | None = None
    schema: msgspec.Raw = _ABSENT
    strict: bool | None = None


class _Format(msgspec.Struct):
    type: str
    json_schema: _Schema | None = None


class _Reasoning(msgspec.Struct):
    """OpenRouter's `reasoning`. Source: https://openrouter.ai/docs/use-cases/reasoning-tokens (2026-11)."""

    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    exclude: bool | None = None
    summary: str | None = None


class _Thinking(msgspec.Struct):
    """Anthropic's `thinking`, as LiteLLM and DeepSeek take it."""

    type: str = ""
    budget_tokens: int | None = None


class _Body(msgspec.Struct):
    messages: list[Said] | None = None
    tools: list[_Tool] | None = None
    functions: list[_Function] | None = None
    tool_choice: _Choice | str | None = None
    function_call: _Choice | str | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] | str | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: _Format | None = None
    verbosity: str | None = None
    reasoning_effort: str | None = None
    reasoning: _Reasoning | None = None
    thinking: _Thinking | None = None
    stream: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None


_bodies = msgspec.json.Decoder(_Body)
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_anything = msgspec.json.Decoder()

_READ = frozenset(_Body.__struct_fields__) | {"model", "stream_options"}
_HINTS = frozenset(
    {
        "metadata", "store", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "cache_control",
        "include_reasoning", "reasoning_format",
    }
)  # fmt: skip
_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",  # Mistral's word for it
}
_NEUTRAL = {"n": 1, "modalities": ["text"]}


def read_request(body: bytes, drop: frozenset[str]) -> Request:
    """Read the body without the fields to `drop`; raise BadRequest."""
    fields = decode(_objects, body)
    if not drop.isdisjoint(fields):
        fields = {name: value for name, value in fields.items() if name not in drop}
        body = msgspec.json.encode(fields)
    said = decode(_bodies, body)
    if not said.messages:
        raise missing("messages")
    messages = Messages()
    for index, message in enumerate(said.messages):
        messages.take(message, f"messages[{index}]")
    messages.end()
    others, hints = _unread(fields)
    others += messages.others
    return Request(
        messages=tuple(messages.messages),
        system=tuple(messages.system),
        tools=_tools(said, others),
        tool_choice=_choice(said, others),
        parallel_tool_calls=said.parallel_tool_calls,
        max_tokens=said.max_tokens if said.max_completion_tokens is None else said.max_completion_tokens,
        temperature=said.temperature,
        top_p=said.top_p,
        top_k=said.top_k,
        stop=(said.stop,) if isinstance(said.stop, str) else tuple(said.stop or ()),
        seed=said.seed,
        frequency_penalty=said.frequency_penalty,
        presence_penalty=said.presence_penalty,
        logprobs=said.logprobs or None,
        top_logprobs=said.top_logprobs,
        format=_format(said.response_format, others),
        verbosity=said.verbosity or "",
        reasoning=_reasoning(said),
        stream=bool(said.stream),
        user=said.user or said.safety_identifier or "",
        service_tier="" if said.service_tier in (None, "auto") else said.service_tier,
        others=tuple(others),
        hints=tuple(hints),
    )


def _unread(fields: dict[str, msgspec.Raw]) -> tuple[list[str], list[str]]:
    """Return the names of what changes the answer and is not read, and of what changes nothing."""
    others: list[str] = []
    hints: list[str] = []
    for name, raw in fields.items():
        if name in _READ:
            continue
        value = decode(_anything, bytes(raw))
        if value and value != _NEUTRAL.get(name):
            (hints if name in _HINTS else others).append(name)
    return others, hints


def _tools(said: _Body, others: list[str]) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for index, tool in enumerate(said.tools or ()):
        if tool.function is None and tool.type not in ("function", "", None):
            others.append(f"tools[{index}]")
            continue
        tools.append(_tool(tool.function, tool.cache_control, f"tools[{index}].function"))
    for index, function in enumerate(said.functions or ()):
        tools.append(_tool(function, None, f"functions[{index}]"))
    return tuple(tools)


def _tool(function: _Function | None, cache: CacheControl | None, place: str) -> Tool:
    if function is None or not function.name:
        raise missing(f"{place}.name")
    cache = cache or function.cache_control
    return Tool(
        name=function.name,
        description=function.description or "",
        schema=_json(function.parameters, f"{place}.parameters"),
        strict=function.strict,
        cache=cache.cache() if cache else None,
    )


def _json(raw: msgspec.Raw, place: str) -> str:
    try:
        said = bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"Invalid '{place}': it is not UTF-8.", code="invalid_json", param=place) from error
    return "" if said == "null" else said


def _choice(said: _Body, others: list[str]) -> ToolChoice | None:
    """Read `tool_choice`, or the deprecated `function_call`."""
    choice = said.tool_choice
    if choice is None:
        choice = said.function_call
        if isinstance(choice, _Choice):
            return _named(choice.name, "function_call.name")
    if isinstance(choice, str) and choice in _MODES:
        return ToolChoice(mode=_MODES[choice])
    if isinstance(choice, _Choice) and choice.type == "function":
        return _named(choice.function.name if choice.function else "", "tool_choice.function.name")
    if choice is not None:
        others.append("tool_choice")
    return None


def _named(name: str, place: str) -> ToolChoice:
    if not name:
        raise missing(place)
    return ToolChoice(mode="tool", name=name)


def _format(said: _Format | None, others: list[str]) -> Format | None:
    if said is None or said.type == "text":
        return None
    if said.type == "json_object":
        return Format(kind="json_object")
    if said.type != "json_schema":
        others.append("response_format")
        return None
    if said.json_schema is None:
        raise missing("response_format.json_schema")
    schema = said.json_schema
    return Format(
        kind="json_schema",
        name=schema.name,
        description=schema.description or "",
        schema=_json(schema.schema, "response_format.json_schema.schema"),
        strict=schema.strict,
    )


def _reasoning(said: _Body) -> Reasoning | None:
    effort, budget = said.reasoning_effort or "", None
    show: bool | None = None
    summary = ""
    if said.reasoning is not None:
        effort = effort or said.reasoning.effort or ""
        budget = said.reasoning.max_tokens
        if budget is None and not effort and said.reasoning.enabled is not None:
            budget = -1 if said.reasoning.enabled else 0
        show = False if said.reasoning.exclude else None
        summary = said.reasoning.summary or ""
    if said.thinking is not None and not effort:
        budget = 0 if said.thinking.type == "disabled" else said.thinking.budget_tokens
        if budget is None:
            budget = -1
    if not (effort or summary) and budget is None and show is None:
        return None
    return Reasoning(effort=effort, budget=budget, show=show, summary=summary)
