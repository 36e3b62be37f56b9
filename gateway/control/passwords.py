"""Passwords as they are kept: hashed with argon2id, at the cost that RFC 9106 (2021-09) asks for where memory is scarce."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.errors import BadRequest

LEAST = 12
MOST = 1024
"""Characters; without an end somebody could keep the hub busy."""

_AT_ONCE = 2
"""Each takes 64 MB and some 50 ms of a core."""


class Passwords:
    """Hashes in threads, few at a time."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._nobodys = ""

    async def hash(self, password: str) -> str:
        """Return what is kept of it; raise BadRequest for one that is too easy to guess."""
        if not LEAST <= len(password) <= MOST:
            raise BadRequest(
                f"password: from {LEAST} to {MOST} characters", code="invalid_value", param="password"
            )
        async with self._room:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def fits(self, password: str, kept: str) -> bool:
        """Whether this is the password; as slow for somebody who has none, or is nobody."""
        if len(password) > MOST:
            return False
        async with self._room:
            return await asyncio.to_thread(self._fits, password, kept)

    def _fits(self, password: str, kept: str) -> bool:
        if not self._nobodys:
            self._nobodys = self._hasher.hash("nobody")
        try:
            self._hasher.verify(kept or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return bool(kept)
