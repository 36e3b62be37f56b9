"""Sessions: who gets one, how often somebody may guess, and how soon it ends everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import people_calls as calls
from gateway.control.people_store import SESSION_S, SESSIONS_KEPT
from gateway.control.sessions import MOST_OF_ACCOUNT, MOST_OF_ADDRESS, WINDOW_S
from gateway.errors import Unauthenticated
from gateway.key_pages import SINCE, Sealer
from gateway.keyring import Keyring
from gateway.principal import Principal
from gateway.processes.own_secret import own_secret
from tests.fakes.hub_control import Hub
from tests.fakes.keys import SECOND

PASSWORD = "correct horse battery"


class Town:
    """A hub, a worker's keys as they hear of it, and Ada."""

    def __init__(self, folder: Path) -> None:
        self.hub = Hub(folder)
        self.keyring = Keyring({}, self.hub.clock, max_stale_s=10**6)

    async def settle(self) -> None:
        """Let Ada have a login."""
        wanted = {"email": "ada@x.example", "roles": {"shop": "engineer"}, "password": PASSWORD}
        status, made = await self.hub.ask("POST", "/api/people", wanted)
        assert status == 201
        self.path = f"/api/people/{made['id']}"

    async def sign_in(self, password: str = PASSWORD, email: str = "ada@x.example") -> str:
        login = calls.Login(email, password, "10.0.0.1")
        return msgspec.convert(await self.hub.call(calls.SIGN_IN, login), calls.Ticket).token

    async def refused(self, **more: str) -> str:
        given = {"email": "ada@x.example", "password": "wrong", "address": "10.0.0.1", **more}
        return await self.hub.refused(calls.SIGN_IN, msgspec.convert(given, calls.Login))

    async def who(self, token: str) -> Principal | None:
        """Return what the worker makes of a session, after it heard what there is to hear."""
        sealer = Sealer(own_secret(self.hub.places.secrets / "keys"))
        sealed: Any = await self.hub.link.handlers[SINCE](msgspec.to_builtins(self.keyring.position))
        assert self.keyring.take(sealer.unseal(sealed))
        try:
            return self.keyring.find(bytes.fromhex(calls.session_digest(token)))
        except Unauthenticated:
            return None


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    made = Town(tmp_path)
    await made.settle()
    yield made
    await made.hub.close()


async def test_a_session_may_what_the_role_may_but_call(town: Town) -> None:
    ada = await town.who(await town.sign_in())

    assert ada is not None
    assert (ada.owner, ada.project, ada.scopes) == ("ada@x.example", "shop", ("read", "write", "memory"))


async def test_whoever_can_sign_in_closes_open_mode(town: Town) -> None:
    await town.who("tgs-none")

    assert town.keyring.issued


async def test_a_wrong_password_and_nobody_are_the_same(town: Town) -> None:
    assert await town.refused() == "wrong_password"
    assert await town.refused(email="nobody@x.example", password=PASSWORD) == "wrong_password"
    assert await town.refused(password="") == "wrong_password"
    assert await town.refused(password="x" * 100_000) == "wrong_password"
    without = {"email": "bea@x.example", "roles": {"shop": "viewer"}}
    assert (await town.hub.ask("POST", "/api/people", without))[0] == 201
    assert await town.refused(email="bea@x.example", password="") == "wrong_password"
    assert await town.refused(email="bea@x.example", password="nobody") == "wrong_password"


CHANGES: list[dict[str, Any]] = [
    {"disabled": True},
    {"password": f"another {PASSWORD}"},
    {"roles": {"shop": "viewer"}},
    {"roles": {"shop": None}},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
async def test_a_change_of_what_somebody_may_ends_their_sessions(town: Town, change: dict[str, Any]) -> None:
    tokens = [await town.sign_in(), await town.sign_in()]
    assert await town.who(tokens[0])

    assert (await town.hub.ask("PATCH", town.path, change))[0] == 200
    assert [await town.who(token) for token in tokens] == [None, None]


async def test_a_new_name_or_place_ends_none(town: Town) -> None:
    token = await town.sign_in()
    ada = await town.who(token)
    assert ada is not None
    await town.hub.ask("PATCH", town.path, {"name": "Ada L."})
    await town.hub.ask("PATCH", "/api/me", {"environment": "test"}, by=ada)

    moved = await town.who(token)
    assert moved is not None
    assert moved.environment == "test"


async def test_signing_out_ends_one_session_even_for_a_worker_that_hears_late(town: Town) -> None:
    gone, kept = await town.sign_in(), await town.sign_in()
    assert await town.who(gone)
    await town.hub.call(calls.SIGN_OUT, calls.session_digest(gone))
    for _ in range(3):
        await town.sign_in()  # what happened since must not hide it

    assert await town.who(gone) is None
    assert await town.who(kept)
    assert await town.hub.refused(calls.SIGN_OUT, calls.session_digest("tgs-none")) == ""


async def test_sessions_end_by_themselves_and_the_oldest_for_a_further_one(town: Town) -> None:
    tokens = [await town.sign_in() for _ in range(SESSIONS_KEPT + 1)]
    assert await town.who(tokens[0]) is None
    assert await town.who(tokens[1])
    town.hub.clock.us += SESSION_S * SECOND

    assert await town.who(tokens[-1]) is None


async def test_an_account_is_guessed_so_often_and_then_not_for_a_while(town: Town) -> None:
    for _ in range(MOST_OF_ACCOUNT):
        assert await town.refused(address="10.0.0.2") == "wrong_password"
    assert await town.refused(password=PASSWORD, address="10.0.0.3") == "too_many_attempts"
    assert await town.refused(email="nobody@x.example") == "wrong_password"
    town.hub.clock.us += WINDOW_S * SECOND

    assert await town.sign_in()


async def test_an_address_guesses_so_often_whatever_the_account(town: Town) -> None:
    for number in range(MOST_OF_ADDRESS):
        assert await town.refused(email=f"{number}@x.example", password="x" * 2000) == "wrong_password"

    assert await town.refused(email="another@x.example") == "too_many_attempts"
    assert await town.refused(email="another@x.example", address="10.0.0.2") == "wrong_password"


async def test_guesses_of_others_do_not_lock_out_who_knew_the_password(town: Town) -> None:
    for _ in range(MOST_OF_ACCOUNT - 1):
        await town.refused()
    assert await town.sign_in()
    assert await town.refused() == "wrong_password"


async def test_no_token_and_no_password_lies_in_any_file(town: Town) -> None:
    token = await town.sign_in()
    await town.who(token)
    contents = [path.read_bytes() for path in town.hub.places.data.rglob("*") if path.is_file()]

    assert len(contents) > 2
    for secret in (token, PASSWORD):
        assert [1 for content in contents if secret.encode() in content] == []


async def test_the_account_page_is_told_where_one_may_look(town: Town) -> None:
    ada = await town.who(await town.sign_in())
    assert ada is not None
    await town.hub.ask("POST", "/api/projects", {"id": "shop", "environments": ["test", "prod"]})
    await town.hub.ask("POST", "/api/projects", {"id": "bank"})
    moved = calls.AccountAsk(ada.key_id, {"project": "shop", "environment": "test"})
    told = msgspec.convert(await town.hub.call(calls.ACCOUNT, moved), calls.Account)

    assert (told.role, told.project, told.environment) == ("engineer", "shop", "test")
    assert told.places == (("shop", ("prod", "test")),)
    assert await town.hub.refused(calls.ACCOUNT, calls.AccountAsk("ci")) == "no_person"
