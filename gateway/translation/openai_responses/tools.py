"""Functions, free-form tools and namespaces: how they are offered, and how calls of them are worded.

A free-form tool ("custom") is carried as a function with one argument, a function in a namespace under a name that
says both; the answer's calls are worded as the client knows them.
Source: https://platform.openai.com/docs/guides/function-calling (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import msgspec

from gateway.translation.conversation import Tool, ToolCall
from gateway.translation.openai_responses.shapes import Grammar, ToolShape, invalid

_OWN = frozenset({"function", "custom"})
_FREEFORM = '{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
_NO_ARGUMENTS = msgspec.Raw(b'{"type":"object","properties":{}}')


class Input(msgspec.Struct):
    """The arguments of a free-form tool."""

    input: str


_inputs = msgspec.json.Decoder(Input)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_tools(shapes: Iterable[ToolShape]) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """Return the tools that the client runs, and the places of those that OpenAI would run; raise BadRequest."""
    tools: list[Tool] = []
    others: list[str] = []
    for number, shape in enumerate(shapes):
        place = f"tools[{number}]"
        if shape.type == "namespace":
            within, namespace = shape.tools or [], shape.name or ""
        else:
            within, namespace = [shape], ""
        found = [_read(one, namespace, place) for one in within if one.type in _OWN]
        tools += found
        if not within or len(found) < len(within):
            others.append(place)
    return tuple(tools), tuple(others)


def _read(shape: ToolShape, namespace: str, place: str) -> Tool:
    if not shape.name:
        raise invalid(f"{place}.name", "expected the name of a function")
    name, description = joined(namespace, shape.name), shape.description or ""
    if shape.type == "custom":
        description += _grammar(shape.format)
        return Tool(name=name, description=description, schema=_FREEFORM, freeform=True, namespace=namespace)
    schema = bytes(shape.parameters).decode()
    if not schema.startswith("{") and schema not in ("", "null"):
        raise invalid(f"{place}.parameters", "expected a JSON Schema")
    return Tool(
        name=name,
        description=description,
        schema="" if schema == "null" else schema,
        strict=shape.strict,
        namespace=namespace,
    )


def _grammar(grammar: Grammar | None) -> str:
    """Return in words what OpenAI would hold the model to."""
    if grammar is None or not grammar.definition:
        return ""
    return f"\n\nThe input follows this grammar ({grammar.syntax}):\n{grammar.definition}"


def joined(namespace: str, name: str) -> str:
    """Return the name under which a function of a namespace is carried."""
    return f"{namespace}__{name}" if namespace else name


def write_tools(tools: Iterable[Tool]) -> list[dict[str, object]]:
    """Return the tools as a request offers them and a response repeats them."""
    written: list[dict[str, object]] = []
    for namespace, members in groupby(tools, key=lambda tool: tool.namespace):
        within = [_write(tool) for tool in members]
        if namespace:
            within = [{"type": "namespace", "name": namespace, "description": "", "tools": within}]
        written += within
    return written


def _write(tool: Tool) -> dict[str, object]:
    kind = "custom" if tool.freeform else "function"
    written: dict[str, object] = {"type": kind, "name": _own_name(tool)}
    if tool.description:
        written["description"] = tool.description
    if not tool.freeform:
        # Left out, `strict` would be true here, and false in every other API.
        written["strict"] = bool(tool.strict)
        written["parameters"] = msgspec.Raw(tool.schema.encode()) if tool.schema else _NO_ARGUMENTS
    return written


def _own_name(tool: Tool) -> str:
    return tool.name.removeprefix(f"{tool.namespace}__") if tool.namespace else tool.name


class Toolbox:
    """Knows how calls of some tools are worded."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._special = {tool.name: tool for tool in tools if tool.freeform or tool.namespace}

    def is_freeform(self, name: str) -> bool:
        """Say whether the client knows one text in place of arguments."""
        tool = self._special.get(name)
        return tool is not None and tool.freeform

    def prefix(self, name: str) -> str:
        """Return what the ids of such calls begin with."""
        return "ctc" if self.is_freeform(name) else "fc"

    def item(self, call: ToolCall) -> dict[str, object]:
        """Return the call as an item without id and status."""
        tool = self._special.get(call.name)
        if tool is not None and tool.freeform:
            item: dict[str, object] = {
                "type": "custom_tool_call",
                "call_id": call.id,
                "name": _own_name(tool),
            }
            item["input"] = input_of(call.arguments)
        else:
            name = call.name if tool is None else _own_name(tool)
            item = {"type": "function_call", "call_id": call.id, "name": name, "arguments": call.arguments}
        if tool is not None and tool.namespace:
            item["namespace"] = tool.namespace
        return item


def freeform_arguments(text: str) -> str:
    """Return the text for a free-form tool as a function's arguments."""
    return msgspec.json.encode(Input(text)).decode()


def input_of(arguments: str) -> str:
    """Return the text for a free-form tool; what a model wrote instead, as it is."""
    try:
        return _inputs.decode(arguments).input
    except _UNREADABLE:
        return arguments
