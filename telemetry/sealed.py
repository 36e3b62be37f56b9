"""Words that lie sealed in journal and store. Who seals and opens them is handed in: keys are no business of ours."""

from __future__ import annotations

from typing import Protocol

import msgspec

from telemetry.records import Outcome, Payload

PREFIX = b"sealed:1:"
"""What is sealed begins so; it is ASCII, and says by itself whose it is."""


class Sealer(Protocol):
    """Seals and opens the words of projects. Safe to share between threads."""

    def seal(self, project: str, plain: bytes) -> bytes:
        """Return them sealed, or as they are if the project's words lie open."""
        ...

    def open(self, said: bytes) -> bytes:
        """Return what was sealed; as it is, if it was not, or if its key is lost."""
        ...


class Unsealed:
    """Where no project's words are sealed."""

    def seal(self, project: str, plain: bytes) -> bytes:  # noqa: ARG002 - as Sealer says
        """Return them as they are."""
        return plain

    def open(self, said: bytes) -> bytes:
        """Return it as it is."""
        return said


UNSEALED: Sealer = Unsealed()


def open_payload(sealer: Sealer, payload: Payload) -> Payload:
    """Return the payload with its body as it was said."""
    body = sealer.open(payload.body)
    return payload if body is payload.body else msgspec.structs.replace(payload, body=body)


def seal_outcome(sealer: Sealer, project: str, outcome: Outcome) -> Outcome:
    """Return the outcome with what was remembered in the call sealed, if the project's words are."""
    plain = outcome.memory.block.encode()
    block = sealer.seal(project, plain) if plain else plain
    if block is plain:
        return outcome
    memory = msgspec.structs.replace(outcome.memory, block=block.decode())
    return msgspec.structs.replace(outcome, memory=memory)
