"""Whose a thing is that a provider keeps: what workers ask of the hub, and what they are told.

All keys of an installation share its account at a provider, and so its files, batches and stores. Both sides encode
these as msgpack maps; fields may be added with a default.
"""

from __future__ import annotations

import msgspec

PUT = "owned.put"
"""Takes a list of `Owned`; answers once they are written. The first owner of an id stays."""
FIND = "owned.find"
"""Takes a `Question`; answers with the `Owned` of those that somebody owns."""
CLAIM = "owned.claim"
"""Takes a `Thing`, a batch; answers whether its usage is for the asker to count: True once."""
DROP = "owned.drop"
"""Takes a `Thing` that was deleted."""


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """Something at a provider."""

    provider: str
    id: str


class Owned(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something at a provider, and who had it made."""

    thing: Thing
    project: str
    environment: str
    key: str = ""
    call_id: str = ""
    """Of the call that made it, or the batch it comes from, if what it costs is known only later."""
    batch: str = ""
    """The batch whose output it is."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Asks who owns these."""

    provider: str
    ids: list[str]
