"""People who sign in, and their teams, as programs see them. Moments are microseconds since 1970; 0: never."""

from __future__ import annotations

import msgspec

from gateway.roles import Role


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with a login of their own."""

    id: str
    email: str
    """In lower case."""
    name: str
    password: str = ""
    """Its argon2 hash; empty: only who signs them in elsewhere can let them in."""
    subject: str = ""
    """What that one calls them: issuer and subject."""
    roles: dict[str, Role]
    """By project, `*` for all."""
    created_us: int
    disabled_us: int = 0
    project: str = ""
    """Whose records they look at now, with the environment; empty: nowhere, as they have no role."""
    environment: str = "prod"


class Team(msgspec.Struct, frozen=True):
    """People of a project who share limits and budgets."""

    project: str
    name: str
    members: tuple[str, ...]
    """Their e-mail addresses."""
    created_us: int
