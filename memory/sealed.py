"""Words that lie sealed in the ledger. Who seals and opens them is handed in: keys are no business of this package."""

from __future__ import annotations

from typing import Protocol

PREFIX = b"sealed:1:"
"""What is sealed begins so; it is ASCII, and says by itself whose it is."""


class Sealer(Protocol):
    """Seals and opens the words of projects. Safe to share between threads."""

    @property
    def any(self) -> bool:
        """Whether any project's words are sealed from now on."""
        ...

    def seal(self, project: str, plain: bytes) -> bytes:
        """Return them sealed, or as they are if the project's words lie open."""
        ...

    def open(self, said: bytes) -> bytes:
        """Return what was sealed; as it is, if it was not, or if its key is lost."""
        ...

    def digest(self, project: str, name: bytes) -> bytes:
        """Return what a name is found again by, whether or not the project's words are sealed now."""
        ...


class Unsealed:
    """Where no project's words are sealed, or ever were."""

    any = False

    def seal(self, project: str, plain: bytes) -> bytes:  # noqa: ARG002 - as Sealer says
        """Return them as they are."""
        return plain

    def open(self, said: bytes) -> bytes:
        """Return it as it is."""
        return said

    def digest(self, project: str, name: bytes) -> bytes:  # noqa: ARG002 - as Sealer says
        """Return it as it is."""
        return name


UNSEALED: Sealer = Unsealed()
