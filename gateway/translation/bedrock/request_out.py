"""Writes requests for Converse."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.translation.base import Written
from gateway.translation.bedrock import makers
from gateway.translation.bedrock.parts_out import PartsOut
from gateway.translation.bedrock.shapes import Block, Body, InferenceConfig
from gateway.translation.claude import claude
from gateway.translation.conversation import Format, Request, Text, Tool

_encode = msgspec.json.encode
_NOTHING = msgspec.Raw(b'{"type":"object","properties":{}}')
_CHOICES = {"auto": "auto", "required": "any", "tool": "tool"}
_FORCED = frozenset({"required", "tool"})
_TIERS = frozenset({"priority", "flex", "reserved"})
_USUAL_TIERS = frozenset({"", "auto", "default", "standard", "standard_only"})
_LEAST_TOP_P = 0.95
"""Of a Claude that thinks. Source: https://platform.claude.com/docs/en/build-with-claude/thinking (2026-11)."""
_STOP_SEQUENCE = ["/stop_sequence"]
"""Claude tells which one it met if it is asked. Source:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (2026-11)."""

Lost = dict[str, None]


def write_request(request: Request, *, model: str) -> Written:
    """Write the body; the model goes into the path."""
    maker = makers.maker_of(model)
    parts = PartsOut(maker)
    turns = parts.turns(request.messages)
    lost = parts.lost
    tools, forced = _tools(request, model, parts)
    more, max_tokens = _thinking(request, model, maker, lost, forced=forced)
    sampling = _sampling(request, model, lost, thinks=more.get("thinking", {}).get("type") in _THINKS)
    if (top_k := sampling.pop("top_k", None)) is not None:
        more |= makers.top_k(maker, int(top_k)) or _lose(lost, "top_k")
    _note_losses(request, lost)
    config = InferenceConfig(max_tokens, stop_sequences=request.stop or None, **sampling)
    body = Body(
        turns,
        system=_system(request, parts) or None,
        inference_config=config if config != InferenceConfig() else None,
        tool_config=tools,
        additional_model_request_fields=more or None,
        additional_model_response_field_paths=(
            _STOP_SEQUENCE if request.stop and maker == makers.CLAUDE else None
        ),
        output_config=_output(request.format, lost),
        service_tier={"type": request.service_tier} if request.service_tier in _TIERS else None,
    )
    return Written(_encode(body), tuple(lost))


_THINKS = frozenset({"enabled", "adaptive"})


def _system(request: Request, parts: PartsOut) -> list[Block]:
    """Return all that is said by the system, wherever it stands: few models take it between other messages.

    Anthropic does so too. Source: https://docs.anthropic.com/en/api/openai-sdk, "System / Developer message hoisting"
    (2026-11).
    """
    between = [part for m in request.messages if m.role == "system" for part in m.parts]
    return [
        block for text in (*request.system, *between) if isinstance(text, Text) for block in parts.words(text)
    ]


def _tools(request: Request, model: str, parts: PartsOut) -> tuple[dict[str, Any] | None, bool]:
    """Return the functions, and whether one must be called. Those that a conversation called must be among them."""
    choice, tools = request.tool_choice, request.tools
    mode = choice.mode if choice is not None and tools else ""
    if mode == "none":
        if not parts.called:
            return None, False
        parts.lost["tool_choice"] = None
    if not tools:
        tools = tuple(Tool(name=name) for name in parts.called)
    if not tools:
        return None, False
    if mode in _FORCED and not claude(model).forces_tools:
        parts.lost["tool_choice"] = None
        mode = "auto"
    config: dict[str, Any] = {"tools": [entry for tool in tools for entry in _tool(tool, parts)]}
    if choice is not None and mode in _CHOICES:
        config["toolChoice"] = {_CHOICES[mode]: {"name": choice.name} if mode == "tool" else {}}
    return config, mode in _FORCED


def _tool(tool: Tool, parts: PartsOut) -> list[Any]:
    schema = msgspec.Raw(tool.schema.encode()) if tool.schema else _NOTHING
    spec: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": schema}}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return [{"toolSpec": spec}, *parts.cached(tool.cache)]


def _thinking(
    request: Request, model: str, maker: str, lost: Lost, *, forced: bool
) -> tuple[dict[str, Any], int | None]:
    """Return how to think, and how long the answer may be. A Claude that thinks cannot be made to call a function."""
    if request.reasoning is None:
        return {}, request.max_tokens
    found = makers.thinking(model, maker, request.reasoning, request.max_tokens)
    if found is None or (forced and found[0].get("thinking", {}).get("type") in _THINKS):
        return _lose(lost, "reasoning"), request.max_tokens
    return found


def _sampling(request: Request, model: str, lost: Lost, *, thinks: bool) -> dict[str, float]:
    """Return temperature, top_p and top_k, as far as the model takes them; 1 is what it has anyway."""
    given = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    asked = {name: value for name, value in given.items() if value is not None}
    takes = claude(model)
    refused: list[str] = []
    if not takes.samples:
        refused = list(asked)
    elif thinks:
        refused = [name for name in asked if name != "top_p" or asked[name] < _LEAST_TOP_P]
    elif takes.one_sampler and "temperature" in asked and "top_p" in asked:
        refused = ["temperature" if asked["temperature"] == 1 else "top_p"]
    for name in refused:
        if asked.pop(name) != 1 or name == "top_k":
            lost[name] = None
    if asked.get("temperature", 0) > 1:  # OpenAI's go up to 2
        lost["temperature"] = None
        asked["temperature"] = 1
    return asked


def _output(form: Format | None, lost: Lost) -> dict[str, Any] | None:
    if form is None:
        return None
    if form.kind != "json_schema" or not form.schema:
        lost["format"] = None
        return None
    schema = {"schema": form.schema, "name": form.name, "description": form.description}
    said = {name: value for name, value in schema.items() if value}
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": said}}}


def _lose(lost: Lost, name: str) -> dict[str, Any]:
    lost[name] = None
    return {}


def _note_losses(request: Request, lost: Lost) -> None:
    """Note what Converse has no place for; what changes nothing is not noted."""
    found = {
        "seed": request.seed is not None,
        "frequency_penalty": bool(request.frequency_penalty),
        "presence_penalty": bool(request.presence_penalty),
        "logprobs": bool(request.logprobs),
        "top_logprobs": bool(request.top_logprobs),
        "verbosity": request.verbosity not in ("", "medium"),
        "parallel_tool_calls": request.parallel_tool_calls is False,
        "user": bool(request.user),
        "service_tier": request.service_tier not in _TIERS | _USUAL_TIERS,
    }
    for name, is_lost in found.items():
        if is_lost:
            lost[name] = None
