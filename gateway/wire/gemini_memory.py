"""Where memories go in a Gemini request: user turns are read, a text part is added, the rest stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from gateway.wire import openai_body
from gateway.wire.turns import gather

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_USER = ("user", "", None)
"""A turn without a role is the user's."""


class _Body(msgspec.Struct):
    contents: list[msgspec.Raw] = []


class _Part(msgspec.Struct):
    text: Any = None


class _Content(msgspec.Struct):
    role: Any = None
    parts: list[_Part] = []


_bodies = msgspec.json.Decoder(_Body)
_contents = msgspec.json.Decoder(_Content)
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists = msgspec.json.Decoder(list[msgspec.Raw])


class ContentsConversation:
    """What a user has said in a request, and the place for what is remembered of them."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._contents: list[msgspec.Raw] = []
        self.anchor = -1
        self.turns: list[str] = []
        with suppress(*_UNREADABLE):  # what no provider can read asks nothing
            self._contents = _bodies.decode(body).contents
            self.anchor, self.turns = gather(self._read())

    def _read(self) -> Iterator[tuple[int, str]]:
        """Yield index and words of each turn of the user, the last one first."""
        for index in range(len(self._contents) - 1, -1, -1):
            content = _contents.decode(self._contents[index])
            if content.role in _USER:
                yield index, "\n".join(part.text for part in content.parts if isinstance(part.text, str))

    def remember(self, block: str) -> bytes:
        """Return the body with the block as one more text part of the last user turn; raise BadRequest."""
        body = openai_body.decode(_objects, self._body)
        content = openai_body.decode(_objects, self._contents[self.anchor])
        parts: list[Any] = [*_lists.decode(content["parts"]), {"text": block}]
        contents: list[Any] = list(self._contents)
        contents[self.anchor] = {**content, "parts": parts}
        return msgspec.json.encode({**body, "contents": contents})
