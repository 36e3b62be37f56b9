"""Where memories go in a Gemini request: parts are added, every other value keeps its bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.wire import openai_body
from gateway.wire.turns import Said, Turns, own_words

_ABSENT = msgspec.Raw(b"")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_USER = ("user", "", None)
"""A turn without a role is the user's."""
_INSTRUCTIONS = ("systemInstruction", "system_instruction")


class _Part(msgspec.Struct):
    text: Any = None
    thought: Any = None


class _Content(msgspec.Struct):
    role: Any = None
    parts: list[_Part] = []


class _Body(msgspec.Struct):
    contents: list[_Content] = []
    cached: msgspec.Raw = msgspec.field(default=_ABSENT, name="cachedContent")
    cached_content: msgspec.Raw = _ABSENT


_bodies = msgspec.json.Decoder(_Body)
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists = msgspec.json.Decoder(list[msgspec.Raw])


class ContentsConversation(Turns):
    """What a user has said in a request, and the places for what is remembered of them."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body
        self.profiled = True
        try:
            said = _bodies.decode(body)
        except _UNREADABLE:
            return  # what no provider can read asks nothing
        # Cached content holds the instructions, and a request with both is refused.
        # Source: https://ai.google.dev/gemini-api/docs/caching (2026-11)
        self.profiled = said.cached is _ABSENT and said.cached_content is _ABSENT
        self._read(said.contents)

    def _read(self, contents: list[_Content]) -> None:
        said: list[Said] = []
        for index, content in enumerate(contents):
            if content.role in _USER:
                said.append((index, own_words(_texts(content.parts))))
            elif content.role == "function":
                said.append((index, ""))
        self.hear(said)

    def remember(self, blocks: Iterable[tuple[int, str]], profile: str = "") -> bytes:
        """Return the body with the blocks behind their anchors and the profile behind the client's instructions."""
        fields = openai_body.decode(_objects, self._body)
        body: dict[str, Any] = {**fields}
        contents: list[Any] = [*openai_body.decode(_lists, fields["contents"])]
        body["contents"] = contents
        for place, block in blocks:
            index = self.anchors[place]
            contents[index] = _longer(contents[index], block)
        if profile:
            name = next((name for name in _INSTRUCTIONS if name in body), _INSTRUCTIONS[0])
            body[name] = _longer(body.get(name, b"{}"), profile)
        return msgspec.json.encode(body)


def _texts(parts: list[_Part]) -> list[str]:
    return [part.text for part in parts if isinstance(part.text, str) and not part.thought]


def _longer(content: bytes, text: str) -> dict[str, Any]:
    """Return the content with one more part."""
    fields = openai_body.decode(_objects, content)
    parts = openai_body.decode(_lists, fields.get("parts", b"[]"))
    return {**fields, "parts": [*parts, {"text": text}]}
