"""Where memories go in a chat completions request: parts and a message are added, every other value keeps its bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.wire import openai_body
from gateway.wire.turns import Said, Turns, own_words

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SYSTEM = ("system", "developer")
_QUOTE = ord('"')
_RESULTS = ("tool", "function")


class _Part(msgspec.Struct):
    type: Any = None
    text: Any = None


class _Message(msgspec.Struct):
    role: Any = None
    content: str | list[_Part] | None = None


class _Body(msgspec.Struct):
    messages: list[_Message] = []


_bodies = msgspec.json.Decoder(_Body)
_objects: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[msgspec.Raw])
_decode_object, _decode_list, _encode = _objects.decode, _lists.decode, msgspec.json.encode


class ChatConversation(Turns):
    """What a user has said in a request, and the places for what is remembered of them."""

    profiled = True

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body
        self._parted: set[int] = set()
        """Indexes of the user's messages whose content is a list."""
        self._leading: list[str] = []
        """Roles of the client's own instructions at the beginning."""
        try:
            messages = _bodies.decode(body).messages
        except _UNREADABLE:
            return  # what no provider can read asks nothing
        self._read(messages)

    def _read(self, messages: list[_Message]) -> None:
        said: list[Said] = []
        for index, message in enumerate(messages):
            role = message.role
            if role == "user":
                content = message.content
                if not isinstance(content, str):
                    self._parted.add(index)
                    content = own_words(_texts(content))
                said.append((index, content))
            elif role == "assistant":
                continue
            elif role in _RESULTS:
                said.append((index, ""))
            elif role in _SYSTEM and len(self._leading) == index:
                self._leading.append(role)
        self.hear(said)

    def remember(self, blocks: Iterable[tuple[int, str]], profile: str = "") -> bytes:
        """Return the body with the blocks behind their anchors and the profile behind the client's instructions."""
        try:
            body = _decode_object(self._body)
            body["messages"] = messages = _decode_list(body["messages"])
            self._add(blocks, messages)
        except _UNREADABLE as error:  # what was read passed over its key
            raise BadRequest("The body is not valid JSON: it is not UTF-8.", code="invalid_json") from error
        if profile:
            self._introduce(body, profile)
        return _encode(body)

    def _add(self, blocks: Iterable[tuple[int, str]], messages: list[Any]) -> None:
        anchors, parted = self.anchors, self._parted
        for place, block in blocks:
            index = anchors[place]
            message = _decode_object(messages[index])
            content, added = message["content"], {"type": "text", "text": block}
            if index in parted:
                message["content"] = [*_decode_list(content), added]
            else:  # the words keep their bytes
                message["content"] = [{"type": "text", "text": content}, added]
            messages[index] = message

    def _introduce(self, body: dict[str, Any], profile: str) -> None:
        """Add the profile as a message of its own: what the client's instructions say stays as it is."""
        role = self._leading[-1] if self._leading else "system"
        body["messages"].insert(len(self._leading), {"role": role, "content": profile})


def as_parts(content: msgspec.Raw) -> list[Any]:
    """Return content as parts; words alone keep their bytes."""
    return [{"type": "text", "text": content}] if _is_string(content) else openai_body.decode(_lists, content)


def _texts(content: list[_Part] | None) -> list[str]:
    """Return what the parts of a message say in words."""
    return [part.text for part in content or () if part.type == "text" and isinstance(part.text, str)]


def _is_string(content: msgspec.Raw) -> bool:
    return memoryview(content)[0] == _QUOTE
