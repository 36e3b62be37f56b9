"""Keys as tests make them: rows, pages, and a clock that is moved by hand."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from gateway.key_pages import KeyRow, Page

START_US = 1_700_000_000_000_000
SECOND = 1_000_000
SEAL = b"s" * 32


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.us = START_US

    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""
        return self.us

    def monotonic_ns(self) -> int:
        """Return the same as nanoseconds."""
        return self.us * 1000


def digest(secret: str) -> bytes:
    """Return what stands for a secret."""
    return hashlib.sha256(secret.encode()).digest()


def row(key_id: str, *secrets: str, **more: Any) -> KeyRow:
    """Return a key with these secrets, or those of `ends` with their ends."""
    ends = more.pop("ends", dict.fromkeys(secrets, 0))
    plain: dict[str, Any] = {
        "id": key_id,
        "project": "p",
        "environment": "prod",
        "owner": "",
        "scopes": ("call",),
        "models": (),
        "users": (),
        "surfaces": (),
        "memory": "on",
        "store": "full",
        "serve_stale": False,
        "revoked": False,
        "secrets": tuple((digest(secret), ends_us) for secret, ends_us in ends.items()),
    }
    return KeyRow(**{**plain, **more})


def page(after: int, revision: int, *rows: KeyRow, **more: Any) -> Page:
    """Return a page of the database `e`."""
    said = Page(epoch="e", after=after, revision=revision, issued_us=START_US, rows=rows)
    return msgspec.structs.replace(said, **more)
