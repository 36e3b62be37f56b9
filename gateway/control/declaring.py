"""The steps from the records as they are to the records as somebody declared them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import UNSET

from gateway.control import people_store
from gateway.control.apply_words import DeclaredUser, Order
from gateway.control.budget_words import BudgetAnswer, BudgetPatch, NewBudget
from gateway.control.credentials import NewCredential
from gateway.control.keys import Admin
from gateway.control.limit_rules import LimitAnswer, LimitPatch, NewLimit
from gateway.control.people_records import Person
from gateway.control.people_words import NewPerson, NewProject, NewTeam, PersonPatch, TeamPatch
from gateway.control.pruning import Pruning, Step, check_owner, living_keys
from gateway.control.records import Key
from gateway.control.records_thread import Records
from gateway.control.services import Services
from gateway.control.words import IssuedKey, KeyPatch, NewKey, Rotation, microseconds
from gateway.errors import BadRequest
from gateway.settings import Budget, Limit


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def project(self) -> str: ...


Place = tuple[str, str]
"""Project and name."""

T = TypeVar("T", bound=_Named)
P = TypeVar("P", LimitPatch, BudgetPatch)


class Declaring:
    """Knows what follows from what: people need their projects, teams their people. `issued` gets the new keys."""

    def __init__(
        self, order: Order, admin: Admin, services: Services, records: Records, issued: list[IssuedKey]
    ) -> None:
        self._wanted = order.wanted
        self._prune = order.prune
        self._admin = admin
        self._do = services
        self._records = records
        self._issued = issued
        self._met: set[tuple[str, ...]] = set()

    async def steps(self) -> AsyncIterator[Step]:
        """Yield them; each has to be done before the next is asked for."""
        wanted = self._wanted
        for name, project in (wanted.projects or {}).items():
            yield Step(("projects", name), name, self._project(name, project.environments))
        for email, user in (wanted.users or {}).items():
            yield Step(("users", email), email, self._user(email.lower(), user))
        teams = _by_place((await self._do.teams.page("", self._admin)).teams if wanted.teams else ())
        for number, team in enumerate(wanted.teams or ()):
            yield Step(("teams", str(number)), team.name, self._team(team, teams))
        keys = _by_place(await living_keys(self._records, self._admin) if wanted.keys else ())
        for number, key in enumerate(wanted.keys or ()):
            yield Step(("keys", str(number)), key.name, self._key(key, keys))
        limits = _by_place((await self._do.limits.list(self._admin)).limits if wanted.limits else ())
        for name, limit in (wanted.limits or {}).items():
            yield Step(("limits", name), name, self._limit(name, limit, limits))
        budgets = _by_place((await self._do.budgets.list(self._admin)).budgets if wanted.budgets else ())
        for name, budget in (wanted.budgets or {}).items():
            yield Step(("budgets", name), name, self._budget(name, budget, budgets))
        for provider, credential in (wanted.credentials or {}).items():
            yield Step(("credentials", provider), provider, self._credential(provider, credential.secret))
        if self._prune:
            async for step in Pruning(wanted, self._admin, self._do, self._records).steps():
                yield step

    async def _project(self, name: str, environments: tuple[str, ...]) -> None:
        await self._do.teams.make_project(NewProject(id=name, environments=environments), self._admin)

    async def _user(self, email: str, user: DeclaredUser) -> None:
        self._meet("users", email)
        before = await self._records.query(lambda database: people_store.find(database, email))
        if before is None:
            new = NewPerson(email=email, name=user.name or "", roles=user.roles)
            made = await self._do.people.create(new, self._admin)
            if user.disabled:
                await self._do.people.change(made.id, PersonPatch(disabled=True), self._admin)
        elif patch := self._user_patch(before, user):
            await self._do.people.change(email, PersonPatch(**patch), self._admin)

    def _user_patch(self, before: Person, user: DeclaredUser) -> dict[str, Any]:
        """Return what is different, as far as who asks may know."""
        within = self._admin.within
        had = {project: role for project, role in before.roles.items() if within in ("", project)}
        roles = dict.fromkeys(had.keys() - user.roles.keys()) | {
            project: role for project, role in user.roles.items() if had.get(project) != role
        }
        patch: dict[str, Any] = {"roles": roles} if roles else {}
        if user.name is not None and before.name != user.name:
            patch["name"] = user.name
        if bool(before.disabled_us) != user.disabled:
            patch["disabled"] = user.disabled
        return patch

    async def _team(self, team: NewTeam, teams: Mapping[Place, object]) -> None:
        self._meet("teams", team.project, team.name)
        if (team.project, team.name) in teams:
            patch = TeamPatch(members=team.members)
            await self._do.teams.change(team.name, team.project, patch, self._admin)
        else:
            await self._do.teams.create(team, self._admin)

    async def _key(self, wanted: NewKey, keys: Mapping[Place, list[Key]]) -> None:
        self._meet("keys", wanted.project, wanted.name)
        before = _only(keys, wanted.name, wanted.project)
        if before is None:
            self._issued.append(await self._do.keys.create(wanted, self._admin))
            return
        if wanted.environment != before.environment:
            raise BadRequest(
                f"environment: this key is one of {before.environment!r}, and stays it: give another key another name",
                code="invalid_value",
                param="environment",
            )
        fields = {field: getattr(wanted, field) for field in KeyPatch.__struct_fields__}
        ends_us = microseconds(wanted.expires_at) if wanted.expires_at is not None else 0
        if ends_us == before.expires_us:
            fields["expires_at"] = UNSET
        await self._do.keys.change(before.id, KeyPatch(**fields), self._admin)
        if wanted.hash and wanted.hash.lower() != before.secrets[-1].digest:
            await self._do.keys.rotate(before.id, Rotation(hash=wanted.hash), self._admin)

    async def _limit(self, name: str, wanted: Limit, limits: Mapping[Place, list[LimitAnswer]]) -> None:
        before = _only(limits, name, wanted.project)
        if before is not None and before.per == wanted.per:
            patch = _patch(LimitPatch, wanted)
            await self._do.limits.change(before.id, patch, self._admin)
            return
        if before is not None:
            await self._do.limits.delete(before.id, self._admin)
        await self._do.limits.create(NewLimit(name=name, **msgspec.structs.asdict(wanted)), self._admin)

    async def _budget(self, name: str, wanted: Budget, budgets: Mapping[Place, list[BudgetAnswer]]) -> None:
        before = _only(budgets, name, wanted.project)
        if before is not None and (before.per, before.match) == (wanted.per, wanted.match):
            patch = _patch(BudgetPatch, wanted)
            await self._do.budgets.change(before.id, patch, self._admin)
            return
        if before is not None:
            await self._do.budgets.delete(before.id, self._admin)
        await self._do.budgets.create(NewBudget(name=name, **msgspec.structs.asdict(wanted)), self._admin)

    async def _credential(self, provider: str, secret: str) -> None:
        check_owner(self._admin)
        if not await self._do.credentials.holds(provider, secret):
            await self._do.credentials.put(provider, NewCredential(secret), self._admin)

    def _meet(self, *identity: str) -> None:
        """Raise BadRequest for what was declared before."""
        if identity in self._met:
            raise BadRequest("declared twice: keep one of them", code="declared_twice")
        self._met.add(identity)


def _by_place(found: Iterable[T]) -> dict[Place, list[T]]:
    """Return the ones that may be changed here, by what they are declared by."""
    places: dict[Place, list[T]] = {}
    for one in found:
        if not getattr(one, "configured", False):
            places.setdefault((one.project, one.name), []).append(one)
    return places


def _only(found: Mapping[Place, list[T]], name: str, project: str) -> T | None:
    """Return the one of this name in the project, if there is one; raise BadRequest if there are several."""
    fitting = found.get((project, name), [])
    if len(fitting) > 1:
        raise BadRequest(
            f"there are {len(fitting)} called {name!r} in {project or 'no project'!r}: rename or end all but one",
            code="ambiguous_name",
        )
    return next(iter(fitting), None)


def _patch(kind: type[P], wanted: Limit | Budget) -> P:
    """Return a patch with all that may be changed; the name stays."""
    return kind(**{field: getattr(wanted, field) for field in kind.__struct_fields__ if field != "name"})
