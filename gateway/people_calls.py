"""What a worker asks the hub over the link when a person signs in, and the shape of it."""

from __future__ import annotations

import hashlib

import msgspec

SIGN_IN = "people.sign_in"
"""Takes a `Login`, answers with a `Ticket`."""
SIGN_OUT = "people.sign_out"
"""Takes the digest of a session, as hex."""
ISSUER_BEGIN = "people.issuer_begin"
"""Takes where to go afterwards; answers with a `Journey` to the configured issuer."""
ISSUER_END = "people.issuer_end"
"""Takes a `Return`; answers with a `Ticket`."""
ACCOUNT = "people.account"
"""Takes an `AccountAsk`; answers with an `Account`."""

SESSION_PREFIX = "tgs-"
"""So nobody takes one for a key."""


class Login(msgspec.Struct, frozen=True):
    """What somebody typed, and where."""

    email: str
    password: str
    address: str


class Ticket(msgspec.Struct, frozen=True):
    """A session: `token` is for the cookie, and kept nowhere."""

    token: str
    to: str = "/"
    """Where the person wanted to go, if the hub knows."""


class Journey(msgspec.Struct, frozen=True):
    """Where to send the browser, and what it must bring back in a cookie."""

    url: str
    binding: str


class Return(msgspec.Struct, frozen=True):
    """What a browser brings back from the issuer."""

    state: str
    code: str
    binding: str
    address: str


class AccountAsk(msgspec.Struct, frozen=True):
    """Who asks about themselves, and what they want changed: fields of `PATCH /api/me`."""

    key_id: str
    changes: dict[str, str] = {}


class Account(msgspec.Struct, frozen=True):
    """What the page of one's account shows."""

    email: str
    name: str
    role: str
    project: str
    environment: str
    places: tuple[tuple[str, tuple[str, ...]], ...]
    """Projects that may be looked at, each with its environments."""
    has_password: bool


def session_digest(token: str) -> str:
    """Return what stands for a session, as hex: another hash than that of keys, so that none is taken for the other."""
    return hashlib.blake2b(token.encode(), person=b"session", digest_size=32).hexdigest()
