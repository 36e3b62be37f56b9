"""Makes the records as somebody declared them: all of it in one transaction, or nothing.

Each difference goes through the same services as a request of the admin API, over a database that lies inside the
transaction. So it is checked in the same way and leaves the same lines in the audit log; a dry run does all of it and
takes it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from gateway.control.apply_words import Applied, Change, Fault, Order
from gateway.control.asking import Asked, Routes, body
from gateway.control.audit import lines_after
from gateway.control.database import Database, Session
from gateway.control.declaring import Declaring
from gateway.control.keys import Admin
from gateway.control.openapi import Operation
from gateway.control.records_thread import Records
from gateway.control.services import Means, Told, services
from gateway.control.sql_store import SqlStore
from gateway.control.store import ControlStore
from gateway.control.words import audit_answer
from gateway.errors import GatewayError

MOST_BYTES = 1024 * 1024

T = TypeVar("T")


class NotApplied(GatewayError):
    """Something that was declared cannot be: nothing was changed."""

    status = 400
    code = "not_applied"
    type = "invalid_request_error"


class _TakenBack(Exception):
    """Ends the transaction without a trace."""


class Applying:
    """`told` is awaited after a transaction that changed something."""

    def __init__(self, records: Records, means: Means, told: Told) -> None:
        self._records = records
        self._means = means
        self._told = told

    async def apply(self, order: Order, admin: Admin) -> Applied:
        """Do what differs, or say what would be done; raise NotApplied."""
        done = await self._records.query(lambda database: self._transact(database, order, admin))
        if order.dry_run:
            return msgspec.structs.replace(done, issued=[])
        if done.faults:
            first, more = done.faults[0], len(done.faults) - 1
            also = f" (and {more} more: a dry run lists them)" if more else ""
            place = ".".join(first.path[:2])
            raise NotApplied(
                f"nothing was applied. {place}: {first.message}{also}", param=".".join(first.path)
            )
        if done.changes:
            await self._told()
        return done

    def _transact(self, database: Database, order: Order, admin: Admin) -> Applied:
        """Do it; in the thread of the records, which nobody else uses meanwhile."""
        done = Applied(changes=[], faults=[], issued=[])
        try:
            with database.write() as session:
                records = _Inside(session, database.dialect)
                declaring = Declaring(
                    order, admin, services(records, self._means, _nobody, _nobody), records, done.issued
                )
                asyncio.run(_run(declaring, session, done))
                if order.dry_run or done.faults:
                    raise _TakenBack
        except _TakenBack:
            pass
        return done


async def _run(declaring: Declaring, session: Session, done: Applied) -> None:
    """Take step after step, also after one that cannot be taken: so that all mistakes are found at once."""
    async for path, name, step in declaring.steps():
        ((before,),) = session.run("select revision from control")
        try:
            await step
        except GatewayError as error:
            field = (error.param,) if error.param not in ("", "id") else ()
            done.faults.append(Fault(path=(*path, *field), message=str(error), code=error.code))
            continue
        for line in map(audit_answer, lines_after(session, before)):
            change = Change(
                section=path[0],
                name=name,
                action=line.action,
                target=line.target,
                project=line.project,
                details=line.details,
            )
            done.changes.append(change)


async def _nobody() -> None:
    """Tell nobody yet: it is not written."""


class _Inside:
    """Records, as they are inside an open transaction: what is written there is seen at once, and may be taken back."""

    there = True

    def __init__(self, session: Session, dialect: str) -> None:
        self._database = _Joined(session, dialect)
        self._store = SqlStore(self._database)

    async def do(self, work: Callable[[ControlStore], T]) -> T:
        return work(self._store)

    async def query(self, work: Callable[[Database], T]) -> T:
        return work(self._database)


class _Joined:
    """A database whose transactions are all this one."""

    def __init__(self, session: Session, dialect: str) -> None:
        self._session = session
        self.dialect = dialect

    @contextmanager
    def write(self) -> Iterator[Session]:
        yield self._session

    read = write

    def close(self) -> None:
        """Leave that to whoever began the transaction."""


async def _apply(applying: Applying, asked: Asked) -> object:
    return await applying.apply(body(asked, Order), asked.admin)


ROUTES: Routes = {
    Operation(
        "POST",
        "/api/apply",
        "Make the records as declared: all of it, or nothing.",
        Order,
        Applied,
        most_bytes=MOST_BYTES,
    ): _apply
}
