"""Where memories go in a request for a response: parts and an item are added, every other value keeps its bytes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec

from gateway.wire import openai_body
from gateway.wire.turns import Said, Turns, own_words

_ABSENT = msgspec.Raw(b"")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SYSTEM = ("system", "developer")


class _Item(msgspec.Struct):
    type: Any = "message"
    role: Any = None
    content: msgspec.Raw = _ABSENT


class _Body(msgspec.Struct):
    input: str | list[_Item] = ""
    previous_response_id: Any = None


class _Input(msgspec.Struct):
    input: str | list[msgspec.Raw] = ""


class _Part(msgspec.Struct):
    type: Any = None
    text: Any = None


_bodies = msgspec.json.Decoder(_Body)
_inputs = msgspec.json.Decoder(_Input)
_contents: msgspec.json.Decoder[str | list[_Part]] = msgspec.json.Decoder(str | list[_Part])
_kept_contents: msgspec.json.Decoder[str | list[msgspec.Raw]] = msgspec.json.Decoder(str | list[msgspec.Raw])
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])


class InputConversation(Turns):
    """What a user has said in a request, and the places for what is remembered of them."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body
        self._leading: list[str] = []
        """Roles of the client's own instructions at the beginning."""
        self.profiled = True
        try:
            said = _bodies.decode(body)
        except _UNREADABLE:
            return  # what no provider can read asks nothing
        if isinstance(said.previous_response_id, str):  # what came before has its profile, and its blocks
            self.profiled = False
            self.begin(said.previous_response_id)
        if isinstance(said.input, str):
            self.hear([(0, said.input)])
        else:
            self._read(said.input)

    def _read(self, items: list[_Item]) -> None:
        said: list[Said] = []
        for index, item in enumerate(items):
            if item.role == "user" and item.type == "message":
                said.append((index, own_words(_texts(item.content))))
            elif item.role in _SYSTEM and len(self._leading) == index:
                self._leading.append(item.role)
            elif item.role is None:  # a call, its output, a thought
                said.append((index, ""))
        self.hear(said)

    def remember(self, blocks: Iterable[tuple[int, str]], profile: str = "") -> bytes:
        """Return the body with the blocks behind their anchors and the profile behind the client's instructions.

        The profile is an item and no part of `instructions`: answers repeat those.
        """
        fields = openai_body.decode(_objects, self._body)
        body: dict[str, Any] = {**fields}
        said = openai_body.decode(_inputs, self._body).input
        items: list[Any] = [_spoken(said)] if isinstance(said, str) else [*said]
        body["input"] = items
        for place, block in blocks:
            index = self.anchors[place]
            item = openai_body.decode(_objects, items[index])
            content = openai_body.decode(_kept_contents, item["content"])
            parts = [_part(item["content"])] if isinstance(content, str) else content
            items[index] = {**item, "content": [*parts, _part(block)]}
        if profile:
            role = self._leading[-1] if self._leading else "developer"
            told = {"type": "message", "role": role, "content": [_part(profile)]}
            items.insert(len(self._leading), told)
        return msgspec.json.encode(body)


def _spoken(text: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"type": "message", "role": "user", "content": text}))


def _part(text: str | msgspec.Raw) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


def _texts(content: msgspec.Raw) -> list[str]:
    """Return what a message says in words; nothing if it is of a shape that a provider will refuse."""
    with suppress(*_UNREADABLE):
        said = _contents.decode(content)
        if isinstance(said, str):
            return [said]
        return [part.text for part in said if part.type == "input_text" and isinstance(part.text, str)]
    return []
