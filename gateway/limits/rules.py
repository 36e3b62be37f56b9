"""Which limits hold for a call: those of the settings, and those that were issued."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from gateway.access import matches
from gateway.limits.base import Part
from gateway.settings import Limit

TOPIC = "limits"
"""Under which the hub tells all issued rules: a tuple of `LimitRule`."""

_MOST_KNOWN = 10_000


class LimitRule(msgspec.Struct, frozen=True):
    """A limit and what it is called."""

    id: str
    name: str
    limit: Limit

    @property
    def project(self) -> str:
        """The only project it is for; empty: all."""
        return self.limit.project


class Names(NamedTuple):
    """What rules look at in a call."""

    project: str
    key: str
    user: str
    team: str
    model: str
    route: str


class Applied(msgspec.Struct, frozen=True):
    """The rules that hold for calls of the same names."""

    rules: tuple[LimitRule, ...]
    parts: tuple[Part, ...]
    """What each of them asks of the authority."""
    tpm: int
    """The least of them that has one; 0: none has."""
    refuse_away: LimitRule | None
    """One that lets nobody through while the authority is away."""


class RuleBook:
    """All rules. What holds for whom is found out once."""

    def __init__(self, configured: tuple[LimitRule, ...] = ()) -> None:
        self._configured = configured
        self.take(())

    def take(self, issued: tuple[LimitRule, ...]) -> None:
        """Replace the rules that were issued before by these."""
        self._rules = self._configured + issued
        self._found: dict[Names, Applied | None] = {}
        self.empty = not self._rules
        self.by_user = any(rule.limit.users or "user" in rule.limit.per for rule in self._rules)
        """Whether it matters who the user is."""

    def find(self, names: Names) -> Applied | None:
        """Return the rules that hold; None if there are none."""
        try:
            return self._found[names]
        except KeyError:
            if len(self._found) >= _MOST_KNOWN:
                self._found.clear()
            found = self._found[names] = self._find(names)
            return found

    def _find(self, names: Names) -> Applied | None:
        rules = tuple(rule for rule in self._rules if _holds(rule.limit, names))
        if not rules:
            return None
        return Applied(
            rules,
            tuple(_part(rule, names) for rule in rules),
            min((rule.limit.tpm for rule in rules if rule.limit.tpm), default=0),
            next((rule for rule in rules if rule.limit.when_away == "refuse"), None),
        )


def configured(limits: Mapping[str, Limit]) -> tuple[LimitRule, ...]:
    """Return the rules of the settings. Their ids cannot be those of issued ones."""
    return tuple(LimitRule(f"config:{name}", name, limit) for name, limit in limits.items())


def _holds(limit: Limit, names: Names) -> bool:
    """Whether the limit counts such a call. Whoever has no team has no team's limit; so for routes."""
    if limit.project not in ("", names.project):
        return False
    if ("team" in limit.per and not names.team) or ("route" in limit.per and not names.route):
        return False
    wanted = (
        (limit.keys, names.key),
        (limit.users, names.user),
        (limit.teams, names.team),
        (limit.models, names.model),
        (limit.routes, names.route),
    )
    return all(not patterns or matches(patterns, name) for patterns, name in wanted)


def _part(rule: LimitRule, names: Names) -> Part:
    """Users and teams of two projects are two, whatever they are called."""
    limit = rule.limit
    by: set[str] = set(limit.per)
    if by & {"user", "team"}:
        by.add("project")
    whose = [name if field in by else "" for field, name in zip(names._fields, names, strict=True)]
    digest = hashlib.blake2b(msgspec.msgpack.encode(whose), digest_size=16).hexdigest()
    return Part(f"{rule.id}:{digest}", limit.rpm, limit.tpm, limit.concurrency, limit.burst)
