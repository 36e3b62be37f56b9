"""What can be done with each kind of control records, over the records themselves or inside one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple

from gateway.budgets.records import Budget
from gateway.clock import Clock
from gateway.control.budgets import Budgets
from gateway.control.credentials import Credentials, Master
from gateway.control.keys import Keys
from gateway.control.limit_rules import LimitRules
from gateway.control.passwords import Passwords
from gateway.control.people import People
from gateway.control.records_thread import Records
from gateway.control.teams import Teams
from gateway.limits.rules import LimitRule

Told = Callable[[], Awaitable[None]]


class Means(NamedTuple):
    """What they need beside the records."""

    clock: Clock
    passwords: Passwords
    surfaces: Collection[str]
    new_secret: Callable[[], str]
    limits: Mapping[str, LimitRule]
    """Those of the configuration file, by id; so the next."""
    budgets: Mapping[str, Budget]
    providers: Collection[str]
    master: Master


class Services(NamedTuple):
    """One for each kind."""

    keys: Keys
    people: People
    teams: Teams
    limits: LimitRules
    budgets: Budgets
    credentials: Credentials


def services(records: Records, means: Means, keys_told: Told, rules_told: Told) -> Services:
    """Make them; the one is awaited after changes of keys, people and teams, the other after those of rules."""
    clock = means.clock
    return Services(
        Keys(records, keys_told, clock, surfaces=means.surfaces, new_secret=means.new_secret),
        People(records, keys_told, clock, means.passwords),
        Teams(records, keys_told, clock),
        LimitRules(records, means.limits, rules_told, clock),
        Budgets(records, means.budgets, rules_told, clock),
        Credentials(records, rules_told, clock, means.master, providers=means.providers),
    )
