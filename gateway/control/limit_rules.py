"""Everything that can be done with limits of the control records: checked here, with a line in the audit log."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from gateway.clock import Clock
from gateway.control.audit import log
from gateway.control.database import Database, Session
from gateway.control.keys import Admin, check_text
from gateway.control.records import Act
from gateway.control.records_thread import Records
from gateway.control.turning import ALL, Turning
from gateway.control.words import Name
from gateway.errors import BadRequest, Forbidden, GatewayError
from gateway.faults import limit_faults
from gateway.limits.rules import LimitRule
from gateway.settings import Limit

MOST_RULES = 1000
"""All of them together fit into one message to the workers, and each call is looked at by each."""
MOST_BYTES = 8 * 1024
"""Of one rule."""

_PATTERNS = ("keys", "users", "teams", "models", "routes")
_rule = msgspec.json.Decoder(LimitRule)

Patterns = tuple[str, ...]


class UnknownLimit(GatewayError):
    """No limit of this id, or none that may be seen by who asks."""

    status = 404
    code = "limit_not_found"
    type = "invalid_request_error"


class LimitConfigured(GatewayError):
    """It stands in the configuration file, and is changed there."""

    status = 409
    code = "limit_configured"
    type = "invalid_request_error"


class NewLimit(Limit, frozen=True, kw_only=True):
    """A limit that shall be made, in the words of the configuration file."""

    name: Name


class LimitPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be different about a limit; what is left out stays. `per` and `project` stay: that is another one."""

    name: Name | UnsetType = UNSET
    keys: Patterns | UnsetType = UNSET
    users: Patterns | UnsetType = UNSET
    teams: Patterns | UnsetType = UNSET
    models: Patterns | UnsetType = UNSET
    routes: Patterns | UnsetType = UNSET
    rpm: int | UnsetType = UNSET
    tpm: int | UnsetType = UNSET
    concurrency: int | UnsetType = UNSET
    burst: int | UnsetType = UNSET
    when_away: Literal["allow", "refuse"] | UnsetType = UNSET


class LimitAnswer(Limit, frozen=True, kw_only=True):
    """A limit."""

    id: str
    name: str
    configured: bool
    """It stands in the configuration file, and is changed there."""


class LimitList(msgspec.Struct, frozen=True):
    """Limits: first those of the configuration file, then the newest."""

    limits: list[LimitAnswer]
    next_before: str | None = None
    """For `before`, if there are more."""


class LimitRules:
    """`told` is awaited after each change: then every worker has heard, or will as soon as it can."""

    def __init__(
        self,
        records: Records,
        configured: Mapping[str, LimitRule],
        told: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._records = records
        self._configured = configured
        self._told = told
        self._clock = clock

    async def create(self, wanted: NewLimit, admin: Admin) -> LimitAnswer:
        """Make a limit; it counts from now on."""
        if admin.within and wanted.project != admin.within:
            raise Forbidden(f"this key administrates the project {admin.within!r} alone", param="project")
        now_us = self._clock.now_us()
        limit = Limit(**{field: getattr(wanted, field) for field in Limit.__struct_fields__})
        rule = LimitRule(f"lim_{now_us // 1000:012x}{secrets.token_hex(4)}", wanted.name, limit)
        _check(rule)
        act = Act(actor=admin.name, at_us=now_us, within=admin.within)
        await self._records.query(lambda database: _create(database, rule, act))
        await self._told()
        return _answer(rule, configured=False)

    async def change(self, limit_id: str, patch: LimitPatch, admin: Admin) -> LimitAnswer:
        """Write what shall be different. What was taken in the last minute stays taken."""
        self._check_ours(limit_id)
        given = {
            field: value
            for field in LimitPatch.__struct_fields__
            if (value := getattr(patch, field)) is not UNSET
        }
        name = given.pop("name", None)

        def decide(before: LimitRule) -> LimitRule:
            limit = msgspec.structs.replace(before.limit, **given)
            after = LimitRule(before.id, name or before.name, limit)
            _check(after)
            return after

        act = Act(actor=admin.name, at_us=self._clock.now_us(), within=admin.within)
        return await self._changed(limit_id, lambda database: _change(database, limit_id, decide, act))

    async def delete(self, limit_id: str, admin: Admin) -> LimitAnswer:
        """End a limit."""
        self._check_ours(limit_id)
        act = Act(actor=admin.name, at_us=self._clock.now_us(), within=admin.within)
        return await self._changed(limit_id, lambda database: _delete(database, limit_id, act))

    async def get(self, limit_id: str, admin: Admin) -> LimitAnswer:
        """Return a limit."""
        for answer in (await self.list(admin)).limits:
            if answer.id == limit_id:
                return answer
        raise _unknown(limit_id)

    async def list(self, admin: Admin, which: Turning = ALL) -> LimitList:
        """Return the limits that may be seen by who asks."""
        found = await self._records.query(read) if self._records.there else ()
        answers = [_answer(rule, configured=True) for rule in self._configured.values()]
        answers += [_answer(rule, configured=False) for rule in reversed(found)]
        return LimitList(*which.page([one for one in answers if admin.within in ("", one.project)]))

    async def _changed(self, limit_id: str, work: Callable[[Database], LimitRule | None]) -> LimitAnswer:
        rule = await self._records.query(work) if self._records.there else None
        if rule is None:
            raise _unknown(limit_id)
        await self._told()
        return _answer(rule, configured=False)

    def _check_ours(self, limit_id: str) -> None:
        if limit_id in self._configured:
            raise LimitConfigured(f"the limit {limit_id!r} stands in the configuration file: change it there")


def read(database: Database) -> tuple[LimitRule, ...]:
    """Return all limits of the control records, by age. Raises ControlAway."""
    with database.read() as session:
        return tuple(_rule.decode(rule) for (rule,) in session.run("select rule from limits order by id"))


def _create(database: Database, rule: LimitRule, act: Act) -> None:
    with database.write() as session:
        ((count,),) = session.run("select count(*) from limits")
        if count >= MOST_RULES:
            raise BadRequest(f"there are {MOST_RULES} limits already: use patterns", code="too_many")
        project = rule.limit.project
        revision = log(session, act, "limit.create", rule.id, project, _flat(rule))
        session.run(
            "insert into limits (id, revision, project, rule, created_us) values (?, ?, ?, ?, ?)",
            *(rule.id, revision, project, _text(rule), act.at_us),
        )


def _change(
    database: Database, limit_id: str, decide: Callable[[LimitRule], LimitRule], act: Act
) -> LimitRule | None:
    with database.write() as session:
        before = _find(session, limit_id, act.within)
        if before is None:
            return None
        after = decide(before)
        old, new = _flat(before), _flat(after)
        told = {name: [old[name], new[name]] for name in old if old[name] != new[name]}
        if told:
            revision = log(session, act, "limit.change", limit_id, before.limit.project, told)
            session.run(
                "update limits set revision = ?, rule = ? where id = ?", revision, _text(after), limit_id
            )
        return after


def _delete(database: Database, limit_id: str, act: Act) -> LimitRule | None:
    with database.write() as session:
        before = _find(session, limit_id, act.within)
        if before is not None:
            log(session, act, "limit.delete", limit_id, before.limit.project, _flat(before))
            session.run("delete from limits where id = ?", limit_id)
        return before


def _find(session: Session, limit_id: str, within: str) -> LimitRule | None:
    rows = session.run("select rule from limits where id = ? and ? in ('', project)", limit_id, within)
    return _rule.decode(rows[0][0]) if rows else None


def _check(rule: LimitRule) -> None:
    """Raise BadRequest for what makes no sense."""
    for field, text in (("name", rule.name), ("project", rule.limit.project)):
        check_text(field, text)
    for field in _PATTERNS:
        for pattern in getattr(rule.limit, field):
            check_text(field, pattern)
    if len(_text(rule)) > MOST_BYTES:
        raise BadRequest(f"a limit may have {MOST_BYTES} bytes", code="invalid_value")
    for field, what, remedy in limit_faults(rule.limit):
        raise BadRequest(f"{field}: {what}. {remedy}", code="invalid_value", param=field)


def _answer(rule: LimitRule, *, configured: bool) -> LimitAnswer:
    return LimitAnswer(
        id=rule.id, name=rule.name, configured=configured, **msgspec.structs.asdict(rule.limit)
    )


def _flat(rule: LimitRule) -> dict[str, object]:
    return {"name": rule.name, **msgspec.to_builtins(rule.limit)}


def _text(rule: LimitRule) -> str:
    return msgspec.json.encode(rule).decode()


def _unknown(limit_id: str) -> UnknownLimit:
    return UnknownLimit(f"there is no limit {limit_id!r} that you may see", param="id")
