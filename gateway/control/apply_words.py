"""What goes over the admin API about a declared state, in and out; the file of `tidegate apply` has the same sections."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.control.credentials import NewCredential
from gateway.control.people_words import Email, NewTeam, Roles
from gateway.control.words import IssuedKey, Name, NewKey, Text
from gateway.settings import Budget, Limit, Section

_MANY = Meta(max_length=10_000)


class DeclaredProject(Section, frozen=True):
    """A tenant, and where its calls are counted."""

    environments: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=64)] = ("prod",)


class DeclaredUser(Section, frozen=True):
    """Somebody who can sign in; passwords are not declared."""

    roles: Roles
    name: Text | None = None
    """Left out: as it is."""
    disabled: bool = False


class Declared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What there shall be. A section that is left out says nothing; keys and teams are told apart by project and name."""

    projects: Annotated[dict[Name, DeclaredProject], _MANY] | None = None
    users: Annotated[dict[Email, DeclaredUser], _MANY] | None = None
    """By e-mail address."""
    teams: Annotated[tuple[NewTeam, ...], _MANY] | None = None
    keys: Annotated[tuple[NewKey, ...], _MANY] | None = None
    limits: Annotated[dict[Name, Limit], _MANY] | None = None
    budgets: Annotated[dict[Name, Budget], _MANY] | None = None


class Wanted(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same with the keys of providers."""

    credentials: Annotated[dict[Name, NewCredential], _MANY] | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to apply. `prune`: what the sections that are given do not name is ended. `dry_run`: say so, and do nothing."""

    wanted: Wanted
    dry_run: bool = False
    prune: bool = False


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the audit log that it leaves, or would leave."""

    section: str
    name: str
    action: str
    target: str
    project: str
    details: dict[str, Any]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is applied. `path`: section, name or number, and the field if one is to blame."""

    path: tuple[str, ...]
    message: str
    code: str


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or would be. If there is a fault, nothing was."""

    changes: list[Change]
    faults: list[Fault]
    """Only after a dry run: else the first is the error."""
    issued: list[IssuedKey]
    """Keys that were made, with their secrets, which are told this once."""
