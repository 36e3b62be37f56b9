"""The words of a body: what was asked last, or what was answered."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.wire.sse import data_of, end_of

ENOUGH_CHARS = 300
READ_BYTES = 64 * 1024
"""A longer stream is not read further for a preview."""


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


class _Body(msgspec.Struct):
    messages: list[_Message] = []
    choices: list[_Choice] = []
    input: str | list[str] | msgspec.Raw = ""


_decode = msgspec.json.Decoder(_Body).decode


def preview(surface: str, content_type: str, body: bytes) -> str:  # noqa: ARG001 - one for all of OpenAI's
    """Return at most `ENOUGH_CHARS` characters; of a body that makes no sense, its beginning."""
    shown = words(content_type, body[:READ_BYTES] if _is_stream(content_type) else body)
    return (shown or body[: ENOUGH_CHARS * 4].decode(errors="replace"))[:ENOUGH_CHARS]


def words(content_type: str, body: bytes) -> str:
    """Return the words of a document or a stream, as far as it makes sense."""
    if _is_stream(content_type):
        return "".join(_streamed(body))
    try:
        return _whole(_decode(body))
    except msgspec.MsgspecError:
        return ""


def _is_stream(content_type: str) -> bool:
    return content_type.startswith("text/event-stream")


def _whole(body: _Body) -> str:
    for message in reversed(body.messages):
        if message.role == "user":
            return message.words()
    if body.choices:
        return body.choices[0].message.words() if body.choices[0].message else ""
    if isinstance(body.input, list):
        return " ".join(body.input)
    return body.input if isinstance(body.input, str) else ""


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
        except msgspec.MsgspecError:
            return  # cut off
        yield from (choice.delta.words() for choice in choices[:1] if choice.delta)
