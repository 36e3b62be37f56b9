"""What any store of control records can do. Methods block: they are called from a thread of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.control.records import Act, AuditLine, Draft, Key, Narrowing, Project, Secret
from gateway.key_pages import Position


class ControlAway(Exception):
    """The database cannot be used now."""


class KeyEnded(Exception):
    """A key that was revoked is not changed any more."""


class SecretTaken(Exception):
    """A secret of one key is never given to another."""


class ControlStore(Protocol):
    """Every change is one transaction, has a revision of its own and leaves a line in the audit log.

    Each method may raise ControlAway. Those that change a key return None if there is none of that id in
    `act.within`, and raise KeyEnded if it was revoked.
    """

    def create(self, draft: Draft, secret: Secret, act: Act) -> Key:
        """Write a new key; its project and environment are made if they are new. Raises SecretTaken."""
        ...

    def change(self, key_id: str, decide: Callable[[Key], Key], act: Act) -> Key | None:
        """Write the key as `decide` wants it: name, owner, rules, expiry. Nothing is written if it raises."""
        ...

    def rotate(self, key_id: str, secret: Secret, former_ends_us: int, act: Act) -> Key | None:
        """Add a secret; those before it end at `former_ends_us`, or sooner if they do already. Raises SecretTaken."""
        ...

    def revoke(self, key_id: str, act: Act) -> Key | None:
        """End the key and all its secrets, for good; once more does nothing."""
        ...

    def find(self, key_id: str, within: str) -> Key | None:
        """Return the key; `within`: only if it belongs to this project."""
        ...

    def keys(self, which: Narrowing) -> list[Key]:
        """Return keys, newest first."""
        ...

    def projects(self, within: str) -> list[Project]:
        """Return the projects that were given a key, by name."""
        ...

    def audit(self, within: str, before: int, limit: int) -> list[AuditLine]:
        """Return what was done, newest first; `before`: a revision, 0 for now."""
        ...

    def position(self) -> Position:
        """Return the revision of the last change, and of which database."""
        ...

    def changed(self, after: int, limit: int) -> list[Key]:
        """Return the keys whose last change came after this revision, in that order."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
