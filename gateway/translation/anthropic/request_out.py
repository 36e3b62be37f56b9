"""Writes a request for Anthropic.

What a model refuses is left out and told, as it would fail the request: see `gateway.translation.claude`.
Source: https://docs.anthropic.com/en/api/messages (2026-11).
"""

from __future__ import annotations

import msgspec

from gateway.translation.anthropic.blocks import EMPTY_SCHEMA, CacheControl, TextBlock
from gateway.translation.anthropic.parts_out import control
from gateway.translation.anthropic.thinking_out import FORCED, Thought, think
from gateway.translation.anthropic.turns_out import Turn, Turns
from gateway.translation.base import Written
from gateway.translation.claude import Claude, claude
from gateway.translation.conversation import Request, Tool


class _Tool(msgspec.Struct, omit_defaults=True):
    name: str
    input_schema: msgspec.Raw
    description: str = ""
    strict: bool | None = None
    cache_control: CacheControl | None = None


class _Choice(msgspec.Struct, omit_defaults=True):
    type: str
    name: str = ""
    disable_parallel_tool_use: bool = False


class _Format(msgspec.Struct, tag_field="type", tag="json_schema"):
    schema: msgspec.Raw


class _OutputConfig(msgspec.Struct, omit_defaults=True):
    effort: str | None = None
    format: _Format | None = None


class _Metadata(msgspec.Struct):
    user_id: str


class _Body(msgspec.Struct, omit_defaults=True):
    model: str
    max_tokens: int
    messages: list[Turn]
    system: list[TextBlock] = []
    tools: list[_Tool] = []
    tool_choice: _Choice | None = None
    thinking: Thought | None = None
    output_config: _OutputConfig | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] = []
    stream: bool = False
    metadata: _Metadata | None = None
    service_tier: str | None = None


_TYPES = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}
_WITHOUT_A_PLACE = ("seed", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "verbosity")
_EITHER = {"temperature", "top_p"}
_LEAST_TOP_P = 0.95
"""Of a model that thinks."""


def write_request(request: Request, *, model: str) -> Written:
    """Write the request, and say what had no place in it."""
    takes = claude(model)
    lost = [
        name for name in _WITHOUT_A_PLACE if getattr(request, name)
    ]  # 0 and False are what there is anyway
    if request.seed == 0:
        lost.append("seed")
    turns = Turns(request, lost, system_inside=takes.system_inside)
    choice = _choice(request, takes, lost)
    length = request.max_tokens if request.max_tokens is not None else takes.max_output
    thought, effort = think(
        request, takes, lost, max_tokens=length, forced=choice is not None and choice.type in FORCED
    )
    body = _Body(
        model=model,
        max_tokens=length,
        messages=turns.turns,
        system=turns.system,
        tools=[_tool(tool) for tool in request.tools],
        tool_choice=choice,
        thinking=thought,
        output_config=_output_config(request, effort, lost),
        stop_sequences=_stops(request, lost),
        stream=request.stream,
        metadata=_Metadata(request.user) if request.user else None,
    )
    _sample(request, takes, body, lost)
    if request.service_tier == "standard_only":
        body.service_tier = request.service_tier
    elif request.service_tier not in ("", "auto"):
        lost.append("service_tier")
    return Written(msgspec.json.encode(body), tuple(dict.fromkeys(lost)))


def _tool(tool: Tool) -> _Tool:
    schema = msgspec.Raw(tool.schema.encode()) if tool.schema else EMPTY_SCHEMA
    return _Tool(tool.name, schema, tool.description, tool.strict, control(tool.cache))


def _choice(request: Request, takes: Claude, lost: list[str]) -> _Choice | None:
    """Return the choice, which may only be made among tools."""
    choice = request.tool_choice
    if not request.tools:
        return None
    single = request.parallel_tool_calls is False
    if choice is None:
        return _Choice("auto", disable_parallel_tool_use=True) if single else None
    kind = _TYPES[choice.mode]
    if kind in FORCED and not takes.forces_tools:
        lost.append("tool_choice")
        kind = "auto"
    name = choice.name if kind == "tool" else ""
    return _Choice(kind, name, single and kind != "none")


def _output_config(request: Request, effort: str, lost: list[str]) -> _OutputConfig | None:
    """Return effort and form of the answer; there is no form of any JSON object."""
    form = request.format
    if form is not None and (form.kind != "json_schema" or not form.schema):
        lost.append("format")
        form = None
    if not effort and form is None:
        return None
    written = _Format(msgspec.Raw(form.schema.encode())) if form is not None else None
    return _OutputConfig(effort or None, written)


def _stops(request: Request, lost: list[str]) -> list[str]:
    """Return the stop sequences; blank ones are refused."""
    kept = [stop for stop in request.stop if stop.strip()]
    if len(kept) < len(request.stop):
        lost.append("stop")
    return kept


def _sample(request: Request, takes: Claude, body: _Body, lost: list[str]) -> None:
    """Set what the model takes. OpenAI's temperatures go up to 2."""
    given = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    asked = {name: value for name, value in given.items() if value is not None}
    thinks = body.thinking is not None and body.thinking.type != "disabled"
    refused = {name: asked.pop(name) for name in _refused(asked, takes, thinks=thinks)}
    lost.extend(
        name for name, value in refused.items() if value != 1 or name == "top_k"
    )  # else it is the default
    warmth = asked.get("temperature")
    if warmth is not None and warmth > 1:
        lost.append("temperature")
        warmth = 1
    body.temperature, body.top_p = warmth, asked.get("top_p")
    body.top_k = request.top_k if "top_k" in asked else None


def _refused(asked: dict[str, float], takes: Claude, *, thinks: bool) -> list[str]:
    if not takes.samples:
        return list(asked)
    if thinks:
        return [name for name in asked if name != "top_p" or asked[name] < _LEAST_TOP_P]
    if takes.one_sampler and len(asked.keys() & _EITHER) == len(_EITHER):
        return ["temperature" if asked["temperature"] == 1 else "top_p"]
    return []
