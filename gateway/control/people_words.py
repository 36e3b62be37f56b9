"""What goes over the admin API about people, teams and oneself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.control.people_records import Person, Team
from gateway.control.words import Moment, Name, Scopes, Text, moment
from gateway.principal import Scope
from gateway.roles import Role

Email = Annotated[str, Meta(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Roles = Annotated[dict[Name, Role], Meta(max_length=256)]
Secret = Annotated[str, Meta(max_length=1024)]


class NewPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who shall be able to sign in. `roles`: by project, `*` for all."""

    email: Email
    name: Text = ""
    roles: Roles
    password: Secret = ""
    """At least 12 characters; empty: only the configured issuer lets them in."""


class PersonPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be different about somebody; what is left out stays. A role of null is taken away."""

    name: Text | UnsetType = UNSET
    roles: Annotated[dict[Name, Role | None], Meta(max_length=256)] | UnsetType = UNSET
    password: Secret | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class PersonAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who can sign in."""

    id: str
    email: str
    name: str
    roles: dict[str, Role]
    has_password: bool
    created_at: datetime
    disabled_at: datetime | None


class PersonList(msgspec.Struct, frozen=True):
    """People, by address."""

    people: list[PersonAnswer]


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and what they may do where they are."""

    key_id: str
    project: str
    environment: str
    scopes: tuple[Scope, ...]
    owner: str
    team: str
    person: PersonAnswer | None = None
    role: Role | None = None


class MePatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to look from now on, and another password."""

    project: Name | UnsetType = UNSET
    environment: Name | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    password: Secret | UnsetType = UNSET
    former_password: Secret = ""


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of one's own, for programs; it may do no more than its owner."""

    name: Name
    project: Name | UnsetType = UNSET
    environment: Name | UnsetType = UNSET
    scopes: Scopes = ("call",)
    expires_at: Moment | None = None


class TeamAnswer(msgspec.Struct, frozen=True):
    """People of a project who share limits and budgets."""

    project: str
    name: str
    members: tuple[str, ...]
    created_at: datetime


class TeamList(msgspec.Struct, frozen=True):
    """Teams, by project and name."""

    teams: list[TeamAnswer]


class NewTeam(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A team that shall be made; `members` are e-mail addresses of people."""

    name: Name
    project: Name = "default"
    members: Annotated[tuple[Email, ...], Meta(max_length=1000)] = ()


class TeamPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who belongs to it from now on."""

    members: Annotated[tuple[Email, ...], Meta(max_length=1000)]


class Done(msgspec.Struct, frozen=True):
    """That it was done."""

    done: bool = True


class NewProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project, or environments for one that is there."""

    id: Name
    environments: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=64)] = ("prod",)


def person_answer(person: Person, within: str = "") -> PersonAnswer:
    """Return somebody as the API tells them; `within`: only the roles that count in this project."""
    return PersonAnswer(
        id=person.id,
        email=person.email,
        name=person.name,
        roles={
            project: role for project, role in person.roles.items() if not within or project in (within, "*")
        },
        has_password=bool(person.password),
        created_at=moment(person.created_us),
        disabled_at=moment(person.disabled_us) if person.disabled_us else None,
    )


def team_answer(team: Team) -> TeamAnswer:
    """Return a team as the API tells it."""
    return TeamAnswer(team.project, team.name, team.members, moment(team.created_us))
