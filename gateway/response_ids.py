"""Which deployment keeps which response: what workers ask of the hub, and what they are told.

Both sides encode these as msgpack maps; fields may be added with a default.
"""

from __future__ import annotations

import zlib

import msgspec

PUT = "response.put"
"""Takes a `Kept`; answers once it is written."""
GET = "response.get"
"""Takes a `Name`; answers with its `Kept`, or None."""
CLAIM = "response.claim"
"""Takes a `Name`; answers whether its usage is for the asker to count: True once."""
DROP = "response.drop"
"""Takes a `Name` whose response was deleted."""

DERIVED = "thread_derived_from"
"""Property of calls whose thread was named by us."""


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """An id means something only to the project and environment that it was made for."""

    project: str
    environment: str
    id: str


class Kept(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A response that a provider keeps, and whose it is."""

    name: Name
    deployment: str
    """`provider/model` that made it."""
    key: str = ""
    user: str = ""
    thread: str = ""
    uncounted: bool = False
    """It runs in the background: what it used is known only to who fetches it when it is done."""
    held: bytes = b""
    """A `Held`, packed, if no provider keeps the response."""
    shown: tuple[str, ...] = ()
    """Ids of the memories that its provider has been sent up to it."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A response of a provider that keeps none, and the conversation that led to it."""

    input: list[msgspec.Raw]
    """All that was said before, as input items."""
    response: msgspec.Raw

    def packed(self) -> bytes:
        """Return it as it is stored."""
        return zlib.compress(msgspec.json.encode(self), 1)


def unpacked(held: bytes) -> Held:
    """Return what was packed."""
    return msgspec.json.decode(zlib.decompress(held), type=Held)
