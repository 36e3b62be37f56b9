"""The words of an Anthropic body: what was asked last, or what was answered."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.wire.sse import data_of, end_of

_ABSENT = msgspec.Raw(b"")


class _Block(msgspec.Struct):
    text: str = ""
    thinking: str = ""
    name: str = ""
    input: msgspec.Raw = _ABSENT
    content: msgspec.Raw = _ABSENT
    """Of the result of a tool."""

    def words(self, *, thoughts: bool) -> str:
        if self.name:
            return f"{self.name}({bytes(self.input).decode()})"
        return self.text or (self.thinking if thoughts else "") or _inner(self.content)


class _Message(msgspec.Struct):
    role: str = ""
    content: str | list[_Block] | None = None

    def words(self, *, thoughts: bool = False) -> str:
        if isinstance(self.content, list):
            return " ".join(said for block in self.content if (said := block.words(thoughts=thoughts)))
        return self.content or ""


class _Body(_Message):
    messages: list[_Message] = []


class _Start(msgspec.Struct):
    name: str = ""


class _Delta(msgspec.Struct):
    text: str = ""
    thinking: str = ""
    partial_json: str = ""


class _Event(msgspec.Struct):
    delta: _Delta | None = None
    content_block: _Start | None = None


_bodies = msgspec.json.Decoder(_Body)
_events = msgspec.json.Decoder(_Event)
_contents = msgspec.json.Decoder(str | list[_Block])


def words(content_type: str, body: bytes, *, thoughts: bool = False) -> str:
    """Return the words of a document or a stream, as far as it makes sense; `thoughts` too, if asked."""
    if content_type.startswith("text/event-stream"):
        return "".join(_streamed(body, thoughts=thoughts))
    try:
        said = _bodies.decode(body)
        for message in reversed(said.messages):
            if message.role == "user":
                return message.words()
        return said.words(thoughts=thoughts)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _inner(content: msgspec.Raw) -> str:
    try:
        said = _contents.decode(content)
    except msgspec.DecodeError:  # there is none, or it is no text
        return ""
    return _Message(content=said).words()


def _streamed(body: bytes, *, thoughts: bool) -> Iterator[str]:
    start = 0
    while start < len(body):
        end = end_of(body, start)
        data = data_of(body[start:end])
        start = end
        if b'"content_block_' not in data:
            continue
        try:
            said = _events.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # cut off
        if said.content_block is not None:
            yield said.content_block.name
        if said.delta is not None:
            yield said.delta.text or said.delta.partial_json or (said.delta.thinking if thoughts else "")
