"""What a worker asks the hub's store of answers, and what it is told."""

from __future__ import annotations

import msgspec

GET = "cache.get"
"""Takes `Wanted`; answers with `Kept`, or None."""
PUT = "cache.put"
"""Takes `Kept`."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which answer, and who asks: an erased user's entries go, and those that the user was answered with as well."""

    key: bytes
    project: str
    environment: str
    user: str = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as a client was sent it, whole and without fault."""

    wanted: Wanted
    content_type: str
    body: bytes
    cost_nano_usd: int = 0
    """What it cost when it was made, as far as known."""
    made_us: int
    """Microseconds since 1970."""
    expires_us: int
