"""The words of a body: what was asked last, or what was answered."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.wire.sse import data_of, end_of


class _Part(msgspec.Struct):
    text: str = ""


class _Call(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    function: _Call = msgspec.field(default_factory=_Call)


class _Message(msgspec.Struct):
    role: str = ""
    content: str | list[_Part] | None = None
    tool_calls: list[_ToolCall] | None = None

    def words(self) -> str:
        if isinstance(self.content, list):
            return " ".join(part.text for part in self.content if part.text)
        if self.content:
            return self.content
        calls = [call.function for call in self.tool_calls or ()]
        return " ".join(f"{call.name}({call.arguments})" if call.name else call.arguments for call in calls)


class _Choice(msgspec.Struct):
    message: _Message | None = None
    delta: _Message | None = None
    text: str | None = None
    """Of a legacy completion, whole or streamed."""

    def words(self) -> str:
        said = self.message or self.delta
        return said.words() if said else self.text or ""


class _Body(msgspec.Struct):
    messages: list[_Message] = []
    choices: list[_Choice] = []
    input: str | list[str] | msgspec.Raw = ""
    prompt: str | list[str] | msgspec.Raw = ""


_decode = msgspec.json.Decoder(_Body).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def words(content_type: str, body: bytes) -> str:
    """Return the words of a document or a stream, as far as it makes sense."""
    if _is_stream(content_type):
        return "".join(_streamed(body))
    try:
        return _whole(_decode(body))
    except _UNREADABLE:
        return ""


def _is_stream(content_type: str) -> bool:
    return content_type.startswith("text/event-stream")


def _whole(body: _Body) -> str:
    for message in reversed(body.messages):
        if message.role == "user":
            return message.words()
    if body.choices:
        return body.choices[0].words()
    asked = body.input or body.prompt
    if isinstance(asked, list):
        return " ".join(asked)
    return asked if isinstance(asked, str) else ""


def _streamed(body: bytes) -> Iterator[str]:
    start = 0
    while start < len(body):
        end = end_of(body, start)
        data = data_of(body[start:end])
        start = end
        if not data.startswith(b"{"):
            continue
        try:
            choices = _decode(data).choices
        except _UNREADABLE:
            return  # cut off
        yield from (choice.words() for choice in choices[:1])
