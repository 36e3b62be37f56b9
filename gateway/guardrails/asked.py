"""What a request must not be: too long, or with tools that nobody allowed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from gateway.access import matches

CHARS_PER_TOKEN = 4
"""Of ASCII, a rule of thumb (OpenAI, "What are tokens and how to count them?", 2026); other characters count one."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_tools_of = msgspec.json.Decoder(dict[str, msgspec.Raw])
_values = msgspec.json.Decoder()
_TOOL_FIELDS = ("tools", "functions")


def tokens(texts: Iterable[str]) -> int:
    """Estimate how many tokens these are."""
    total = 0
    for text in texts:
        ascii_chars = len(text) if text.isascii() else sum(map(str.isascii, text))
        total += -(-ascii_chars // CHARS_PER_TOKEN) + len(text) - ascii_chars
    return total


def forbidden_tool(body: bytes, allowed: tuple[str, ...]) -> bool:
    """Say whether a request offers a tool whose name none of the patterns fits; one without a name goes by its type."""
    try:
        fields = _tools_of.decode(body)
        offered = [_values.decode(fields[name]) for name in _TOOL_FIELDS if name in fields]
    except _UNREADABLE:
        return True
    return not all(matches(allowed, name) for tools in offered for name in _names(tools))


def _names(tools: object) -> Iterator[str]:
    """Yield the names of tools of any API, inside groups as well."""
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict):
            yield from _names_of(tool)


def _names_of(tool: dict[str, object]) -> Iterator[str]:
    inner = tool.get("functionDeclarations") or tool.get("function_declarations") or tool.get("tools")
    function = tool.get("function")
    if isinstance(inner, list):
        yield from _names(inner)
    elif isinstance(function, dict):
        yield from _names_of(function)
    elif isinstance(name := tool.get("name") or tool.get("type"), str):
        yield name
    else:
        yield from tool  # Gemini's own: {"googleSearch": {}}
