"""The input of a response that its provider keeps, as its client is told of it: without what we added.

Source: https://platform.openai.com/docs/api-reference/responses/input-items (2026-11).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from typing_extensions import override

from gateway.wire.openai_response import ResponseDocument
from gateway.wire.turns import FENCE

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MARKS = (FENCE.encode(), FENCE.replace("<", "\\u003c").replace(">", "\\u003e").encode())
"""How our blocks begin, in JSON."""


class _Part(msgspec.Struct):
    text: Any = None


class _Item(msgspec.Struct):
    content: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET
    id: Any = None


_items = msgspec.json.Decoder(list[msgspec.Raw])
_heads = msgspec.json.Decoder(_Item)
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_parts = msgspec.json.Decoder(_Part)


class ItemsReading(ResponseDocument):
    """Holds the list back until it is whole, and takes our parts out of it."""

    def __init__(self) -> None:
        super().__init__(counted=False)
        self._held: list[bytes] = []

    @override
    def feed(self, chunk: bytes) -> bytes:
        super().feed(chunk)
        self._held.append(chunk)
        return b""

    @override
    def end(self) -> bytes:
        super().end()
        return without_ours(b"".join(self._held))


def without_ours(listed: bytes) -> bytes:
    """Return a list of input items without our parts, and without items that have no others."""
    if not any(mark in listed for mark in _MARKS):
        return listed
    with suppress(*_UNREADABLE):
        fields = _objects.decode(listed)
        told = [kept for item in _items.decode(fields["data"]) if (kept := _kept(item)) is not None]
        ids = [_heads.decode(item).id for item in told] or [None]
        ends = {"first_id": msgspec.json.encode(ids[0]), "last_id": msgspec.json.encode(ids[-1])}
        changed = {"data": msgspec.json.encode(told), **ends}
        return msgspec.json.encode(
            {**fields, **{name: msgspec.Raw(value) for name, value in changed.items()}}
        )
    return listed


def _kept(item: msgspec.Raw) -> msgspec.Raw | None:
    """Return what is left of an item; None if that is nothing."""
    if not any(mark in bytes(item) for mark in _MARKS):
        return item
    said = _heads.decode(item).content
    if said is msgspec.UNSET:
        return item
    content = [part for part in said if not _is_ours(part)]
    if said and not content:
        return None
    return msgspec.Raw(msgspec.json.encode({**_objects.decode(item), "content": content}))


def _is_ours(part: msgspec.Raw) -> bool:
    text = _parts.decode(part).text
    return isinstance(text, str) and text.startswith(FENCE)
