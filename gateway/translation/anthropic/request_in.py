"""Reads what an Anthropic client asks.

Source: https://docs.anthropic.com/en/api/messages and anthropic-sdk-python 2.12.0, types/message_create_params.py
(2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.translation.anthropic.blocks import ABSENT, Block, CacheControl
from gateway.translation.anthropic.parts_in import Parts, cache_of, given, object_text, text_of
from gateway.translation.conversation import (
    Format,
    Message,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolChoice,
)
from gateway.wire import openai_body

_HINTS = frozenset(
    {
        "anthropic_beta",
        "anthropic_version",
        "cache_control",
        "diagnostics",
        "speed",
        "user_profile_id",
        "workspace_id",
    }
)
"""They change how the answer is served, not what it says."""
_KNOWN = frozenset(
    {
        "context_management",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "service_tier",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
_NEUTRAL = (b"null", b"[]", b"{}")


class _Message(msgspec.Struct):
    role: str = ""
    content: str | list[Block] | None = None
    output_config: msgspec.Raw = ABSENT


class _Tool(msgspec.Struct):
    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = ABSENT
    strict: bool | None = None
    cache_control: CacheControl | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: list[msgspec.Raw] | None = None


class _Choice(msgspec.Struct):
    type: str = ""
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(msgspec.Struct):
    type: str = ""
    budget_tokens: int | None = None
    display: str | None = None


class _Format(msgspec.Struct):
    type: str = ""
    schema: msgspec.Raw = ABSENT


class _OutputConfig(msgspec.Struct):
    effort: str | None = None
    format: _Format | None = None
    task_budget: msgspec.Raw = ABSENT


class _Edit(msgspec.Struct):
    type: str = ""


class _ContextManagement(msgspec.Struct):
    edits: list[_Edit] | None = None


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Body(msgspec.Struct):
    messages: list[_Message] | None = None
    system: str | list[Block] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _Choice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    context_management: _ContextManagement | None = None
    metadata: _Metadata | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    service_tier: str | None = None
    stream: bool | None = None


_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_bodies = msgspec.json.Decoder(_Body)
_MODES: dict[str, Any] = {"auto": "auto", "any": "required", "tool": "tool", "none": "none"}


def read_request(body: bytes, *, drop: frozenset[str] = frozenset()) -> Request:
    """Read the request without the fields to `drop`; raise BadRequest naming the parameter."""
    fields = openai_body.decode(_objects, body)
    if not drop.isdisjoint(fields):
        fields = {name: value for name, value in fields.items() if name not in drop}
        body = msgspec.json.encode(fields)
    said = openai_body.decode(_bodies, body)
    if said.messages is None:
        raise openai_body.missing("messages")
    parts = Parts()
    system, messages = _turns(said, said.messages, parts)
    _note_unknown(fields, parts)
    tools = tuple(
        tool for index, each in enumerate(said.tools or ()) if (tool := _tool(each, f"tools[{index}]", parts))
    )
    choice = said.tool_choice
    return Request(
        messages=messages,
        system=system,
        tools=tools,
        tool_choice=_choice(choice) if choice is not None else None,
        parallel_tool_calls=False if choice is not None and choice.disable_parallel_tool_use else None,
        max_tokens=said.max_tokens,
        temperature=said.temperature,
        top_p=said.top_p,
        top_k=said.top_k,
        stop=tuple(said.stop_sequences or ()),
        format=_format(said),
        reasoning=_reasoning(said, parts),
        stream=bool(said.stream),
        user=(said.metadata.user_id if said.metadata is not None else None) or "",
        service_tier=said.service_tier if said.service_tier not in (None, "auto") else "",
        others=tuple(parts.others),
        hints=tuple(parts.hints),
    )


def _turns(
    said: _Body, messages: list[_Message], parts: Parts
) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """Read all messages; what the system says before any other stands before all."""
    system = list(_texts(parts, said.system, "system")) if said.system is not None else []
    turns: list[Message] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if given(message.output_config):
            parts.others.append(f"{path}.output_config")
        match message.role:
            case "user":
                turns.append(Message("user", parts.read(message.content, f"{path}.content")))
            case "assistant":
                turns.append(Message("assistant", parts.read(message.content, f"{path}.content")))
            case "system":
                words = _texts(parts, message.content, f"{path}.content")
                if not turns:
                    system.extend(words)
                elif words:
                    turns.append(Message("system", words))
            case _:
                raise BadRequest(
                    f"Invalid '{path}.role': it must be user, assistant or system.",
                    code="invalid_value",
                    param=f"{path}.role",
                )
    return tuple(system), tuple(turns)


def _texts(parts: Parts, content: str | list[Block] | None, path: str) -> tuple[Text, ...]:
    if content is None:
        raise openai_body.missing(path)
    if isinstance(content, str):
        return (Text(content),) if content else ()
    found: list[Text] = []
    for index, block in enumerate(content):
        if block.type == "text":
            found.append(text_of(block, f"{path}[{index}]"))
        else:
            parts.others.append(f"{path}[{index}]")
    return tuple(found)


def _note_unknown(fields: dict[str, msgspec.Raw], parts: Parts) -> None:
    for name, value in fields.items():
        if name not in _KNOWN and bytes(value) not in _NEUTRAL:
            (parts.hints if name in _HINTS else parts.others).append(name)


def _tool(said: _Tool, path: str, parts: Parts) -> Tool | None:
    """Read a function; None for a tool that the provider runs."""
    if said.type not in (None, "custom"):
        parts.others.append(path)
        return None
    if not said.name:
        raise openai_body.missing(f"{path}.name")
    if said.allowed_callers and "direct" not in said.allowed_callers:
        parts.others.append(f"{path}.allowed_callers")
    for name in ("defer_loading", "eager_input_streaming", "input_examples"):
        if getattr(said, name):
            parts.hints.append(f"{path}.{name}")
    return Tool(
        name=said.name,
        description=said.description or "",
        schema=object_text(said.input_schema, f"{path}.input_schema") if given(said.input_schema) else "",
        strict=said.strict,
        cache=cache_of(said.cache_control),
    )


def _choice(said: _Choice) -> ToolChoice:
    mode = _MODES.get(said.type)
    if mode is None:
        raise BadRequest(
            "Invalid 'tool_choice.type': it must be auto, any, tool or none.",
            code="invalid_value",
            param="tool_choice.type",
        )
    if mode == "tool" and not said.name:
        raise openai_body.missing("tool_choice.name")
    return ToolChoice(mode=mode, name=said.name or "" if mode == "tool" else "")


def _format(said: _Body) -> Format | None:
    """Read the form of the answer; `output_format` is what it was called in the beta."""
    form, path = said.output_format, "output_format"
    if said.output_config is not None and said.output_config.format is not None:
        form, path = said.output_config.format, "output_config.format"
    if form is None:
        return None
    if form.type != "json_schema":
        raise BadRequest(
            f"Invalid '{path}.type': it must be json_schema.", code="invalid_value", param=f"{path}.type"
        )
    if not given(form.schema):
        raise openai_body.missing(f"{path}.schema")
    return Format(kind="json_schema", schema=object_text(form.schema, f"{path}.schema"))


def _reasoning(said: _Body, parts: Parts) -> Reasoning | None:
    """Read how much to think; with an effort, that says more than that the model decides."""
    effort = ""
    if said.output_config is not None:
        effort = said.output_config.effort or ""
        if given(said.output_config.task_budget):
            parts.others.append("output_config.task_budget")
    edits = said.context_management.edits if said.context_management is not None else None
    if edits:
        # what a provider would clear away makes the context shorter, and says nothing
        cleared = all(edit.type.startswith("clear_") for edit in edits)
        (parts.hints if cleared else parts.others).append("context_management")
    thinking = said.thinking
    if thinking is None:
        return Reasoning(effort=effort) if effort else None
    show = None if thinking.display is None else thinking.display != "omitted"
    match thinking.type:
        case "disabled":
            return Reasoning(budget=0)
        case "adaptive":
            return Reasoning(effort=effort, budget=None if effort else -1, show=show)
        case "enabled":
            if thinking.budget_tokens is None:
                raise openai_body.missing("thinking.budget_tokens")
            return Reasoning(effort=effort, budget=thinking.budget_tokens, show=show)
        case _:
            parts.others.append("thinking.type")
            return Reasoning(effort=effort) if effort else None
