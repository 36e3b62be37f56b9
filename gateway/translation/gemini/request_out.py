"""Writes a request for a provider."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw

from gateway.translation.base import Written
from gateway.translation.conversation import Request, Tool, ToolChoice
from gateway.translation.gemini import asked, models
from gateway.translation.gemini.contents_out import Contents

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}
_TIERS = frozenset({"flex", "priority"})
_NEUTRAL_TIERS = frozenset({"", "auto", "default", "standard", "standard_only"})


def write_request(request: Request, *, model: str) -> Written:
    """Return the body for this model. Schemas go as JSON Schema, which all models since Gemini 2.0 take."""
    contents = Contents(new=models.is_new(model))
    for message in request.messages:
        contents.add(message)
    lost = contents.lost
    for text in request.system:
        contents.check(text)
    _note_losses(request, lost)
    body = asked.Body(
        contents=contents.written,
        system_instruction=_system(request),
        tools=[asked.Tool(function_declarations=[_declared(t, lost) for t in request.tools])]
        if request.tools
        else None,
        tool_config=_tool_config(request.tool_choice),
        generation_config=_config(request, model, lost),
        service_tier=request.service_tier if request.service_tier in _TIERS else None,
    )
    return Written(msgspec.json.encode(body), tuple(lost))


def _note_losses(request: Request, lost: dict[str, None]) -> None:
    if request.parallel_tool_calls is False:
        lost["parallel_tool_calls"] = None
    if request.verbosity not in ("", "medium"):
        lost["verbosity"] = None
    if request.user:
        lost["user"] = None
    if request.service_tier not in _TIERS | _NEUTRAL_TIERS:
        lost["service_tier"] = None


def _system(request: Request) -> asked.Content | None:
    parts = [asked.Part(text=text.text) for text in request.system if text.text]
    return asked.Content(parts=parts) if parts else None


def _declared(tool: Tool, lost: dict[str, None]) -> asked.Declaration:
    if tool.cache is not None:
        lost["cache"] = None
    if tool.strict:
        lost["strict"] = None
    return asked.Declaration(
        name=tool.name,
        description=tool.description or None,
        parameters_json_schema=Raw(tool.schema.encode()) if tool.schema else UNSET,
    )


def _tool_config(choice: ToolChoice | None) -> asked.ToolConfig | None:
    if choice is None:
        return None
    named = [choice.name] if choice.mode == "tool" else None
    return asked.ToolConfig(asked.Calling(mode=_MODES[choice.mode], allowed_function_names=named))


def _config(request: Request, model: str, lost: dict[str, None]) -> asked.Config | None:
    form = request.format
    config = asked.Config(
        max_output_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        stop_sequences=list(request.stop) or None,
        seed=request.seed,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        response_logprobs=request.logprobs or None,
        logprobs=request.top_logprobs if request.logprobs else None,
        response_mime_type="application/json" if form else None,
        response_json_schema=Raw(form.schema.encode()) if form and form.schema else UNSET,
        thinking_config=_thinking(request, model, lost),
    )
    return None if config == asked.Config() else config


def _thinking(request: Request, model: str, lost: dict[str, None]) -> asked.Thinking | None:
    reasoning = request.reasoning
    if reasoning is None:
        return None
    if not models.thinks(model):
        if (reasoning.effort or "none") != "none" or reasoning.budget:
            lost["reasoning"] = None
        return None
    config = models.thinking(model, reasoning, request.max_tokens)
    return None if config == asked.Thinking() else config
