"""Who holds the accounts, as workers see it: there is one, in the hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.budgets.records import Closing, Reservation, Verdict


class Authority(Protocol):
    """What it has answered survives a crash. Each method raises AuthorityAway while that cannot be promised."""

    async def reserve(self, wanted: Reservation) -> Verdict:
        """Put an amount aside in all accounts it concerns, or in none."""
        ...

    async def close(self, closings: Sequence[Closing]) -> None:
        """Count what attempts did cost; what was told before changes nothing."""
        ...

    async def hold(self, holder: str) -> None:
        """Note that a worker lives, and so may still close what it reserved."""
        ...


class AuthorityAway(Exception):
    """It cannot be asked now, or did not answer in time: whether it did what was asked is unknown."""
