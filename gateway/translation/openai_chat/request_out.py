"""Writes a request for OpenAI, or for a provider with the same API.

Source: OpenAI's OpenAPI file, `CreateChatCompletionRequest` (2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.translation.base import Written
from gateway.translation.conversation import Format, Request, Tool, ToolChoice
from gateway.translation.openai_chat.answer import TIERS
from gateway.translation.openai_chat.messages_out import Messages
from gateway.translation.openai_chat.models import (
    counts_thoughts,
    nearest_effort,
    never_thinks,
    wants_thoughts,
)
from gateway.translation.reasoning import effort_of

_ALIKE = (
    "temperature", "top_p", "stop", "seed", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "verbosity",
    "user",
)  # fmt: skip
"""Fields that this format calls the same."""


def write_request(request: Request, *, model: str, usage: bool) -> Written:
    """Write the request; `usage` asks for usage at the end of a stream."""
    messages = Messages(request, model)
    body: dict[str, Any] = {"model": model, "messages": messages.written}
    for name in _ALIKE:
        value = getattr(request, name)
        if value not in (None, "", ()):
            body[name] = value
    if request.max_tokens is not None:
        body["max_completion_tokens" if counts_thoughts(model) else "max_tokens"] = request.max_tokens
    if request.tools:
        body.update(_tools(request))
    if request.format is not None:
        body["response_format"] = _format(request.format)
    body.update(_reasoning(request, model))
    if request.service_tier in TIERS:
        body["service_tier"] = request.service_tier
    if request.stream:
        body["stream"] = True
        if usage:
            body["stream_options"] = {"include_usage": True}
    return Written(msgspec.json.encode(body), tuple(messages.lost | _lost(request, model)))


def _effort(request: Request) -> str:
    return effort_of(request.reasoning, request.max_tokens) if request.reasoning is not None else ""


def _reasoning(request: Request, model: str) -> dict[str, Any]:
    """Return how much to think. DeepSeek's switch is that of litellm 1.106.2."""
    effort = _effort(request)
    if not effort or never_thinks(model):
        return {}
    if wants_thoughts(model) and effort == "none":
        return {"thinking": {"type": "disabled"}}
    return {"reasoning_effort": nearest_effort(model, effort)}


def _lost(request: Request, model: str) -> dict[str, None]:
    """Return the settings that have no place."""
    lost = {
        "top_k": request.top_k is not None,
        "reasoning": never_thinks(model) and _effort(request) not in ("", "none"),
        "service_tier": bool(request.service_tier) and request.service_tier not in TIERS,
        "cache": any(tool.cache for tool in request.tools),
    }
    return {name: None for name, missing in lost.items() if missing}


def _tools(request: Request) -> dict[str, Any]:
    said: dict[str, Any] = {
        "tools": [{"type": "function", "function": _tool(tool)} for tool in request.tools]
    }
    if request.tool_choice is not None:
        said["tool_choice"] = _choice(request.tool_choice)
    if request.parallel_tool_calls is not None:
        said["parallel_tool_calls"] = request.parallel_tool_calls
    return said


def _tool(tool: Tool) -> dict[str, Any]:
    said: dict[str, Any] = {"name": tool.name}
    if tool.description:
        said["description"] = tool.description
    if tool.schema:
        said["parameters"] = msgspec.Raw(tool.schema.encode())
    if tool.strict is not None:
        said["strict"] = tool.strict
    return said


def _choice(choice: ToolChoice) -> str | dict[str, Any]:
    if choice.mode == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def _format(form: Format) -> dict[str, Any]:
    if form.kind == "json_object":
        return {"type": "json_object"}
    said: dict[str, Any] = {"name": form.name or "answer"}
    if form.description:
        said["description"] = form.description
    if form.schema:
        said["schema"] = msgspec.Raw(form.schema.encode())
    if form.strict is not None:
        said["strict"] = form.strict
    return {"type": "json_schema", "json_schema": said}
