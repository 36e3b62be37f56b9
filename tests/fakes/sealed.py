"""What seals memories in tests, as a house would."""

from __future__ import annotations

from gateway.seals import Seals
from gateway.settings import Encryption
from memory.sealed import Sealer


def sealer(*projects: str, key: bytes = b"m" * 32) -> Sealer:
    """Return what seals these projects (patterns) under a master key, and opens whatever that key has sealed."""
    return Seals(Encryption(projects=projects), lambda: key)
