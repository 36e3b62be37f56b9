"""How many tokens a request can make a model read.

What stands in the body as text is bounded by its bytes: no tokenizer makes more than one token of a byte. A picture
has a number of tokens that its provider limits. What the body only points to (files, addresses, earlier answers), or
has the provider fetch (searches, tools it runs itself), has no bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

PICTURE = 50_000
"""Tokens of one picture at most: gpt-4o-mini counts up to 48,169 for one, others far fewer. Source: OpenAI's and
Anthropic's guides to vision (2026-11)."""
FRAME = 64
"""Tokens that a provider adds of its own ..."""
TOOLS = 2_000
"""... and that it adds to say how tools are used: up to 735 for one, some 800 for all. Source: Anthropic, tool use
(2026-11)."""

_PICTURES = frozenset({"image_url", "input_image", "image", "image_file"})
_ELSEWHERE = frozenset(
    {"file", "input_file", "document", "container_upload", "item_reference", "video", "video_url"}
)
"""Types of parts that stand for something of unknown length."""
_POINTERS = frozenset({"fileData", "file_data", "video", "document"})
"""Keys of Gemini's and Bedrock's parts of that kind."""
_OPAQUE = frozenset({"arguments", "args", "response", "functionResponse", "function_response", "metadata"})
"""What tools were given and gave is text, whatever its keys are called ..."""
_ANSWERS = frozenset({"functionResponse", "function_response"})
"""... but for parts that an answer brings. Source: Gemini, multimodal function responses (2026-11)."""
_CALLS = frozenset({"tool_use", "server_tool_use", "custom_tool_call", "mcp_call"})
_AT_THE_TOP = (
    "previous_response_id",
    "conversation",
    "cachedContent",
    "cached_content",
    "mcp_servers",
    "container",
    "web_search_options",
    "prediction",
    "models",
    "plugins",
)
"""`models` and `plugins`: OpenRouter's other models, and what it adds to a prompt. Source: its API reference (2026-11)."""
_SAID_IN = (
    "messages",
    "input",
    "contents",
    "content",
    "system",
    "instructions",
    "systemInstruction",
    "requests",
)
_OWN_TOOLS = frozenset({None, "function", "custom"})
_CLIENTS_TOOLS = ("bash_", "text_editor_", "memory_", "computer_")
"""Anthropic's, which the client runs."""
_GEMINIS_TOOLS = frozenset({"functionDeclarations", "function_declarations"})
"""Tools have a type, a name, or are Gemini's: of those, only functions are the client's."""


class Outside(Exception):
    """The request makes the model read more than stands in it; the message says by what."""


def decode(body: bytes) -> dict[str, Any]:
    """Return the body as an object; of what is none, nothing. Raises Outside for what cannot be read."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Outside("it is not JSON") from error
    return found if isinstance(found, dict) else {}


def beyond_text(asked: dict[str, Any]) -> int:
    """Return the tokens it can have besides those of its text; raise Outside if there is no bound."""
    for name in _AT_THE_TOP:
        if asked.get(name):
            raise Outside(f"`{name}`")
    if isinstance(asked.get("prompt"), dict):
        raise Outside("`prompt`, which its provider keeps")
    tools = _list(asked.get("tools"))
    for tool in tools:
        _check_tool(tool)
    return FRAME + TOOLS * bool(tools) + PICTURE * sum(_pictures(asked.get(name)) for name in _SAID_IN)


def _check_tool(tool: object) -> None:
    if not isinstance(tool, dict):
        return
    kind = _kind(tool)
    known = kind in _OWN_TOOLS or (isinstance(kind, str) and kind.startswith(_CLIENTS_TOOLS))
    geminis = kind is None and "name" not in tool and "function" not in tool
    if not known or (geminis and not tool.keys() <= _GEMINIS_TOOLS):
        raise Outside(f"the tool `{kind or min(tool.keys() - _GEMINIS_TOOLS)}`, which its provider runs")


def _pictures(said: object) -> int:
    """Count the pictures in what is said; raise Outside for what has no bound."""
    count = 0
    rest = [said]
    while rest:
        value = rest.pop()
        if isinstance(value, list):
            rest += value
        elif isinstance(value, dict):
            if _is_picture(value):
                count += 1
            else:
                rest += _inside(value)
    return count


def _is_picture(part: dict[str, Any]) -> bool:
    kind = _kind(part)
    data = part.get("inlineData") or part.get("inline_data")
    if isinstance(data, dict):
        mime = data.get("mimeType") or data.get("mime_type")
        if not isinstance(mime, str) or not mime.startswith(("image/", "audio/")):
            raise Outside(f"a part of type {mime}")
        return mime.startswith("image/")
    return kind in _PICTURES or (kind is None and isinstance(part.get("image"), dict))


def _inside(part: dict[str, Any]) -> Iterator[object]:
    """Yield what may hold parts in turn."""
    kind = _kind(part)
    if kind in _ELSEWHERE and not _is_text(part):
        raise Outside(f"a part of type `{kind}`")
    for name, value in part.items():
        kept = name == "audio" and isinstance(value, dict) and "id" in value
        if kept or name == "file_id" or (name in _POINTERS and isinstance(value, dict)):
            raise Outside(f"`{name}`")
        if name in _ANSWERS and isinstance(value, dict):
            yield value.get("parts")
        if name not in _OPAQUE and not (name == "input" and kind in _CALLS):
            yield value


def _kind(part: dict[str, Any]) -> str | None:
    kind = part.get("type")
    if kind is not None and not isinstance(kind, str):
        raise Outside("a `type` that is no text")
    return kind


def _is_text(part: dict[str, Any]) -> bool:
    source = part.get("source")
    return isinstance(source, dict) and source.get("type") in ("text", "content")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
