"""Ends what is not declared, in the sections that are. Projects stay: calls were counted there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

from gateway.control.apply_words import Wanted
from gateway.control.keys import Admin
from gateway.control.people_words import PersonAnswer, PersonPatch
from gateway.control.records import Key, Narrowing
from gateway.control.records_thread import Records
from gateway.control.services import Services
from gateway.control.store import ControlStore
from gateway.errors import BadRequest, Forbidden
from gateway.settings import Budget, Limit

_PAGE = 1000


class Step(NamedTuple):
    """One thing to do. `path`: of what is declared, or the section alone for what is not."""

    path: tuple[str, ...]
    name: str
    do: Awaitable[object]


class Rule(Protocol):
    """A limit or a budget."""

    @property
    def name(self) -> str:
        """What lists call it."""
        ...

    @property
    def project(self) -> str:
        """Whose calls it is about; empty: all."""
        ...

    @property
    def configured(self) -> bool:
        """It stands in the configuration file, and is changed there."""
        ...


class Pruning:
    """Who asks ends neither their own key nor themselves."""

    def __init__(self, wanted: Wanted, admin: Admin, services: Services, records: Records) -> None:
        self._wanted = wanted
        self._admin = admin
        self._do = services
        self._records = records

    async def steps(self) -> AsyncIterator[Step]:
        """Yield them; each has to be done before the next is asked for."""
        wanted = self._wanted
        parts: tuple[tuple[object, Callable[[], AsyncIterator[Step]]], ...] = (
            (wanted.keys, self._keys),
            (wanted.limits, self._limits),
            (wanted.budgets, self._budgets),
            (wanted.teams, self._teams),
            (wanted.users, self._users),
            (wanted.credentials, self._credentials),
        )
        for section, steps in parts:
            if section is not None:
                async for step in steps():
                    yield step

    async def _keys(self) -> AsyncIterator[Step]:
        named = {(key.project, key.name) for key in self._wanted.keys or ()}
        for key in await living_keys(self._records, self._admin):
            if (key.project, key.name) not in named:
                yield Step(("keys",), key.name, self._revoke(key))

    async def _limits(self) -> AsyncIterator[Step]:
        for one in (await self._do.limits.list(self._admin)).limits:
            if _undeclared(self._wanted.limits, one):
                yield Step(("limits",), one.name, self._do.limits.delete(one.id, self._admin))

    async def _budgets(self) -> AsyncIterator[Step]:
        for one in (await self._do.budgets.list(self._admin)).budgets:
            if _undeclared(self._wanted.budgets, one):
                yield Step(("budgets",), one.name, self._do.budgets.delete(one.id, self._admin))

    async def _teams(self) -> AsyncIterator[Step]:
        named = {(team.project, team.name) for team in self._wanted.teams or ()}
        for one in (await self._do.teams.page("", self._admin)).teams:
            if (one.project, one.name) not in named:
                yield Step(("teams",), one.name, self._do.teams.delete(one.name, one.project, self._admin))

    async def _users(self) -> AsyncIterator[Step]:
        emails = {email.lower() for email in self._wanted.users or ()}
        for one in (await self._do.people.page(self._admin)).people:
            if one.email not in emails and not one.disabled_at:
                yield Step(("users",), one.email, self._lock_out(one))

    async def _credentials(self) -> AsyncIterator[Step]:
        for one in (await self._do.credentials.page()).credentials:
            if one.provider not in (self._wanted.credentials or {}):
                yield Step(("credentials",), one.provider, self._forget(one.provider))

    async def _revoke(self, key: Key) -> None:
        if key.id == self._admin.name:
            raise BadRequest("this key asks: declare it, or ask with another one", code="own_key")
        await self._do.keys.revoke(key.id, self._admin)

    async def _lock_out(self, person: PersonAnswer) -> None:
        """Disable somebody; who administrates one project only can take what role they have there."""
        if person.email == self._admin.name:
            raise BadRequest("this is you: declare yourself", code="own_user")
        within = self._admin.within
        if not within or within in person.roles:
            patch = PersonPatch(roles={within: None}) if within else PersonPatch(disabled=True)
            await self._do.people.change(person.email, patch, self._admin)

    async def _forget(self, provider: str) -> None:
        check_owner(self._admin)
        await self._do.credentials.delete(provider, self._admin)


async def living_keys(records: Records, admin: Admin) -> list[Key]:
    """Return the keys that were not revoked and are nobody's own."""
    found: list[Key] = []
    which = Narrowing(project=admin.within, limit=_PAGE)
    while True:
        page = await records.do(_reading(which))
        found += [key for key in page if not key.revoked_us and not key.person]
        if len(page) < _PAGE:
            return found
        which = Narrowing(project=admin.within, limit=_PAGE, before=page[-1].id)


def check_owner(admin: Admin) -> None:
    """Raise Forbidden for who administrates one project only."""
    if admin.within:
        raise Forbidden("credentials are for all projects: only an owner may do that")


def _reading(which: Narrowing) -> Callable[[ControlStore], list[Key]]:
    return lambda store: store.keys(which)


def _undeclared(declared: Mapping[str, Limit] | Mapping[str, Budget] | None, one: Rule) -> bool:
    wanted: Any = (declared or {}).get(one.name)
    return not one.configured and (wanted is None or wanted.project != one.project)
