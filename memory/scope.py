"""Whose memories: the one value that every read and every write carries."""

from __future__ import annotations

import hashlib

import msgspec

from memory.errors import BadScope

MAX_ID = 255


class Constraints(msgspec.Struct, frozen=True, kw_only=True):
    """What a memory's identity must be to be visible; None means that any will do."""

    project: str
    environment: str
    user: str
    agent: str | None
    run: str | None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Project, environment, and at least one of user, agent and run; an empty string is "none".

    A scope sees the memories written with all the ids it names. An id it leaves out may be anything if a
    more senior one (user, then agent, then run) is named, else it must be absent: what a user said to an
    agent is seen by that user, never by a call that names the agent alone. Raises BadScope.
    """

    project: str
    environment: str
    user: str = ""
    agent: str = ""
    run: str = ""

    def __post_init__(self) -> None:
        """Refuse what names nobody."""
        for name, required in (("project", True), ("environment", True), ("user", False)):
            _check(name, getattr(self, name), required=required)
        _check("agent", self.agent, required=False)
        _check("run", self.run, required=False)
        if not (self.user or self.agent or self.run):
            raise BadScope(
                "name at least one of user_id, agent_id and run_id", code="scope_missing", param="user_id"
            )

    def constraints(self) -> Constraints:
        """Say what a memory must look like to be seen from here."""
        return Constraints(
            project=self.project,
            environment=self.environment,
            user=self.user,
            agent=self.agent or (None if self.user else ""),
            run=self.run or (None if self.user or self.agent else ""),
        )

    def owner(self) -> str:
        """Return a digest of project, environment and the most senior id: every scope has one owner."""
        kind, name = next(
            (kind, name)
            for kind, name in (("user", self.user), ("agent", self.agent), ("run", self.run))
            if name
        )
        parts = msgspec.json.encode([self.project, self.environment, kind, name])
        return hashlib.blake2b(parts, digest_size=16).hexdigest()


def sees(reader: Scope, writer: Scope) -> bool:
    """Say whether a memory written in `writer` is visible from `reader`."""
    wanted = reader.constraints()
    return (
        (writer.project, writer.environment, writer.user) == (wanted.project, wanted.environment, wanted.user)
        and wanted.agent in (None, writer.agent)
        and wanted.run in (None, writer.run)
    )


def _check(name: str, value: str, *, required: bool) -> None:
    if not isinstance(value, str):
        raise BadScope(f"{name} must be a string", param=name)
    if not value and not required:
        return
    if not 1 <= len(value) <= MAX_ID:
        raise BadScope(f"{name} must have 1 to {MAX_ID} characters", param=name)
    if value == "*":
        raise BadScope(f"{name}: `*` is not an id and never means everybody", param=name)
    if not value.isprintable() or value != value.strip():
        raise BadScope(f"{name} must not hold control characters or begin or end with a blank", param=name)
