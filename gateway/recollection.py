"""What a worker asks of the hub's memory, and what it is told: the messages of the link's `recall` and `confirm`.

Both sides encode them as msgpack maps; fields may be added with a default.
"""

from __future__ import annotations

from typing import Literal

import msgspec

RECALL = "recall"
CONFIRM = "confirm"
MEMORY_API = "/api/memories"
"""The paths of the public port that the hub answers."""


BUSY = "memory_busy"
"""Code of a recall that was refused at once, as it would have waited too long."""


class Asker(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Whose memories: at least one of user and agent is given."""

    project: str
    environment: str
    user_id: str = ""
    agent_id: str = ""


class Question(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Parameters of `recall`."""

    asker: Asker
    query: str
    """What the user just said; the turn before it as well if that is short. Empty in a loop of functions: what was
    put there before is all that is wanted."""
    window: tuple[str, ...] = ()
    """User turns that stand in the request already: they are not recalled."""
    budget: int = 900
    """Most tokens of the block."""
    call_id: str = ""
    """By which the answer is confirmed."""
    thread: str = ""
    """As the client names it; empty: the conversation is known by how it began."""
    chain: bytes = b""
    """Digests, 16 bytes each, of what the user had said up to each turn."""
    profile: int = 0
    """Most tokens of a profile."""
    most: int = 0
    """Most tokens of all that is added, what was added to earlier turns included; 0: the model's window is unknown."""
    seen: tuple[str, ...] = ()
    """Memories in the part of the conversation that its provider keeps."""


class Recollection(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Result of `recall`."""

    status: Literal["injected", "replayed", "empty", "error"]
    """`replayed`: nothing but what stood there in earlier calls."""
    reason: str = ""
    block: str = ""
    """New text, behind the last turn."""
    ids: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    tokens: int = 0
    replays: tuple[tuple[int, str], ...] = ()
    """What stood behind earlier turns: place in the chain, and text."""
    profile: str = ""
    """Text behind the client's instructions."""
    profile_tokens: int = 0
    profile_ids: tuple[str, ...] = ()
    """Of a profile that is new."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Of what the telemetry process asks how the reading went. Microseconds since 1970."""

    project: str
    environment: str
    everybodys: bool = False
    """All projects are meant."""
    from_us: int
    to_us: int


class Used(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Parameters of `confirm`: a provider has taken what was answered for this call, with these new memories."""

    asker: Asker
    call_id: str
    ids: tuple[str, ...] = ()
