"""Where memories go in a chat completions request: user turns are read, a text part is added, the rest stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from gateway.wire import openai_body
from gateway.wire.turns import gather

_ABSENT = msgspec.Raw(b"")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Body(msgspec.Struct):
    messages: list[msgspec.Raw] = []


class _Message(msgspec.Struct):
    role: Any = None
    content: msgspec.Raw = _ABSENT


class _Part(msgspec.Struct):
    type: Any = None
    text: Any = None


_bodies = msgspec.json.Decoder(_Body)
_messages = msgspec.json.Decoder(_Message)
_strings = msgspec.json.Decoder(str)
_parts = msgspec.json.Decoder(list[_Part])
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists = msgspec.json.Decoder(list[msgspec.Raw])


class ChatConversation:
    """What a user has said in a request, and the place for what is remembered of them."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._messages: list[msgspec.Raw] = []
        self.anchor = -1
        self.turns: list[str] = []
        with suppress(*_UNREADABLE):  # what no provider can read asks nothing
            self._messages = _bodies.decode(body).messages
            self.anchor, self.turns = gather(self._read())

    def _read(self) -> Iterator[tuple[int, str]]:
        """Yield index and words of each user message, the last one first."""
        for index in range(len(self._messages) - 1, -1, -1):
            message = _messages.decode(self._messages[index])
            if message.role == "user":
                yield index, _text(message.content)

    def remember(self, block: str) -> bytes:
        """Return the body with the block as one more text part of the last user message; raise BadRequest."""
        body = openai_body.decode(_objects, self._body)
        message = openai_body.decode(_objects, self._messages[self.anchor])
        content = [*_as_parts(message["content"]), {"type": "text", "text": block}]
        messages: list[Any] = list(self._messages)
        messages[self.anchor] = {**message, "content": content}
        return msgspec.json.encode({**body, "messages": messages})


def _as_parts(content: msgspec.Raw) -> list[Any]:
    return [{"type": "text", "text": content}] if _is_string(content) else list(_lists.decode(content))


def _text(content: msgspec.Raw) -> str:
    """Return what a message says in words; nothing if it is of a shape that a provider will refuse."""
    with suppress(*_UNREADABLE):
        if _is_string(content):
            return _strings.decode(content)
        return "\n".join(part.text for part in _parts.decode(content) if _is_text(part))
    return ""


def _is_string(content: msgspec.Raw) -> bool:
    return bytes(memoryview(content)[:1]) == b'"'


def _is_text(part: _Part) -> bool:
    return part.type == "text" and isinstance(part.text, str)
