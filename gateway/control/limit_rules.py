"""Everything that can be done with limits of the control records: checked here, with a line in the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from gateway.clock import Clock
from gateway.control.keys import Admin, check_text
from gateway.control.records_thread import Records
from gateway.control.rule_records import RuleRecords, RuleTable, text_of
from gateway.control.turning import ALL, Turning
from gateway.control.words import Name, given
from gateway.errors import BadRequest
from gateway.faults import limit_faults
from gateway.limits.rules import LimitRule
from gateway.settings import Limit

MOST_RULES = 1000
"""All of them together fit into one message to the workers, and each call is looked at by each."""
MOST_BYTES = 8 * 1024
"""Of one rule."""

_PATTERNS = ("keys", "users", "teams", "models", "routes")

Patterns = tuple[str, ...]


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


def _flat(rule: LimitRule) -> dict[str, object]:
    return {"name": rule.name, **msgspec.to_builtins(rule.limit)}


TABLE = RuleTable(LimitRule, "limit", "rule", most=MOST_RULES, flat=_flat)


class LimitRules:
    """`told` is awaited after each change: then every worker has heard, or will as soon as it can."""

    def __init__(
        self,
        records: Records,
        configured: Mapping[str, LimitRule],
        told: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._rules = RuleRecords(TABLE, records, configured, told, clock)
        self._configured = configured

    async def create(self, wanted: NewLimit, admin: Admin) -> LimitAnswer:
        """Make a limit; it counts from now on."""
        admin.check_project(wanted.project)
        limit = Limit(**{field: getattr(wanted, field) for field in Limit.__struct_fields__})
        rule = LimitRule(self._rules.new_id(), wanted.name, limit)
        _check(rule)
        await self._rules.create(rule, admin)
        return self._answer(rule)

    async def change(self, limit_id: str, patch: LimitPatch, admin: Admin) -> LimitAnswer:
        """Write what shall be different. What was taken in the last minute stays taken."""
        fields = given(patch)
        name = fields.pop("name", None)

        def decide(before: LimitRule) -> LimitRule:
            limit = msgspec.structs.replace(before.limit, **fields)
            after = LimitRule(before.id, name or before.name, limit)
            _check(after)
            return after

        return self._answer(await self._rules.change(limit_id, decide, admin))

    async def delete(self, limit_id: str, admin: Admin) -> LimitAnswer:
        """End a limit."""
        return self._answer(await self._rules.delete(limit_id, admin))

    async def get(self, limit_id: str, admin: Admin) -> LimitAnswer:
        """Return a limit."""
        for answer in (await self.list(admin)).limits:
            if answer.id == limit_id:
                return answer
        raise self._rules.unknown(limit_id)

    async def list(self, admin: Admin, which: Turning = ALL) -> LimitList:
        """Return the limits that may be seen by who asks."""
        answers = [self._answer(rule) for rule in await self._rules.all()]
        return LimitList(*which.page([one for one in answers if admin.within in ("", one.project)]))

    def _answer(self, rule: LimitRule) -> LimitAnswer:
        return LimitAnswer(
            id=rule.id,
            name=rule.name,
            configured=rule.id in self._configured,
            **msgspec.structs.asdict(rule.limit),
        )


def _check(rule: LimitRule) -> None:
    """Raise BadRequest for what makes no sense."""
    for field, text in (("name", rule.name), ("project", rule.limit.project)):
        check_text(field, text)
    for field in _PATTERNS:
        for pattern in getattr(rule.limit, field):
            check_text(field, pattern)
    if len(text_of(rule)) > MOST_BYTES:
        raise BadRequest(f"a limit may have {MOST_BYTES} bytes", code="invalid_value")
    for field, what, remedy in limit_faults(rule.limit):
        raise BadRequest(f"{field}: {what}. {remedy}", code="invalid_value", param=field)
