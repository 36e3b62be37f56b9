"""What a call asks of the authority that counts, and what it is told."""

from __future__ import annotations

from typing import Protocol

import msgspec

WINDOW_S = 60
"""What is allowed per minute is allowed in any sixty seconds that follow each other."""
LEASE_US = 30_000_000
"""A place of a call that nobody has heard of for so long is free again: its worker is dead."""
PATIENCE_S = 0.045
"""As long as a call waits for an authority that is elsewhere."""

KINDS = ("", "requests", "tokens", "concurrency")
"""What a refusal is about, by `Verdict.kind`."""


class AuthorityAway(Exception):
    """Whoever counts did not answer in time, or cannot be reached."""


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One rule as it holds for one call: whose counters, and what they may show; 0: no limit of this kind."""

    subject: str
    rpm: int = 0
    tpm: int = 0
    concurrency: int = 0
    burst: int = 0
    """If there is one, requests are spread evenly over the minute, and so many may come at once."""


class Demand(msgspec.Struct, frozen=True, array_like=True):
    """What one call would take from the counters of all rules that hold for it."""

    id: str
    tokens: int
    """Estimated."""
    parts: tuple[Part, ...]


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """Whether all of it was taken, or nothing."""

    second: int
    """Of the bucket that it was taken from, by the authority's own clock."""
    kind: int = 0
    """What was too much, as in `KINDS`; 0: nothing."""
    part: int = 0
    """Index of the part that refuses longest."""
    wait_us: int = 0
    """When that one may have room again."""
    left: tuple[int, ...] = ()
    """Requests and tokens that each part has left, by turns; of a limit that there is not, -1."""


class Limiter(Protocol):
    """An authority. Nothing it does takes a call longer than `PATIENCE_S`."""

    async def reserve(self, demand: Demand) -> Verdict:
        """Take what is asked for from every part, or from none. Raises AuthorityAway: then nothing is known.

        Whatever is not refused is settled later, also what nobody knows of.
        """
        ...

    def settle(self, demand: Demand, second: int, tokens: int) -> None:
        """Give the call's places back, and correct its tokens in their bucket; `second` 0: it is not known."""
        ...

    def start(self) -> None:
        """Begin to connect, in the background; called once, in the loop."""
        ...

    async def wait_up(self, patience_s: float) -> bool:
        """Wait until the authority can be asked; return whether it can."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...
