"""Rules in the control records, limits and budgets: one table of JSON for each kind, and what is done with it.

Every change is one transaction with a line in the audit log, whose revision is the rule's.
"""
# ruff: noqa: S608 - the names of tables and columns are ours, and values go apart

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, Protocol, TypeVar

import msgspec

from gateway.clock import Clock
from gateway.control.audit import log
from gateway.control.database import Database, Session
from gateway.control.keys import Admin
from gateway.control.records import Act
from gateway.control.records_thread import Records
from gateway.errors import BadRequest, GatewayError


class Rule(Protocol):
    """What all kinds have in common."""

    @property
    def id(self) -> str:
        """Sorts by the moment it was made."""
        ...

    @property
    def project(self) -> str:
        """The only project it is for; empty: all."""
        ...


R = TypeVar("R", bound=Rule)


class UnknownRule(GatewayError):
    """No limit or budget of this id, or none that may be seen by who asks."""

    status = 404
    type = "invalid_request_error"


class RuleConfigured(GatewayError):
    """It stands in the configuration file, and is changed there."""

    status = 409
    type = "invalid_request_error"


class RuleTable(Generic[R]):
    """The rules of one kind: `word` is what one is called, `column` holds it, `flat` is what the audit log tells."""

    def __init__(
        self, kind: type[R], word: str, column: str, *, most: int, flat: Callable[[R], dict[str, object]]
    ) -> None:
        self.word = word
        self.most = most
        self._table = f"{word}s"
        self._column = column
        self._flat = flat
        self._decoder = msgspec.json.Decoder(kind)

    def read(self, database: Database) -> tuple[R, ...]:
        """Return all of them, by age. Raises ControlAway."""
        with database.read() as session:
            rows = session.run(f"select {self._column} from {self._table} order by id")
            return tuple(self._decoder.decode(text) for (text,) in rows)

    def find(self, session: Session, rule_id: str, within: str) -> R | None:
        """Return the rule if it may be seen from this project."""
        rows = session.run(
            f"select {self._column} from {self._table} where id = ? and ? in ('', project)", rule_id, within
        )
        return self._decoder.decode(rows[0][0]) if rows else None

    def create(self, database: Database, rule: R, act: Act) -> None:
        """Write a new rule; raise BadRequest if there are too many."""
        with database.write() as session:
            ((count,),) = session.run(f"select count(*) from {self._table}")
            if count >= self.most:
                raise BadRequest(
                    f"there are {self.most} {self._table} already: use patterns", code="too_many"
                )
            revision = log(session, act, f"{self.word}.create", rule.id, rule.project, self._flat(rule))
            session.run(
                f"insert into {self._table} (id, revision, project, {self._column}, created_us)"
                " values (?, ?, ?, ?, ?)",
                *(rule.id, revision, rule.project, text_of(rule), act.at_us),
            )

    def change(self, database: Database, rule_id: str, decide: Callable[[R], R], act: Act) -> R | None:
        """Write what a rule shall be from now on; None if there is no such rule."""
        with database.write() as session:
            before = self.find(session, rule_id, act.within)
            if before is None:
                return None
            after = decide(before)
            old, new = self._flat(before), self._flat(after)
            told = {name: [old[name], new[name]] for name in old if old[name] != new[name]}
            if told:
                revision = log(session, act, f"{self.word}.change", rule_id, before.project, told)
                session.run(
                    f"update {self._table} set revision = ?, {self._column} = ? where id = ?",
                    *(revision, text_of(after), rule_id),
                )
            return after

    def delete(self, database: Database, rule_id: str, act: Act) -> R | None:
        """End a rule, and return it; None if there is no such rule."""
        with database.write() as session:
            before = self.find(session, rule_id, act.within)
            if before is not None:
                log(session, act, f"{self.word}.delete", rule_id, before.project, self._flat(before))
                session.run(f"delete from {self._table} where id = ?", rule_id)
            return before


class RuleRecords(Generic[R]):
    """A table as the admin API changes it.

    `told` is awaited after each change: then every worker has heard, or will as soon as it can.
    """

    def __init__(
        self,
        table: RuleTable[R],
        records: Records,
        configured: Mapping[str, R],
        told: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._table = table
        self._records = records
        self._configured = configured
        self._told = told
        self._clock = clock

    def new_id(self) -> str:
        """Return an id that sorts by its moment: 12 digits of milliseconds, 8 random ones."""
        return f"{self._table.word[:3]}_{self._clock.now_us() // 1000:012x}{secrets.token_hex(4)}"

    async def create(self, rule: R, admin: Admin) -> None:
        """Write a new rule."""
        act = admin.act(self._clock.now_us())
        await self._records.query(lambda database: self._table.create(database, rule, act))
        await self._told()

    async def change(self, rule_id: str, decide: Callable[[R], R], admin: Admin) -> R:
        """Write what a rule shall be from now on."""
        act = admin.act(self._clock.now_us())
        return await self._changed(
            rule_id, lambda database: self._table.change(database, rule_id, decide, act)
        )

    async def delete(self, rule_id: str, admin: Admin) -> R:
        """End a rule, and return what it was."""
        act = admin.act(self._clock.now_us())
        return await self._changed(rule_id, lambda database: self._table.delete(database, rule_id, act))

    async def all(self) -> tuple[R, ...]:
        """Return those of the configuration file, then the newest."""
        found = await self._records.query(self._table.read) if self._records.there else ()
        return (*self._configured.values(), *reversed(found))

    def unknown(self, rule_id: str) -> UnknownRule:
        """Return how to say that there is no such rule."""
        word = self._table.word
        return UnknownRule(
            f"there is no {word} {rule_id!r} that you may see", code=f"{word}_not_found", param="id"
        )

    async def _changed(self, rule_id: str, work: Callable[[Database], R | None]) -> R:
        word = self._table.word
        if rule_id in self._configured:
            raise RuleConfigured(
                f"the {word} {rule_id!r} stands in the configuration file: change it there",
                code=f"{word}_configured",
            )
        found = await self._records.query(work) if self._records.there else None
        if found is None:
            raise self.unknown(rule_id)
        await self._told()
        return found


def text_of(rule: object) -> str:
    """Return a rule as it lies in its table."""
    return msgspec.json.encode(rule).decode()
