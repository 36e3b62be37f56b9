"""Keys of providers that are set while the house is up: sealed under the master key, told to nobody.

A credential wins over the key of the settings and of the environment. Workers get it as it lies here, sealed, and
open it themselves.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.clock import Clock
from gateway.control.audit import log
from gateway.control.database import Database
from gateway.control.keys import Admin
from gateway.control.records import Act
from gateway.control.records_thread import Records
from gateway.control.words import moment
from gateway.credential_feed import PURPOSE
from gateway.errors import BadRequest, GatewayError, Unavailable
from gateway.master_key import BadMasterKey, derive, read_key
from gateway.sealing import BadSeal, Seal

Master = Callable[[], bytes]
"""Returns the master key; raises BadMasterKey."""


class UnknownCredential(GatewayError):
    """Nobody has set a key for this provider."""

    status = 404
    code = "credential_not_found"
    type = "invalid_request_error"


class NewCredential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The provider's key, as its settings would have it under `api_key`."""

    secret: Annotated[str, Meta(min_length=1, max_length=16_384)]


class CredentialAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """That there is one. `fingerprint` tells one key from another, and nothing else."""

    provider: str
    fingerprint: str
    changed_at: datetime


class CredentialList(msgspec.Struct, frozen=True):
    """Providers whose key was set, by name."""

    credentials: list[CredentialAnswer]


class Reseal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The master key that was, when there is another one now."""

    former: Annotated[str, Meta(min_length=1, max_length=256)]


class Resealed(msgspec.Struct, frozen=True):
    """How many lie under the present master key now."""

    resealed: int


class Credentials:
    """`providers`: names that may have one. `told` is awaited after each change."""

    def __init__(
        self,
        records: Records,
        told: Callable[[], Awaitable[None]],
        clock: Clock,
        master: Master,
        *,
        providers: Collection[str],
    ) -> None:
        self._records = records
        self._told = told
        self._clock = clock
        self._master = master
        self._providers = providers

    async def put(self, provider: str, wanted: NewCredential, admin: Admin) -> CredentialAnswer:
        """Set a provider's key."""
        if provider not in self._providers:
            known = ", ".join(sorted(self._providers))
            raise BadRequest(
                f"{provider!r} is none of {known}: configure it first", code="unknown_provider", param="id"
            )
        if not wanted.secret.isprintable() or wanted.secret != wanted.secret.strip():
            raise BadRequest("secret: this is no key", code="invalid_value", param="secret")
        key = self._key()
        sealed = Seal(key).seal(wanted.secret.encode(), provider.encode()).hex()
        print_ = hashlib.blake2b(wanted.secret.encode(), key=key, digest_size=4).hexdigest()
        act = Act(admin.name, self._clock.now_us())

        def work(database: Database) -> None:
            with database.write() as session:
                log(session, act, "credential.set", provider, "", {"fingerprint": print_})
                session.run(
                    "insert into credentials (provider, sealed, hint, changed_us) values (?, ?, ?, ?)"
                    " on conflict (provider) do update set sealed = excluded.sealed, hint = excluded.hint,"
                    " changed_us = excluded.changed_us",
                    *(provider, sealed, print_, act.at_us),
                )

        await self._records.query(work)
        await self._told()
        return CredentialAnswer(provider=provider, fingerprint=print_, changed_at=moment(act.at_us))

    async def holds(self, provider: str, secret: str) -> bool:
        """Whether this is the provider's key already."""
        sealed = await self._records.query(sealed_credentials) if self._records.there else {}
        if provider not in sealed:
            return False
        try:
            known = Seal(self._key()).open(bytes.fromhex(sealed[provider]), provider.encode())
        except BadSeal:
            return False
        return hmac.compare_digest(known, secret.encode())

    async def page(self) -> CredentialList:
        """Return which providers have one."""
        if not self._records.there:
            return CredentialList([])

        def work(database: Database) -> list[CredentialAnswer]:
            with database.read() as session:
                rows = session.run("select provider, hint, changed_us from credentials order by provider")
            return [
                CredentialAnswer(provider=name, fingerprint=hint, changed_at=moment(at_us))
                for name, hint, at_us in rows
            ]

        return CredentialList(await self._records.query(work))

    async def delete(self, provider: str, admin: Admin) -> None:
        """Let what the settings say count again."""
        act = Act(admin.name, self._clock.now_us())

        def work(database: Database) -> bool:
            with database.write() as session:
                if not session.run("select 1 from credentials where provider = ?", provider):
                    return False
                log(session, act, "credential.delete", provider, "", {})
                session.run("delete from credentials where provider = ?", provider)
                return True

        if not self._records.there or not await self._records.query(work):
            raise UnknownCredential(f"nobody has set a key for {provider!r}", param="id")
        await self._told()

    async def reseal(self, wanted: Reseal, admin: Admin) -> Resealed:
        """Seal under the present master key what lies under the former one: all or nothing."""
        try:
            former = Seal(derive(read_key(wanted.former, "former"), PURPOSE))
        except BadMasterKey as error:
            raise BadRequest(str(error), code="invalid_value", param="former") from error
        present = Seal(self._key())
        act = Act(admin.name, self._clock.now_us())

        def work(database: Database) -> int:
            done = 0
            with database.write() as session:
                for provider, sealed in session.run("select provider, sealed from credentials"):
                    again = _again(sealed, provider, former, present)
                    if again != sealed:
                        session.run("update credentials set sealed = ? where provider = ?", again, provider)
                        done += 1
                if done:
                    log(session, act, "credential.reseal", "", "", {"resealed": done})
            return done

        try:
            done = await self._records.query(work) if self._records.there else 0
        except BadSeal as error:
            raise BadRequest("former: this is not the key they lie under", param="former") from error
        await self._told()
        return Resealed(done)

    def _key(self) -> bytes:
        try:
            return derive(self._master(), PURPOSE)
        except BadMasterKey as error:
            raise Unavailable(str(error), code="no_master_key") from error


def sealed_credentials(database: Database) -> Mapping[str, str]:
    """Return what workers are told: each provider's key, sealed."""
    with database.read() as session:
        rows = session.run("select provider, sealed from credentials order by provider")
    return {str(provider): str(sealed) for provider, sealed in rows}


def _again(sealed: str, provider: str, former: Seal, present: Seal) -> str:
    """Return it under the present key, as it is if it lies there already; raise BadSeal."""
    content, about = bytes.fromhex(sealed), provider.encode()
    try:
        present.open(content, about)
    except BadSeal:
        return present.seal(former.open(content, about), about).hex()
    return sealed
