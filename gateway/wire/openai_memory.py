"""Where memories go in a chat completions request: parts and a message are added, every other value keeps its bytes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec

from gateway.wire import openai_body
from gateway.wire.turns import Turns

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
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists = msgspec.json.Decoder(list[msgspec.Raw])


class ChatConversation(Turns):
    """What a user has said in a request, and the places for what is remembered of them."""

    profiled = True

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body
        self._leading: list[str] = []
        """Roles of the client's own instructions at the beginning."""
        with suppress(*_UNREADABLE):  # what no provider can read asks nothing
            self._read(_bodies.decode(body).messages)

    def _read(self, messages: list[_Message]) -> None:
        for index, message in enumerate(messages):
            role = message.role
            if role == "user":
                self.take(index, _texts(message.content))
            elif role in _RESULTS:
                self.fresh = False
            elif role in _SYSTEM and len(self._leading) == index:
                self._leading.append(role)

    def remember(self, blocks: Iterable[tuple[int, str]], profile: str = "") -> bytes:
        """Return the body with the blocks behind their anchors and the profile behind the client's instructions."""
        fields = openai_body.decode(_objects, self._body)
        body: dict[str, Any] = {**fields}
        messages: list[Any] = [*openai_body.decode(_lists, fields["messages"])]
        body["messages"] = messages
        for place, block in blocks:
            index = self.anchors[place]
            message = openai_body.decode(_objects, messages[index])
            content = [*as_parts(message["content"]), {"type": "text", "text": block}]
            messages[index] = {**message, "content": content}
        if profile:
            self._introduce(body, profile)
        return msgspec.json.encode(body)

    def _introduce(self, body: dict[str, Any], profile: str) -> None:
        """Add the profile as a message of its own: what the client's instructions say stays as it is."""
        role = self._leading[-1] if self._leading else "system"
        body["messages"].insert(len(self._leading), {"role": role, "content": profile})


def as_parts(content: msgspec.Raw) -> list[Any]:
    """Return content as parts; words alone keep their bytes."""
    return (
        [{"type": "text", "text": content}] if _is_string(content) else [*openai_body.decode(_lists, content)]
    )


def _texts(content: str | list[_Part] | None) -> list[str]:
    """Return what a message says in words."""
    if isinstance(content, str):
        return [content]
    return [part.text for part in content or () if part.type == "text" and isinstance(part.text, str)]


def _is_string(content: msgspec.Raw) -> bool:
    return memoryview(content)[0] == _QUOTE
