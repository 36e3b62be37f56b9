"""Everything that can be done with people: checked here, written by the store, told to the workers."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable

import msgspec
from msgspec import UNSET

from gateway.clock import Clock
from gateway.control import people_store
from gateway.control.keys import Admin, check_text
from gateway.control.migrate import MigrationError
from gateway.control.passwords import Passwords
from gateway.control.people_records import Person
from gateway.control.people_words import (
    Me,
    MePatch,
    NewPerson,
    PersonAnswer,
    PersonList,
    PersonPatch,
    person_answer,
)
from gateway.control.records_thread import Records
from gateway.control.store import ControlAway
from gateway.errors import BadRequest, Forbidden, GatewayError
from gateway.principal import PERSON_ID, Principal
from gateway.roles import EVERYWHERE, Role, role_in

logger = logging.getLogger(__name__)


class UnknownPerson(GatewayError):
    """Nobody of this id or address, or nobody who may be seen by who asks."""

    status = 404
    code = "user_not_found"
    type = "invalid_request_error"


class AddressTaken(GatewayError):
    """Somebody signs in with it already."""

    status = 409
    code = "email_taken"
    type = "invalid_request_error"


class People:
    """`told` is awaited after each change: then every worker has heard, or will as soon as it can."""

    def __init__(
        self,
        records: Records,
        told: Callable[[], Awaitable[None]],
        clock: Clock,
        passwords: Passwords,
    ) -> None:
        self._records = records
        self._told = told
        self._clock = clock
        self._passwords = passwords

    async def create(self, wanted: NewPerson, admin: Admin, *, subject: str = "") -> PersonAnswer:
        """Let somebody sign in from now on."""
        _check_roles({}, dict(wanted.roles), admin)
        for field in ("email", "name"):
            check_text(field, getattr(wanted, field))
        now_us = self._clock.now_us()
        person = Person(
            id=f"{PERSON_ID}{now_us // 1000:012x}{secrets.token_hex(4)}",
            email=wanted.email.lower(),
            name=wanted.name,
            password=await self._passwords.hash(wanted.password) if wanted.password else "",
            subject=subject,
            roles=dict(wanted.roles),
            created_us=now_us,
            project=people_store.home(wanted.roles),
        )
        act = admin.act(now_us)
        made = await self._records.query(lambda database: people_store.add(database, person, act))
        if made is None:
            raise AddressTaken(f"{person.email} signs in already: change that user", param="email")
        await self._told()
        return person_answer(made, admin.within)

    async def make_first_owner(self, email: str, password: str) -> None:
        """Make the first user of all; nothing is done if there is one."""
        try:
            everybody = await self._records.query(people_store.everybody) if self._records.there else []
            if not everybody:
                await self.create(
                    NewPerson(email=email, roles={EVERYWHERE: "owner"}, password=password),
                    Admin("environment"),
                )
        except (GatewayError, ControlAway, MigrationError) as error:
            logger.warning("first_owner_not_made", extra={"error": str(error)})

    async def page(self, admin: Admin) -> PersonList:
        """Return who has a role in what this admin sees."""
        if not self._records.there:
            return PersonList([])
        found = await self._records.query(people_store.everybody)
        return PersonList([person_answer(one, admin.within) for one in found if _sees(admin, one)])

    async def get(self, key: str, admin: Admin) -> PersonAnswer:
        """Return somebody by id or address."""
        return person_answer(await self._find(key, admin), admin.within)

    async def change(self, key: str, patch: PersonPatch, admin: Admin) -> PersonAnswer:
        """Write what shall be different about somebody."""
        if patch.name is not UNSET:
            check_text("name", patch.name)
        password = await self._passwords.hash(patch.password) if patch.password else patch.password
        now_us = self._clock.now_us()

        def decide(person: Person) -> Person:
            if not _sees(admin, person) and patch.roles is UNSET:
                raise _unknown(key)
            roles = dict(person.roles)
            if patch.roles is not UNSET:
                roles = _merged(roles, patch.roles)
                _check_roles(person.roles, roles, admin)
            if (patch.name, password, patch.disabled) != (UNSET, UNSET, UNSET):
                _check_reach(person, admin)
            ended_us = person.disabled_us
            if patch.disabled is not UNSET:
                ended_us = (ended_us or now_us) if patch.disabled else 0
            project = person.project if role_in(roles, person.project) else people_store.home(roles)
            return msgspec.structs.replace(
                person,
                name=person.name if patch.name is UNSET else patch.name,
                password=person.password if password is UNSET else password,
                roles=roles,
                disabled_us=ended_us,
                project=project,
            )

        return person_answer(await self._changed(key, decide, admin, now_us), admin.within)

    async def me(self, principal: Principal) -> Me:
        """Say who asks."""
        plain = Me(
            key_id=principal.key_id,
            project=principal.project,
            environment=principal.environment,
            scopes=principal.scopes,
            owner=principal.owner,
            team=principal.team,
        )
        if not principal.key_id.startswith(PERSON_ID):
            return plain
        person = await self.myself(principal)
        return msgspec.structs.replace(
            plain, person=person_answer(person), role=role_in(person.roles, principal.project)
        )

    async def change_me(self, patch: MePatch, principal: Principal) -> Me:
        """Look elsewhere, or take another password: the former one has to be known."""
        before = await self.myself(principal)
        password: str | msgspec.UnsetType = UNSET
        if patch.password is not UNSET:
            if not await self._passwords.fits(patch.former_password, before.password):
                raise Forbidden(
                    "former_password: this is not it", code="wrong_password", param="former_password"
                )
            password = await self._passwords.hash(patch.password)
        for field in ("project", "environment", "name"):
            if (text := getattr(patch, field)) is not UNSET:
                check_text(field, text)

        def decide(person: Person) -> Person:
            project = person.project if patch.project is UNSET else patch.project
            if patch.project is not UNSET and role_in(person.roles, project) is None:
                raise Forbidden(f"you have no role in {project!r}", param="project")
            return msgspec.structs.replace(
                person,
                project=project,
                environment=person.environment if patch.environment is UNSET else patch.environment,
                name=person.name if patch.name is UNSET else patch.name,
                password=person.password if password is UNSET else password,
            )

        after = await self._changed(before.id, decide, Admin(before.email), self._clock.now_us())
        role = role_in(after.roles, after.project)
        return Me(
            key_id=after.id,
            project=after.project,
            environment=after.environment,
            scopes=principal.scopes,
            owner=after.email,
            team="",
            person=person_answer(after),
            role=role,
        )

    async def myself(self, principal: Principal) -> Person:
        """Return the person who asks; raise Forbidden for a key that is nobody's session."""
        if principal.key_id.startswith(PERSON_ID) and self._records.there:
            found = await self._records.query(lambda database: people_store.find(database, principal.key_id))
            if found is not None:
                return found
        raise Forbidden("sign in with your own name for this", code="no_person")

    async def _find(self, key: str, admin: Admin) -> Person:
        if self._records.there:
            found = await self._records.query(lambda database: people_store.find(database, key.lower()))
            if found is not None and _sees(admin, found):
                return found
        raise _unknown(key)

    async def _changed(
        self, key: str, decide: Callable[[Person], Person], admin: Admin, now_us: int
    ) -> Person:
        if not self._records.there:
            raise _unknown(key)
        act = admin.act(now_us)
        after = await self._records.query(
            lambda database: people_store.change(database, key.lower(), decide, act)
        )
        if after is None:
            raise _unknown(key)
        await self._told()
        return after


def _merged(roles: dict[str, Role], patch: dict[str, Role | None]) -> dict[str, Role]:
    together = {**roles, **patch}
    return {project: role for project, role in together.items() if role is not None}


def _check_roles(before: dict[str, Role], after: dict[str, Role], admin: Admin) -> None:
    """Raise for roles that nobody has, or that this admin may not give or take."""
    if any(role == "owner" and project != EVERYWHERE for project, role in after.items()):
        raise BadRequest("roles: an owner is one of all projects: {'*': 'owner'}", param="roles")
    if "service" in after.values():
        raise BadRequest("roles: a service does not sign in: make a key for it", param="roles")
    for project in before.keys() | after.keys():
        check_text("roles", project)
        if before.get(project) != after.get(project):
            admin.check_project(project, param="roles")


def _check_reach(person: Person, admin: Admin) -> None:
    """Raise Forbidden for somebody who may also do something where this admin may not."""
    if admin.within and set(person.roles) != {admin.within}:
        raise Forbidden("this user has roles elsewhere, too: only an owner may do that", param="id")


def _sees(admin: Admin, person: Person) -> bool:
    return not admin.within or admin.within in person.roles


def _unknown(key: str) -> UnknownPerson:
    return UnknownPerson(f"there is no user {key!r} that you may see", param="id")
