"""Signing in through an issuer: what it must say, how it must say it, and that nobody else can say it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import people_calls as calls
from gateway.settings import Oidc, Settings, SignIn
from gateway.upstream import Upstream
from tests.fakes.hub_control import Hub
from tests.fakes.issuer import CLIENT, SECRET, Issuer, issuing

ROLES: dict[str, Any] = {"crew": {"shop": "engineer"}, "money": {"*": "finance"}}


@pytest.fixture(scope="module")
def one() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def issuer(one: Issuer) -> Issuer:
    one.algorithm, one.forged, one.claims = "RS256", "", {"groups": ["crew", "nobody"]}
    return one


class Door:
    """A hub that knows the issuer, and a browser."""

    def __init__(self, folder: Path, issuer: Issuer, **more: Any) -> None:
        oidc = Oidc(
            issuer=issuer.url,
            client_id=CLIENT,
            client_secret=SECRET,
            redirect_url="https://gate.example/sign-in/callback",
            **{"roles": ROLES, **more},
        )
        settings = Settings(sign_in=SignIn(oidc=oidc))
        self.issuer = issuer
        self.hub = Hub(folder, settings)
        self.upstream = Upstream(self.hub.clock, settings.network)
        self.hub = Hub(folder, settings, self.upstream)

    async def begin(self, to: str = "/costs") -> calls.Journey:
        return msgspec.convert(await self.hub.call(calls.ISSUER_BEGIN, to), calls.Journey)

    async def back(self, journey: calls.Journey, **more: str) -> calls.Return:
        brought = self.issuer.authorize(journey.url)
        given = {**brought, "binding": journey.binding, "address": "127.0.0.1", **more}
        return msgspec.convert(given, calls.Return)

    async def refused(self, **more: str) -> str:
        return await self.hub.refused(calls.ISSUER_END, await self.back(await self.begin(), **more))

    async def enter(self) -> calls.Ticket:
        back = await self.back(await self.begin())
        return msgspec.convert(await self.hub.call(calls.ISSUER_END, back), calls.Ticket)

    async def people(self) -> list[dict[str, Any]]:
        return list((await self.hub.ask("GET", "/api/people"))[1]["people"])

    async def close(self) -> None:
        await self.upstream.close()
        await self.hub.close()


@pytest.fixture
async def door(tmp_path: Path, issuer: Issuer) -> AsyncIterator[Door]:
    made = Door(tmp_path, issuer)
    yield made
    await made.close()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_who_the_issuer_names_gets_in_with_the_roles_of_their_groups(
    door: Door, issuer: Issuer, algorithm: str
) -> None:
    issuer.algorithm = algorithm
    ticket = await door.enter()

    assert ticket.token.startswith("tgs-")
    assert ticket.to == "/costs"
    (ada,) = await door.people()
    assert (ada["email"], ada["roles"], ada["has_password"]) == (
        "ada@x.example",
        {"shop": "engineer"},
        False,
    )
    assert SECRET not in str((await door.begin()).url)


async def test_roles_follow_the_groups_at_each_sign_in(door: Door, issuer: Issuer) -> None:
    await door.enter()
    issuer.claims = {"groups": ["money"], "email": "renamed@x.example"}
    await door.enter()

    (ada,) = await door.people()
    assert (ada["email"], ada["roles"]) == ("ada@x.example", {"*": "finance"})


async def test_who_is_disabled_here_stays_out(door: Door) -> None:
    await door.enter()
    await door.hub.ask("PATCH", "/api/people/ada@x.example", {"disabled": True})

    assert await door.refused() == "user_disabled"


async def test_who_has_no_group_of_ours_is_nobody(door: Door, issuer: Issuer) -> None:
    issuer.claims = {"groups": ["strangers"]}
    assert await door.refused() == "no_role"
    issuer.claims = {}
    assert await door.refused() == "no_role"
    assert await door.people() == []


async def test_an_address_that_has_a_password_here_is_not_taken_over(door: Door) -> None:
    wanted = {"email": "ada@x.example", "roles": {"*": "owner"}, "password": "correct horse battery"}
    assert (await door.hub.ask("POST", "/api/people", wanted))[0] == 201

    assert await door.refused() == "email_taken"


async def test_without_a_table_of_roles_people_have_to_be_there(tmp_path: Path, issuer: Issuer) -> None:
    door = Door(tmp_path, issuer, roles={})
    assert await door.refused() == "no_role"
    await door.close()


LIES: list[tuple[dict[str, Any], str]] = [
    ({"aud": "another"}, "bad_id_token"),
    ({"iss": "https://evil.example"}, "bad_id_token"),
    ({"nonce": "another"}, "bad_id_token"),
    ({"nonce": None}, "bad_id_token"),
    ({"exp": 1_600_000_000}, "bad_id_token"),
    ({"exp": None}, "bad_id_token"),
    ({"sub": None}, "bad_id_token"),
    ({"iat": 1_800_000_000}, "bad_id_token"),
    ({"aud": [CLIENT, "another"], "azp": "another"}, "bad_id_token"),
    ({"email": None}, "no_email"),
    ({"email_verified": False}, "no_email"),
]


@pytest.mark.parametrize(("claims", "code"), LIES, ids=str)
async def test_a_token_that_says_something_else_is_none(
    door: Door, issuer: Issuer, claims: dict[str, Any], code: str
) -> None:
    issuer.claims |= claims

    assert await door.refused() == code
    assert await door.people() == []


async def test_a_token_that_somebody_else_signed_or_nobody_is_none(door: Door, issuer: Issuer) -> None:
    await door.enter()
    stranger = Issuer()
    stranger.url = issuer.url
    for algorithm in ("RS256", "HS256"):  # another key; a symmetric one that the client knows, too
        stranger.algorithm = algorithm
        issuer.forged = stranger.sign("any")
        assert await door.refused() == "bad_id_token"
    body = issuer.sign("any").split(".")[1]
    for forged in (f"eyJhbGciOiJub25lIn0.{body}.", "x.y.z", ""):
        issuer.forged = forged or "."
        assert await door.refused() == "bad_id_token"


async def test_an_issuer_that_takes_other_keys_is_asked_for_them(door: Door, issuer: Issuer) -> None:
    await door.enter()
    issuer.renew()

    assert (await door.enter()).token


async def test_the_way_back_belongs_to_one_browser_once_and_not_for_long(door: Door) -> None:
    assert await door.refused(binding="another") == "bad_sign_in"
    assert await door.refused(state="another") == "bad_sign_in"
    assert await door.refused(code="another") in ("issuer_away", "bad_sign_in")
    back = await door.back(await door.begin())
    assert await door.hub.refused(calls.ISSUER_END, back) == ""
    assert await door.hub.refused(calls.ISSUER_END, back) == "bad_sign_in"
    late = await door.back(await door.begin())
    door.hub.clock.us += 11 * 60 * 1_000_000
    assert await door.hub.refused(calls.ISSUER_END, late) == "bad_sign_in"


async def test_an_issuer_that_is_away_or_calls_itself_otherwise_is_told(
    tmp_path: Path, issuer: Issuer
) -> None:
    real, issuer.url = issuer.url, "http://127.0.0.1:9"
    away = Door(tmp_path / "away", issuer)
    assert await away.hub.refused(calls.ISSUER_BEGIN, "/") == "issuer_away"
    issuer.url = f"{real}/"
    other = Door(tmp_path / "other", issuer)
    issuer.url = real
    assert await other.hub.refused(calls.ISSUER_BEGIN, "/") == "issuer_away"
    await away.close()
    await other.close()
