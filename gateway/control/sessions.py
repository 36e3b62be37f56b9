"""Lets people in: by e-mail address and password, or as the configured issuer says who they are."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from gateway import people_calls as calls
from gateway.clock import Clock
from gateway.control import people_store
from gateway.control.keys import Admin
from gateway.control.migrate import MigrationError
from gateway.control.oidc import BadSignIn, Issuer
from gateway.control.passwords import Passwords
from gateway.control.people import People
from gateway.control.people_records import Person
from gateway.control.people_words import MePatch, NewPerson, PersonPatch
from gateway.control.records import Act, Secret
from gateway.control.records_thread import RecordsThread
from gateway.control.store import ControlAway
from gateway.control.throttle import Throttle
from gateway.errors import GatewayError, Unauthenticated
from gateway.link import CallFailed
from gateway.principal import Principal
from gateway.roles import role_in

WINDOW_S = 15 * 60
MOST_OF_ACCOUNT = 10
MOST_OF_ADDRESS = 50
"""Failures within the window: a house behind one address has more people than an account has passwords."""

_PREFIX_CHARS = 8

T = TypeVar("T")


class Sessions:
    """What workers ask for over the link. `issuer` None: passwords only."""

    def __init__(
        self,
        records: RecordsThread,
        told: Callable[[], Awaitable[None]],
        clock: Clock,
        passwords: Passwords,
        people: People,
        issuer: Issuer | None = None,
    ) -> None:
        self._records = records
        self._told = told
        self._clock = clock
        self._passwords = passwords
        self._people = people
        self._issuer = issuer
        self._accounts = Throttle(clock, most=MOST_OF_ACCOUNT, window_s=WINDOW_S)
        self._addresses = Throttle(clock, most=MOST_OF_ADDRESS, window_s=WINDOW_S)
        self.handlers: Mapping[str, Callable[[Any], Awaitable[object]]] = {
            calls.SIGN_IN: _handler(calls.Login, self.sign_in),
            calls.SIGN_OUT: _handler(str, self.sign_out),
            calls.ISSUER_BEGIN: _handler(str, self.begin),
            calls.ISSUER_END: _handler(calls.Return, self.end),
            calls.ACCOUNT: _handler(calls.AccountAsk, self.account),
        }

    async def sign_in(self, login: calls.Login) -> calls.Ticket:
        """Begin a session for who knows the password; raise Unauthenticated, TooOften."""
        email = login.email.strip().lower()
        self._addresses.check(login.address)
        self._accounts.check(email)
        # counted before it is known, or many guesses at once would all be let through
        self._addresses.failed(login.address)
        self._accounts.failed(email)
        person = await self._person(lambda database: people_store.find(database, email))
        kept = person.password if person is not None and not person.disabled_us else ""
        if not await self._passwords.fits(login.password, kept) or person is None:
            raise Unauthenticated("e-mail address and password do not fit together", code="wrong_password")
        self._accounts.forgive(email)
        self._addresses.take_back(login.address)
        return await self._ticket(person)

    async def sign_out(self, digest: str) -> None:
        """End a session."""
        if self._records.there:
            act = Act("session", self._clock.now_us())
            await self._records.query(lambda database: people_store.end_session(database, digest, act))
            await self._told()

    async def begin(self, to: str) -> calls.Journey:
        """Say where the browser has to go to be told who is there."""
        return await self._required().begin(to)

    async def end(self, back: calls.Return) -> calls.Ticket:
        """Begin a session for whom the issuer names; they are made a user of ours if a role follows from that."""
        self._addresses.check(back.address)
        self._addresses.failed(back.address)
        found, to = await self._required().end(back)
        self._addresses.take_back(back.address)
        house = Admin(f"issuer {found.subject}"[:255])
        person = await self._person(lambda database: people_store.find_subject(database, found.subject))
        if person is None and not found.roles:
            raise Unauthenticated("nothing that the issuer says of you gives you a role here", code="no_role")
        if person is None:
            made = await self._people.create(
                NewPerson(email=found.email, name=found.name, roles=found.roles), house, subject=found.subject
            )
            key = made.id
        else:
            key = person.id
            if found.roles != person.roles and self._required().maps_roles:
                gone = dict.fromkeys(person.roles.keys() - found.roles.keys())
                await self._people.change(key, PersonPatch(roles={**gone, **found.roles}), house)
        person = await self._person(lambda database: people_store.find(database, key))
        if person is None or person.disabled_us:
            raise Unauthenticated("this user is disabled", code="user_disabled")
        return await self._ticket(person, to)

    async def account(self, ask: calls.AccountAsk) -> calls.Account:
        """Tell what the page of somebody's account shows, after these changes."""
        who = Principal(key_id=ask.key_id)
        if ask.changes:
            await self._people.change_me(msgspec.convert(ask.changes, MePatch), who)
        person = await self._people.myself(who)
        projects = await self._records.do(lambda store: store.projects(""))
        return calls.Account(
            email=person.email,
            name=person.name,
            role=role_in(person.roles, person.project) or "",
            project=person.project,
            environment=person.environment,
            places=tuple(
                (one.id, one.environments) for one in projects if role_in(person.roles, one.id) is not None
            ),
            has_password=bool(person.password),
        )

    async def _ticket(self, person: Person, to: str = "/") -> calls.Ticket:
        token = calls.SESSION_PREFIX + secrets.token_urlsafe(32)
        now_us = self._clock.now_us()
        secret = Secret(
            digest=calls.session_digest(token),
            prefix=token[:_PREFIX_CHARS],
            created_us=now_us,
            ends_us=now_us + people_store.SESSION_S * 1_000_000,
        )
        act = Act(person.email, now_us)
        await self._records.query(
            lambda database: people_store.begin_session(database, person.id, secret, act)
        )
        await self._told()
        return calls.Ticket(token, to)

    async def _person(self, look: Callable[[Any], Person | None]) -> Person | None:
        return await self._records.query(look) if self._records.there else None

    def _required(self) -> Issuer:
        if self._issuer is None:
            raise BadSignIn("no issuer is configured: sign in with a password")
        return self._issuer


def _handler(shape: type[T], work: Callable[[T], Awaitable[object]]) -> Callable[[Any], Awaitable[object]]:
    """Return what the link calls: it turns errors into those that go over the line."""

    async def handle(params: Any) -> object:  # noqa: ANN401 - whatever came over the line
        try:
            return await work(msgspec.convert(params, shape))
        except GatewayError as error:
            raise CallFailed(error.code, f"{error.status} {error}") from error
        except (ControlAway, MigrationError, msgspec.ValidationError) as error:
            raise CallFailed("control_away", f"503 {error}") from error

    return handle
