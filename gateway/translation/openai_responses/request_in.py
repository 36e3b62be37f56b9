"""Reads a client's request for a response.

Source: https://platform.openai.com/docs/api-reference/responses/create (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from gateway.errors import BadRequest
from gateway.translation.conversation import Format, Message, Reasoning, Request, Text, Tool, ToolChoice
from gateway.translation.openai_responses.shapes import ABSENT, Item, ToolShape, invalid
from gateway.translation.openai_responses.tools import joined, read_tools
from gateway.translation.openai_responses.turns import Turns
from gateway.wire import openai_body

LOGPROBS = "message.output_text.logprobs"
THOUGHTS = "reasoning.encrypted_content"

_MEANINGLESS = frozenset({b"null", b"[]", b"{}", b'""'})
_NEUTRAL = {"background": b"false", "truncation": b'"disabled"', "store": b"true"}
"""What a parameter says if nobody names it."""
_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}
_HINTS = frozenset(
    {
        "client_metadata",  # Codex's, 0.169 (2026-11)
        "max_tool_calls",  # counts only tools that OpenAI runs
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "stream_options",
    }
)


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    mode: str | None = None
    context: str | None = None


class _Format(msgspec.Struct):
    type: str | None = None
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = ABSENT
    strict: bool | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Choice(msgspec.Struct):
    type: str | None = None
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[_Choice] | None = None


class _Body(msgspec.Struct):
    model: Any = None
    input: str | list[Item] | None = None
    instructions: str | None = None
    tools: list[ToolShape] | None = None
    tool_choice: str | _Choice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    stream: bool | None = None
    user: str | None = None
    service_tier: str | None = None


_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_bodies = msgspec.json.Decoder(_Body)
_READ = frozenset(_Body.__struct_fields__)


def read_request(body: bytes, *, drop: frozenset[str] = frozenset()) -> Request:
    """Read a request without the fields to `drop`; raise BadRequest."""
    try:
        fields = openai_body.decode(_objects, body)
        if not drop.isdisjoint(fields):
            fields = {name: value for name, value in fields.items() if name not in drop}
            body = msgspec.json.encode(fields)
        return _read(openai_body.decode(_bodies, body), fields)
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not valid JSON: it is not UTF-8.", code="invalid_json") from error


def _read(said: _Body, fields: dict[str, msgspec.Raw]) -> Request:
    others, hints = _without_place(fields)
    turns = Turns()
    if isinstance(said.input, list):
        turns.take(said.input)
    elif said.input:
        turns.messages.append(Message("user", (Text(said.input),)))
    elif said.input is None and not others:
        raise openai_body.missing("input")
    instructions = (Text(said.instructions),) if said.instructions else ()
    tools, foreign = read_tools(said.tools or ())
    choice, tools, unchosen = _read_choice(said.tool_choice, tools)
    wanted = frozenset(said.include or ())
    if wanted - {LOGPROBS, THOUGHTS}:
        hints.append("include")
    reasoning, modes = _read_reasoning(said.reasoning)
    return Request(
        messages=tuple(turns.messages),
        system=(*instructions, *turns.system),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=said.parallel_tool_calls,
        max_tokens=said.max_output_tokens,
        temperature=said.temperature,
        top_p=said.top_p,
        logprobs=True if LOGPROBS in wanted or said.top_logprobs else None,
        top_logprobs=said.top_logprobs or None,
        format=_read_format(said.text),
        verbosity=_read_verbosity(said.text),
        reasoning=reasoning,
        stream=bool(said.stream),
        user=said.user or "",
        service_tier=said.service_tier if said.service_tier and said.service_tier != "auto" else "",
        others=(*others, *turns.others, *foreign, *unchosen, *modes),
        hints=tuple(hints),
    )


def _without_place(fields: dict[str, msgspec.Raw]) -> tuple[list[str], list[str]]:
    """Return what else was asked, unless it goes without saying: what changes the answer, and what does not."""
    others: list[str] = []
    hints: list[str] = []
    for name in fields.keys() - _READ:
        said = bytes(fields[name])
        if said not in _MEANINGLESS and said != _NEUTRAL.get(name):
            (hints if name in _HINTS else others).append(name)
    return sorted(others), sorted(hints)


def _read_choice(
    said: str | _Choice | None, tools: tuple[Tool, ...]
) -> tuple[ToolChoice | None, tuple[Tool, ...], tuple[str, ...]]:
    """Return the choice, the tools it leaves, and its name if it is one that only OpenAI can make."""
    if said is None:
        return None, tools, ()
    kind = said if isinstance(said, str) else said.type
    if isinstance(said, str) or kind == "allowed_tools":
        mode = _MODES.get((said if isinstance(said, str) else said.mode) or "")
        if mode is None:
            raise invalid("tool_choice", "expected auto, none, required, or an object")
        if isinstance(said, _Choice):
            allowed = {_name_of(one) for one in said.tools or ()}
            tools = tuple(tool for tool in tools if tool.name in allowed)
        return ToolChoice(mode=mode), tools, ()
    if kind in ("function", "custom"):
        if not said.name:
            raise invalid("tool_choice.name", "expected the name of a tool")
        return ToolChoice(mode="tool", name=_name_of(said)), tools, ()
    return None, tools, ("tool_choice",)


def _name_of(choice: _Choice) -> str:
    return joined(choice.namespace or "", choice.name or "")


def _read_reasoning(said: _Reasoning | None) -> tuple[Reasoning | None, Iterable[str]]:
    if said is None:
        return None, ()
    modes = [
        f"reasoning.{name}"
        for name, value, usual in (("mode", said.mode, "standard"), ("context", said.context, "auto"))
        if value and value != usual
    ]
    summary = said.summary or said.generate_summary or ""
    if not said.effort and not summary:
        return None, modes
    return Reasoning(effort=said.effort or "", summary=summary, show=True if summary else None), modes


def _read_format(said: _Text | None) -> Format | None:
    wanted = said.format if said is not None else None
    if wanted is None or wanted.type in (None, "text"):
        return None
    if wanted.type == "json_object":
        return Format(kind="json_object")
    schema = bytes(wanted.schema).decode()
    if wanted.type != "json_schema" or not wanted.name or not schema.startswith("{"):
        raise invalid("text.format", "expected text, json_object, or json_schema with a name and a schema")
    return Format(
        kind="json_schema",
        name=wanted.name,
        description=wanted.description or "",
        schema=schema,
        strict=wanted.strict,
    )


def _read_verbosity(said: _Text | None) -> str:
    """Return how many words are wanted, unless it is as many as usual."""
    wanted = said.verbosity if said is not None else None
    return wanted if wanted and wanted != "medium" else ""
