"""The control records as programs see them. Moments are microseconds since 1970; 0: never."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gateway.principal import Memory, Scope, Store

WhenStale = Literal["refuse", "serve"]


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may do. Stored as one JSON text, so fields may be added with a default."""

    scopes: tuple[Scope, ...] = ("call",)
    models: tuple[str, ...] = ()
    """Patterns of names of routes or of `provider/model`; empty: all. So for users and surfaces."""
    users: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    memory: Memory = "on"
    store: Store = "full"
    when_stale: WhenStale = "refuse"
    """What workers do that have not heard of the hub for `control.max_stale_s`."""


class Secret(msgspec.Struct, frozen=True):
    """One secret of a key; during a rotation there are two."""

    digest: str
    """SHA-256 in hex."""
    prefix: str
    """Its first characters, to recognise it by."""
    created_us: int
    ends_us: int = 0


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual key."""

    id: str
    revision: int
    """Of the last change to it."""
    name: str
    owner: str
    project: str
    environment: str
    rules: Rules
    created_us: int
    expires_us: int
    revoked_us: int
    secrets: tuple[Secret, ...] = ()
    """The current one last."""
    team: str = ""
    person: str = ""
    """Whose own token it is. A person who signs in is a key as well, of the same id, and has a secret for each
    session."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is about to be made."""

    id: str
    name: str
    owner: str
    project: str
    environment: str
    rules: Rules
    expires_us: int = 0
    team: str = ""
    person: str = ""


class Project(msgspec.Struct, frozen=True):
    """A tenant, and where its calls are counted."""

    id: str
    created_us: int
    environments: tuple[str, ...]


class Act(msgspec.Struct, frozen=True):
    """Who does something, when, and in which project alone they may; `within` empty: in all."""

    actor: str
    at_us: int
    within: str = ""


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done. Lines are never changed."""

    revision: int
    at_us: int
    actor: str
    action: str
    """`key.create`, `key.change`, `key.rotate`, `key.revoke`, `project.create`, `environment.create`."""
    target: str
    project: str
    details: dict[str, Any]
    """What was said, or `[before, after]` of each field that changed; no secrets."""


class Narrowing(msgspec.Struct, frozen=True, kw_only=True):
    """Which keys to list, newest first."""

    project: str = ""
    environment: str = ""
    owner: str = ""
    team: str = ""
    person: str = ""
    before: str = ""
    """Id of the last one that was seen."""
    limit: int = 100
