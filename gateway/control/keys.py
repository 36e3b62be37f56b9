"""Everything that can be done with virtual keys: checked here, written by the store, told to the workers."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from fnmatch import fnmatchcase

import msgspec

from gateway.clock import Clock
from gateway.control.records import Act, Draft, Key, Narrowing, Rules, Secret
from gateway.control.records_thread import Records
from gateway.control.store import ControlStore, KeyEnded, SecretTaken
from gateway.control.words import (
    AuditPage,
    IssuedKey,
    KeyAnswer,
    KeyPage,
    KeyPatch,
    NewKey,
    ProjectList,
    Rotation,
    audit_answer,
    given,
    issued,
    key_answer,
    microseconds,
    project_answer,
)
from gateway.errors import BadRequest, Forbidden, GatewayError

PREFIX_CHARS = 10
"""`tg-` and seven more: 42 of 256 bits, so they give nothing away."""

MOST_RULES = 16 * 1024
"""Bytes of what one key may do: a page of many still fits into one message to the workers."""

_RULES = Rules.__struct_fields__
_CHANGEABLE = ("name", "owner", "team", "expires_us")


class UnknownKey(GatewayError):
    """No key of this id, or none that may be seen by who asks."""

    status = 404
    code = "key_not_found"
    type = "invalid_request_error"


class KeyGone(GatewayError):
    """It was revoked, or has expired: it can be looked at, not changed."""

    status = 409
    code = "key_ended"
    type = "invalid_request_error"


class KeyTaken(GatewayError):
    """A key with this secret is there already, or was."""

    status = 409
    code = "key_exists"
    type = "invalid_request_error"


class Admin(msgspec.Struct, frozen=True):
    """Who asks. `within`: the only project they may touch; empty: all."""

    name: str
    within: str = ""

    def act(self, at_us: int) -> Act:
        """Return what they do now, as the audit log tells it."""
        return Act(actor=self.name, at_us=at_us, within=self.within)

    def check_project(self, project: str, *, param: str = "project") -> None:
        """Raise Forbidden for a project that they may not touch."""
        if self.within and project != self.within:
            raise Forbidden(f"this key administrates the project {self.within!r} alone", param=param)


class Keys:
    """`told` is awaited after each change: then every worker has heard, or will as soon as it can."""

    def __init__(
        self,
        records: Records,
        told: Callable[[], Awaitable[None]],
        clock: Clock,
        *,
        surfaces: Collection[str],
        new_secret: Callable[[], str],
    ) -> None:
        self._records = records
        self._told = told
        self._clock = clock
        self._surfaces = surfaces
        self._new_secret = new_secret

    async def create(self, wanted: NewKey, admin: Admin, *, person: str = "") -> IssuedKey:
        """Make a key; the answer is the only place where its secret ever stands. `person`: it is their own."""
        admin.check_project(wanted.project)
        for field in ("name", "project", "environment", "owner", "team"):
            check_text(field, getattr(wanted, field))
        now_us = self._clock.now_us()
        draft = Draft(
            id=_new_id(now_us),
            name=wanted.name,
            owner=wanted.owner,
            team=wanted.team,
            person=person,
            project=wanted.project,
            environment=wanted.environment,
            rules=Rules(**{field: getattr(wanted, field) for field in _RULES}),
            expires_us=self._expiry(wanted.expires_at, now_us),
        )
        self._check(draft.rules, admin)
        text, secret = self._secret(now_us, wanted.hash)
        act = admin.act(now_us)
        try:
            key = await self._records.do(lambda store: store.create(draft, secret, act))
        except SecretTaken as error:
            raise _taken() from error
        await self._told()
        return issued(key, text, now_us)

    async def change(self, key_id: str, patch: KeyPatch, admin: Admin) -> KeyAnswer:
        """Write what shall be different."""
        fields = given(patch)
        for field in ("name", "owner", "team"):
            check_text(field, fields.get(field, "-"))
        now_us = self._clock.now_us()
        if "expires_at" in fields:
            fields["expires_us"] = self._expiry(patch.expires_at, now_us)
        told = {field: value for field, value in fields.items() if field in _CHANGEABLE}
        ruled = {field: value for field, value in fields.items() if field in _RULES}

        def decide(key: Key) -> Key:
            _check_reach(key, admin)
            rules = msgspec.structs.replace(key.rules, **ruled)
            self._check(rules, admin)
            return msgspec.structs.replace(key, rules=rules, **told)

        act = admin.act(now_us)
        return key_answer(
            await self._changed(key_id, lambda store: store.change(key_id, decide, act)), now_us
        )

    async def rotate(self, key_id: str, rotation: Rotation, admin: Admin) -> IssuedKey:
        """Give the key another secret; the former one counts for a while."""
        now_us = self._clock.now_us()
        before = await self._find(key_id, admin)
        _check_reach(before, admin)
        if 0 < before.expires_us <= now_us:
            raise KeyGone("this key has expired: change expires_at first", param="id")
        text, secret = self._secret(now_us, rotation.hash)
        act, until_us = admin.act(now_us), now_us + rotation.overlap_s * 1_000_000
        after = await self._changed(key_id, lambda store: store.rotate(key_id, secret, until_us, act))
        return issued(after, text, now_us)

    async def revoke(self, key_id: str, admin: Admin) -> KeyAnswer:
        """End the key at once, and for good."""
        _check_reach(await self._find(key_id, admin), admin)
        now_us = self._clock.now_us()
        act = admin.act(now_us)
        return key_answer(await self._changed(key_id, lambda store: store.revoke(key_id, act)), now_us)

    async def get(self, key_id: str, admin: Admin) -> KeyAnswer:
        """Return the key without its secret."""
        return key_answer(await self._find(key_id, admin), self._clock.now_us())

    async def page(self, which: Narrowing, admin: Admin) -> KeyPage:
        """Return keys, newest first."""
        if admin.within and which.project not in ("", admin.within):
            return KeyPage(keys=[])
        if not self._records.there:
            return KeyPage(keys=[])
        which = msgspec.structs.replace(which, project=admin.within or which.project)
        found = await self._records.do(lambda store: store.keys(which))
        now_us = self._clock.now_us()
        more = len(found) == which.limit
        return KeyPage(
            keys=[key_answer(key, now_us) for key in found], next_before=found[-1].id if more else None
        )

    async def projects(self, admin: Admin) -> ProjectList:
        """Return the projects that were given a key."""
        if not self._records.there:
            return ProjectList([])
        found = await self._records.do(lambda store: store.projects(admin.within))
        return ProjectList([project_answer(project) for project in found])

    async def audit(self, admin: Admin, *, before: int, limit: int) -> AuditPage:
        """Return what was done."""
        if not self._records.there:
            return AuditPage(lines=[])
        found = await self._records.do(lambda store: store.audit(admin.within, before, limit))
        more = len(found) == limit
        return AuditPage(
            lines=[audit_answer(line) for line in found], next_before=found[-1].revision if more else None
        )

    async def _find(self, key_id: str, admin: Admin) -> Key:
        if self._records.there:
            found = await self._records.do(lambda store: store.find(key_id, admin.within))
            if found is not None:
                return found
        raise _unknown(key_id)

    async def _changed(self, key_id: str, work: Callable[[ControlStore], Key | None]) -> Key:
        if not self._records.there:
            raise _unknown(key_id)
        try:
            key = await self._records.do(work)
        except KeyEnded as error:
            raise KeyGone("this key was revoked; make another", param="id") from error
        except SecretTaken as error:
            raise _taken() from error
        if key is None:
            raise _unknown(key_id)
        await self._told()
        return key

    def _secret(self, now_us: int, given: str) -> tuple[str, Secret]:
        """Return a new secret, or none and what stands for one that was made elsewhere."""
        if given:
            return "", Secret(digest=_digest(given), prefix="", created_us=now_us)
        text = self._new_secret()
        digest = hashlib.sha256(text.encode()).hexdigest()
        return text, Secret(digest=digest, prefix=text[:PREFIX_CHARS], created_us=now_us)

    def _expiry(self, when: datetime | msgspec.UnsetType | None, now_us: int) -> int:
        ends_us = microseconds(when) if isinstance(when, datetime) else 0
        if ends_us <= now_us and when is not None:
            raise BadRequest("expires_at: this moment is past", code="invalid_value", param="expires_at")
        return ends_us

    def _check(self, rules: Rules, admin: Admin) -> None:
        """Raise BadRequest for what makes no sense, Forbidden for what this admin may not give."""
        for field in ("models", "users", "surfaces"):
            for pattern in getattr(rules, field):
                check_text(field, pattern)
        if len(msgspec.json.encode(rules)) > MOST_RULES:
            raise BadRequest(
                f"models, users and surfaces: together at most {MOST_RULES} bytes", code="invalid_value"
            )
        for pattern in rules.surfaces:
            if not any(fnmatchcase(surface, pattern) for surface in self._surfaces):
                known = ", ".join(sorted(self._surfaces))
                raise BadRequest(
                    f"surfaces: {pattern!r} fits none of {known}", code="invalid_value", param="surfaces"
                )
        if "owner" in rules.scopes and admin.within:
            raise Forbidden("only who administrates all projects may give the scope 'owner'", param="scopes")
        wide = [scope for scope in rules.scopes if scope != "call"]
        if rules.users and wide:
            raise BadRequest(
                f"users: the scopes {', '.join(wide)} open what all users of the project said, so a key for some "
                "users can only have the scope call",
                code="invalid_value",
                param="users",
            )


def _digest(given: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]{64}", given) is None:
        what = "this is the key itself, not its hash" if given.startswith("tg-") else "not a SHA-256 in hex"
        raise BadRequest(
            f"hash: {what}. Give the 64 digits that `tidegate key` prints with a key",
            code="invalid_value",
            param="hash",
        )
    return given.lower()


def _taken() -> KeyTaken:
    return KeyTaken("hash: a key of this secret is there already, or was: make another secret", param="hash")


def _check_reach(key: Key, admin: Admin) -> None:
    """Raise Forbidden for a key that may do more than this admin."""
    if admin.within and "owner" in key.rules.scopes:
        raise Forbidden("only who administrates all projects may touch a key with the scope 'owner'")


def check_text(field: str, text: object) -> None:
    """Raise BadRequest for a name that looks like another one, or like nothing."""
    if not isinstance(text, str) or not text.isprintable() or text != text.strip():
        raise BadRequest(
            f"{field}: write it without control characters, and without spaces around it",
            code="invalid_value",
            param=field,
        )
    if text == "*" and field in ("project", "environment"):
        raise BadRequest(f"{field}: `*` is not a name", code="invalid_value", param=field)


def _new_id(now_us: int) -> str:
    """Return an id that sorts by its moment: 12 digits of milliseconds, 8 random ones."""
    return f"key_{now_us // 1000:012x}{secrets.token_hex(4)}"


def _unknown(key_id: str) -> UnknownKey:
    return UnknownKey(f"there is no key {key_id!r} that you may see", param="id")
