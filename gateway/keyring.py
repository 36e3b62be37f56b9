"""What a worker knows of keys: those of the settings for good, virtual ones as the hub last said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from gateway.clock import Clock
from gateway.errors import Unauthenticated, Unavailable
from gateway.key_pages import KeyRow, Page, Position
from gateway.principal import Principal

T = TypeVar("T")


class Hold(msgspec.Struct, frozen=True):
    """For how long what a keyring said holds."""

    changes: int
    """How often it had heard something when it said it."""
    until_us: int
    """0: until it hears something."""


class _Chain(msgspec.Struct, kw_only=True):
    """Keys as of one revision."""

    principals: dict[bytes, Principal]
    """By the SHA-256 of the secret."""
    position: Position = Position()
    issued_us: int = 0
    any: bool = False
    """A virtual key exists, if only a revoked one."""
    shared: dict[object, object] = {}
    """One of each: a hundred thousand keys need not each have what they have in common."""

    def one(self, value: T) -> T:
        """Return an equal object that other keys have, too."""
        return self.shared.setdefault(value, value)  # type: ignore[return-value]


class Keyring:
    """Every key this worker honours. `certain`: it need not wait for a first word of the hub."""

    def __init__(
        self,
        static: Mapping[bytes, Principal],
        clock: Clock,
        *,
        max_stale_s: float = 3600,
        certain: bool = True,
    ) -> None:
        self.certain = certain
        self._static = static
        self._clock = clock
        self._max_stale_us = int(max_stale_s * 1_000_000)
        self._chain = _Chain(principals=dict(static))
        self._next: _Chain | None = None
        """One that was begun anew and is not complete."""
        self._changes = 0
        """How often anything was heard."""

    @property
    def issued(self) -> bool:
        """Whether anybody was ever given a key; then nobody is let in without one."""
        return bool(self._static) or self._chain.any

    @property
    def position(self) -> Position:
        """From where on pages are wanted."""
        return (self._next or self._chain).position

    @property
    def age_s(self) -> float:
        """How long ago the hub said that this is how things are; of no meaning before it did."""
        return (self._clock.now_us() - self._chain.issued_us) / 1e6

    def find(self, digest: bytes) -> Principal | None:
        """Return whose secret has this SHA-256. Raises Unauthenticated for one that ended, Unavailable."""
        principal = self._chain.principals.get(digest)
        if principal is None:
            self.check_certain()
        elif principal.virtual:
            return self._checked(principal)
        return principal

    def hold(self, principal: Principal) -> Hold:
        """Return for how long `find`, `issued` and `certain` would say what they now say."""
        if not principal.virtual:
            return Hold(self._changes, 0)
        stale_us = self._chain.issued_us + self._max_stale_us + 1  # `_checked` takes it for fresh to the last
        return Hold(self._changes, min(principal.expires_us or stale_us, stale_us))

    def holds(self, hold: Hold) -> bool:
        """Say whether that is still so."""
        return hold.changes == self._changes and (not hold.until_us or self._clock.now_us() < hold.until_us)

    def check_certain(self) -> None:
        """Raise Unavailable if there may be keys that this worker has not heard of."""
        if not self.certain:
            raise Unavailable(
                "the gateway has not read its keys yet; ask again in a moment",
                code="keys_unavailable",
                retry_after_s=1,
            )

    def _checked(self, principal: Principal) -> Principal:
        now_us = self._clock.now_us()
        if 0 < principal.expires_us <= now_us:
            raise Unauthenticated("this key has expired; ask for another", code="expired_api_key")
        if now_us - self._chain.issued_us <= self._max_stale_us:
            return principal
        if principal.serve_stale:
            return msgspec.structs.replace(principal, stale=True)
        raise Unavailable(
            "the hub has been away for longer than control.max_stale_s, so it is not known whether this "
            "key still counts",
            code="keys_stale",
            retry_after_s=5,
        )

    def take(self, page: Page) -> bool:
        """Take in what changed; False if the page does not follow what is known."""
        self._changes += 1
        if page.after == 0:
            self._next = _Chain(
                principals=dict(self._static), position=Position(epoch=page.epoch, revision=0)
            )
        chain = self._next or self._chain
        if chain.position != Position(epoch=page.epoch, revision=page.after):
            return False
        for row in page.rows:
            self._put(chain, row)
        chain.position = Position(epoch=page.epoch, revision=page.revision)
        chain.issued_us = page.issued_us
        if self._next is not None and not page.more:
            self._chain, self._next = self._next, None
            self.certain = True
        return True

    def take_none(self) -> None:
        """Take in that the hub never issued a key."""
        self._changes += 1
        self._chain, self._next = _Chain(principals=dict(self._static)), None
        self.certain = True

    def _put(self, chain: _Chain, row: KeyRow) -> None:
        chain.any = True
        for digest, ends_us in row.secrets:
            if row.revoked:
                chain.principals.pop(digest, None)
            else:
                chain.principals[digest] = _principal(chain, row, ends_us)


def _principal(chain: _Chain, row: KeyRow, ends_us: int) -> Principal:
    one = chain.one
    return Principal(
        key_id=row.id,
        project=one(row.project),
        environment=one(row.environment),
        owner=one(row.owner),
        team=one(row.team),
        scopes=one(row.scopes),
        models=one(row.models),
        users=one(row.users),
        surfaces=one(row.surfaces),
        memory=one(row.memory),
        store=one(row.store),
        virtual=True,
        expires_us=ends_us,
        serve_stale=row.serve_stale,
    )
