"""Where memories go in a request for a response: user turns are read, a text part is added, the rest stays."""

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
    input: str | list[msgspec.Raw] = ""


class _Item(msgspec.Struct):
    type: Any = "message"
    role: Any = None
    content: msgspec.Raw = _ABSENT


class _Part(msgspec.Struct):
    type: Any = None
    text: Any = None


_bodies = msgspec.json.Decoder(_Body)
_items = msgspec.json.Decoder(_Item)
_contents: msgspec.json.Decoder[str | list[_Part]] = msgspec.json.Decoder(str | list[_Part])
_kept_contents: msgspec.json.Decoder[str | list[msgspec.Raw]] = msgspec.json.Decoder(str | list[msgspec.Raw])
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])


class InputConversation:
    """What a user has said in a request, and the place for what is remembered of them."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._input: str | list[msgspec.Raw] = ""
        self.anchor = -1
        self.turns: list[str] = []
        with suppress(*_UNREADABLE):  # what no provider can read asks nothing
            self._input = _bodies.decode(body).input
            self.anchor, self.turns = gather(self._read())

    def _read(self) -> Iterator[tuple[int, str]]:
        """Yield index and words of each user message, the last one first."""
        if isinstance(self._input, str):
            yield 0, self._input
            return
        for index in range(len(self._input) - 1, -1, -1):
            item = _items.decode(self._input[index])
            if item.role == "user" and item.type == "message":
                yield index, _text(item.content)

    def remember(self, block: str) -> bytes:
        """Return the body with the block as one more text part of the last user message; raise BadRequest."""
        fields = openai_body.decode(_objects, self._body)
        body: dict[str, Any] = {**fields}
        if isinstance(self._input, str):
            said = [_part(self._input), _part(block)]
            body["input"] = [{"type": "message", "role": "user", "content": said}]
        else:
            said_item = openai_body.decode(_objects, bytes(self._input[self.anchor]))
            item: dict[str, Any] = {**said_item}
            content = openai_body.decode(_kept_contents, bytes(item["content"]))
            parts = [_part(content)] if isinstance(content, str) else content
            item["content"] = [*parts, _part(block)]
            items: list[Any] = list(self._input)
            items[self.anchor] = item
            body["input"] = items
        return msgspec.json.encode(body)


def _part(text: str) -> dict[str, str]:
    return {"type": "input_text", "text": text}


def _text(content: msgspec.Raw) -> str:
    """Return what a message says in words; nothing if it is of a shape that a provider will refuse."""
    with suppress(*_UNREADABLE):
        said = _contents.decode(content)
        if isinstance(said, str):
            return said
        return "\n".join(
            part.text for part in said if part.type == "input_text" and isinstance(part.text, str)
        )
    return ""
