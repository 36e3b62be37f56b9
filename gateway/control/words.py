"""What goes over the admin API, in and out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.control.records import AuditLine, Key, Project, WhenStale
from gateway.principal import Memory, Scope, Store

DAY_S = 24 * 3600

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Text = Annotated[str, Meta(max_length=255)]
Patterns = Annotated[tuple[Name, ...], Meta(max_length=64)]
Scopes = Annotated[tuple[Scope, ...], Meta(min_length=1)]
Hash = Annotated[str, Meta(max_length=64)]
"""The SHA-256 of a key as 64 hex digits, for one that was made elsewhere."""
Moment = Annotated[datetime, Meta(tz=True)]


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that shall be made. `models`, `users` and `surfaces` are patterns like `gpt-*`; empty: all."""

    name: Name
    project: Name = "default"
    environment: Name = "prod"
    owner: Text = ""
    team: Text = ""
    scopes: Scopes = ("call",)
    models: Patterns = ()
    users: Patterns = ()
    surfaces: Patterns = ()
    memory: Memory = "on"
    store: Store = "full"
    when_stale: WhenStale = "refuse"
    expires_at: Moment | None = None
    hash: Hash = ""
    """Of a secret that was made elsewhere; empty: a new one is made."""


class KeyPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be different about a key; what is left out stays."""

    name: Name | UnsetType = UNSET
    owner: Text | UnsetType = UNSET
    team: Text | UnsetType = UNSET
    scopes: Scopes | UnsetType = UNSET
    models: Patterns | UnsetType = UNSET
    users: Patterns | UnsetType = UNSET
    surfaces: Patterns | UnsetType = UNSET
    memory: Memory | UnsetType = UNSET
    store: Store | UnsetType = UNSET
    when_stale: WhenStale | UnsetType = UNSET
    expires_at: Moment | UnsetType | None = UNSET


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the former secret still counts."""

    overlap_s: Annotated[int, Meta(ge=0, le=90 * DAY_S)] = DAY_S
    hash: Hash = ""


class FormerSecret(msgspec.Struct, frozen=True):
    """A secret that was replaced and counts for a while."""

    prefix: str
    until: datetime


class KeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret."""

    id: str
    name: str
    prefix: str
    """The first characters of its secret; empty if it was given by its hash."""
    state: Literal["active", "expired", "revoked"]
    project: str
    environment: str
    owner: str
    team: str
    scopes: tuple[Scope, ...]
    models: tuple[str, ...]
    users: tuple[str, ...]
    surfaces: tuple[str, ...]
    memory: Memory
    store: Store
    when_stale: WhenStale
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    former: tuple[FormerSecret, ...]


class IssuedKey(KeyAnswer, frozen=True, kw_only=True):
    """A key with its secret, which is told this once."""

    key: str
    """Empty if the key was given by its hash."""


class KeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """Keys, newest first."""

    keys: list[KeyAnswer]
    next_before: str | None = None
    """For `before`, if there are more."""


class ProjectAnswer(msgspec.Struct, frozen=True):
    """A tenant, and where its calls are counted."""

    id: str
    environments: tuple[str, ...]
    created_at: datetime


class ProjectList(msgspec.Struct, frozen=True):
    """Projects, by name."""

    projects: list[ProjectAnswer]


class AuditAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done. `details`: what was said, or `[before, after]` of each field that changed."""

    revision: int
    at: datetime
    actor: str
    action: str
    target: str
    project: str
    details: dict[str, Any]


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, newest first."""

    lines: list[AuditAnswer]
    next_before: int | None = None
    """For `before`, if there are more."""


class Problem(msgspec.Struct, frozen=True):
    """What was wrong, as every answer of this gateway says it."""

    message: str
    type: str
    param: str | None
    code: str


class ProblemAnswer(msgspec.Struct, frozen=True):
    """The body of every error."""

    error: Problem

    @classmethod
    def of(cls, message: str, kind: str, param: str, code: str) -> ProblemAnswer:
        """Return it with what was wrong."""
        return cls(Problem(message, kind, param or None, code))


def key_answer(key: Key, now_us: int) -> KeyAnswer:
    """Return a key as the API tells it."""
    rules = key.rules
    expired = 0 < key.expires_us <= now_us
    return KeyAnswer(
        id=key.id,
        name=key.name,
        prefix=key.secrets[-1].prefix,
        state="revoked" if key.revoked_us else "expired" if expired else "active",
        project=key.project,
        environment=key.environment,
        owner=key.owner,
        team=key.team,
        scopes=rules.scopes,
        models=rules.models,
        users=rules.users,
        surfaces=rules.surfaces,
        memory=rules.memory,
        store=rules.store,
        when_stale=rules.when_stale,
        created_at=moment(key.created_us),
        expires_at=moment(key.expires_us) if key.expires_us else None,
        revoked_at=moment(key.revoked_us) if key.revoked_us else None,
        former=tuple(
            FormerSecret(secret.prefix, moment(secret.ends_us))
            for secret in key.secrets[:-1]
            if secret.ends_us > now_us
        ),
    )


def issued(key: Key, secret: str, now_us: int) -> IssuedKey:
    """Return a key with its secret."""
    return IssuedKey(**msgspec.structs.asdict(key_answer(key, now_us)), key=secret)


def project_answer(project: Project) -> ProjectAnswer:
    """Return a project as the API tells it."""
    return ProjectAnswer(project.id, project.environments, moment(project.created_us))


def audit_answer(line: AuditLine) -> AuditAnswer:
    """Return a line as the API tells it: moments as text."""
    details = {
        name.removesuffix("_us") + "_at" if name.endswith("_us") else name: _told(name, value)
        for name, value in line.details.items()
    }
    return AuditAnswer(
        revision=line.revision,
        at=moment(line.at_us),
        actor=line.actor,
        action=line.action,
        target=line.target,
        project=line.project,
        details=details,
    )


def given(patch: msgspec.Struct) -> dict[str, Any]:
    """Return the fields that somebody wrote, with what they wrote."""
    return {field: value for field, value in msgspec.structs.asdict(patch).items() if value is not UNSET}


def moment(us: int) -> datetime:
    """Return a moment as UTC, exactly."""
    seconds, rest = divmod(us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def microseconds(when: datetime) -> int:
    """Return it as the records have it."""
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * DAY_S + since.seconds) * 1_000_000 + since.microseconds


def _told(name: str, value: Any) -> Any:  # noqa: ANN401 - as it was logged
    if not name.endswith("_us"):
        return value
    if isinstance(value, list):
        return [_told(name, one) for one in value]
    return moment(value) if value else None
