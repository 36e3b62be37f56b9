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
    """What the user just said; the turn before it as well if that is short."""
    window: tuple[str, ...] = ()
    """User turns that stand in the request already: they are not recalled."""
    budget: int = 900
    """Most tokens of the block."""


class Recollection(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Result of `recall`."""

    status: Literal["injected", "empty", "error"]
    reason: str = ""
    block: str = ""
    """Text to add to the prompt."""
    ids: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    tokens: int = 0


class Used(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Parameters of `confirm`: these memories went into this call."""

    asker: Asker
    call_id: str
    ids: tuple[str, ...]
