"""The words of a response, and of a request for one: what was asked last, or what was answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.wire.sse import data_of, end_of

_DELTAS = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
    }
)
_CALLS = frozenset({"function_call", "custom_tool_call"})


class _Item(msgspec.Struct):
    type: Any = "message"
    role: Any = ""
    content: Any = None
    name: Any = ""
    arguments: Any = None
    input: Any = None

    def words(self) -> str:
        if self.type in _CALLS:
            return f"{self.name}({self.arguments or self.input or ''})"
        if isinstance(self.content, list):
            return " ".join(part for part in map(_text_of, self.content) if part)
        return self.content if isinstance(self.content, str) else ""


class _Body(msgspec.Struct):
    input: str | list[_Item] | None = None
    output: list[_Item] | None = None


class _Event(msgspec.Struct):
    type: Any = ""
    delta: Any = ""
    item: _Item | None = None


_bodies = msgspec.json.Decoder(_Body)
_events = msgspec.json.Decoder(_Event)


def words(content_type: str, body: bytes) -> str:
    """Return the words of a document or a stream, as far as it makes sense."""
    if content_type.startswith("text/event-stream"):
        return "".join(_streamed(body))
    try:
        said = _bodies.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    if said.output is not None:
        return " ".join(spoken for item in said.output if (spoken := item.words()))
    if isinstance(said.input, list):
        return next((item.words() for item in reversed(said.input) if item.role == "user"), "")
    return said.input or ""


def _text_of(part: object) -> str:
    said = (part.get("text") or part.get("refusal")) if isinstance(part, dict) else part
    return said if isinstance(said, str) else ""


def _streamed(body: bytes) -> Iterator[str]:
    start = 0
    while start < len(body):
        end = end_of(body, start)
        data = data_of(body[start:end])
        start = end
        if not data.startswith(b"{"):
            continue
        try:
            said = _events.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # cut off
        if said.type in _DELTAS and isinstance(said.delta, str):
            yield said.delta
        elif said.type == "response.output_item.added" and said.item is not None and said.item.type in _CALLS:
            yield f"{said.item.name} "
