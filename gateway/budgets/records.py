"""The words of budgets: what one is, and what workers and the authority say to each other.

Money is in nano-dollars. Messages are msgpack arrays, so a field may be added at the end, with a default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from gateway.settings import Budget as Settings
from gateway.settings import Per, Period, WhenAway

Threshold = Literal["soft", "hard"]

_NANO = 1_000_000_000

TOPIC = "budgets"
"""Under which workers hear of the budgets in the control records."""
RESERVE, CLOSE, HOLD = "budgets.reserve", "budgets.close", "budgets.hold"
"""What workers ask of the authority."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """So much for each key, user, team or project that fits the pattern, in each window."""

    id: str
    name: str
    per: Per
    match: str = "*"
    """A pattern like `key_*`. Each that fits has the whole amount for itself."""
    project: str = ""
    """Only calls of this project count; empty: of all."""
    window: Period = "month"
    zone: str = "UTC"
    """IANA name of the time zone whose calendar the windows follow."""
    soft_nano_usd: int | None = None
    """Calls go on, and somebody is told."""
    hard_nano_usd: int | None = None
    """Calls are refused that might cost more than is left."""
    max_output_reserve: int = Settings().max_output_reserve
    when_away: WhenAway = ""
    """What becomes of calls while the authority cannot be asked; empty: hard budgets refuse them."""
    webhook: str = ""
    """Told once in each window that a threshold was reached, by POST."""

    @property
    def refuses_away(self) -> bool:
        """Whether a call is refused that the authority cannot be asked about."""
        return self.when_away == "refuse" or (not self.when_away and self.hard_nano_usd is not None)


def budget_of(budget_id: str, name: str, said: Settings) -> Budget:
    """Return the budget that somebody wrote down; `gateway.faults` has found nothing wrong with it."""
    return Budget(
        id=budget_id,
        name=name,
        per=said.per,
        match=said.match,
        project=said.project,
        window=said.window,
        zone=said.zone,
        soft_nano_usd=_nano(said.soft_usd),
        hard_nano_usd=_nano(said.hard_usd),
        max_output_reserve=said.max_output_reserve,
        when_away=said.when_away,
        webhook=said.webhook,
    )


def configured(said: Mapping[str, Settings]) -> tuple[Budget, ...]:
    """Return the budgets of the configuration file; their names are their ids."""
    return tuple(budget_of(name, name, budget) for name, budget in said.items())


def by_id(budgets: Iterable[Budget]) -> dict[str, Budget]:
    """Return the budgets by their ids."""
    return {budget.id: budget for budget in budgets}


def _nano(dollars: str) -> int | None:
    return int(Decimal(dollars) * _NANO) if dollars else None


def dollars(nano_usd: int | None) -> str:
    """Return an amount as it is written; empty for none."""
    return "" if nano_usd is None else f"{Decimal(nano_usd) / _NANO:f}"


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Whose account of which budget."""

    budget: str
    project: str
    """Of users and teams, whose names mean something inside a project only; else empty."""
    subject: str


class Reservation(msgspec.Struct, frozen=True, array_like=True):
    """What an attempt may cost at most, to be put aside before it is made."""

    id: str
    holder: str
    """The worker. If nothing is heard of it for long, what it reserved counts as spent."""
    places: tuple[Place, ...]
    nano_usd: int


class Closing(msgspec.Struct, frozen=True, array_like=True):
    """What an attempt did cost. Said again until it is heard, and counted once."""

    id: str
    nano_usd: int | None
    """None: nobody said, so what was reserved is spent."""
    places: tuple[Place, ...] = ()
    """Given where the worker does not know whether its reservation was made: then this is counted here."""


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """Which budget has not enough left, and for how long."""

    name: str
    ends_us: int
    """Microseconds since 1970; 0: never."""
    left_nano_usd: int


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """What became of a reservation."""

    refusal: Refusal | None = None
    warnings: tuple[str, ...] = ()
    """Names of the budgets whose soft threshold is reached."""
