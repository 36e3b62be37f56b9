"""Keys that people make for themselves: they do no more than their owner, and end with what lets them do it."""

from __future__ import annotations

from msgspec import UNSET

from gateway.control.keys import Admin, Keys, UnknownKey
from gateway.control.people import People
from gateway.control.people_words import NewToken
from gateway.control.records import Narrowing
from gateway.control.words import IssuedKey, KeyAnswer, KeyPage, NewKey
from gateway.errors import Forbidden
from gateway.principal import Principal
from gateway.roles import ROLES, role_in


class Tokens:
    """What somebody may do with their own keys."""

    def __init__(self, keys: Keys, people: People) -> None:
        self._keys = keys
        self._people = people

    async def create(self, wanted: NewToken, principal: Principal) -> IssuedKey:
        """Make one; the answer is the only place where its secret ever stands."""
        person = await self._people.myself(principal)
        project = person.project if wanted.project is UNSET else wanted.project
        role = role_in(person.roles, project)
        if role is None:
            raise Forbidden(f"you have no role in {project!r}", param="project")
        if more := set(wanted.scopes) - set(ROLES[role]):
            raise Forbidden(f"{role} may not have the scopes {', '.join(sorted(more))}", param="scopes")
        key = NewKey(
            name=wanted.name,
            project=project,
            environment=person.environment if wanted.environment is UNSET else wanted.environment,
            owner=person.email,
            scopes=wanted.scopes,
            expires_at=wanted.expires_at,
        )
        return await self._keys.create(key, Admin(person.email), person=person.id)

    async def page(self, principal: Principal, *, before: str, limit: int) -> KeyPage:
        """Return somebody's own, newest first."""
        person = await self._people.myself(principal)
        which = Narrowing(person=person.id, before=before, limit=limit)
        return await self._keys.page(which, Admin(person.email))

    async def revoke(self, key_id: str, principal: Principal) -> KeyAnswer:
        """End one of them."""
        person = await self._people.myself(principal)
        mine = await self._keys.page(Narrowing(person=person.id, limit=1000), Admin(person.email))
        if key_id not in {key.id for key in mine.keys}:
            raise UnknownKey(f"there is no key {key_id!r} of yours", param="id")
        return await self._keys.revoke(key_id, Admin(person.email))
