"""What is asked of the upkeep, and what it answers: shared with the command line, which loads nothing heavy for it."""

from __future__ import annotations

import msgspec

STORE, MEMORY = "store", "memory"
"""Consumers of the journal: the ledger's, and the memory's, which a house may be without."""


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What to bring in again."""

    segments: list[str] = []
    letters: bool = False


class Replayed(msgspec.Struct, kw_only=True):
    """What was looked up in the store, and brought in if it was missing."""

    segments: int = 0
    spans: int = 0
    payloads: int = 0
    dead: int = 0
    """Rows that were refused (again): they are dead letters."""
    letters_settled: int = 0
    """Dead letters that are in the store now, and gone."""
    letters_left: int = 0


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """Something that still holds the user's words, and until when at most."""

    name: str
    until: str


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a user."""

    project: str
    environment: str
    user_id: str
    erased_at: str
    """First asked for; since then nothing of the user is taken in."""
    removed: dict[str, int]
    """Rows, letters and memories that this run took away, by where they were."""
    left: dict[str, int]
    """The same, looked for again: all 0."""
    pending: list[Pending]
    """Journal segments, and the store's replaced files."""


class Lift(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to take in again."""

    project: str
    environment: str
    user_id: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls to price anew, and why. Times in microseconds, the second one excluded."""

    from_us: int
    to_us: int
    reason: str
    provider: str = ""
    model: str = ""
    dry_run: bool = False


class Place(msgspec.Struct, frozen=True):
    """Where to go on: in this hour, behind this call."""

    hour_us: int
    call_id: str = ""


class Rerated(msgspec.Struct, kw_only=True):
    """What a stretch of the work found, and where the next one begins; None: nowhere."""

    calls: int = 0
    changed: int = 0
    newly_priced: int = 0
    without_price: int = 0
    """No price is known now; what was known before stays."""
    delta_nano_usd: int = 0
    next: Place | None = None


class Rerate(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls to price anew, and where to go on."""

    order: Order
    place: Place | None = None
