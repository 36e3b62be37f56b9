from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.errors import UpstreamFailed
from gateway.providers.google_account import Account, read_account
from gateway.settings import Network
from gateway.tokens import AGAIN_S, EARLY_S, Tokens
from gateway.upstream import Upstream
from tests.fakes.clouds import GoogleAccount
from tests.fakes.provider import Provider, Received, Script

_SECOND = 1_000_000_000


class HandClock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.ns = 10**15

    def now_us(self) -> int:
        return 1_700_000_000_000_000 + self.ns // 1000

    def monotonic_ns(self) -> int:
        return self.ns

    def wait(self, seconds: float) -> None:
        self.ns += int(seconds * _SECOND)


class Scene:
    """Tokens, the endpoint that gives them, and how many were asked for."""

    def __init__(
        self, google: GoogleAccount, endpoint: Provider, upstream: Upstream, clock: HandClock
    ) -> None:
        self.google, self.endpoint, self.clock = google, endpoint, clock
        self.tokens = Tokens(upstream, clock)
        self.account: Account = read_account(google.file(f"{endpoint.base_url}/token"))
        self.broken = False

    def answer(self, request: Received) -> Script:
        if self.broken:
            return Script(status=400, body=b'{"error":"invalid_grant"}')
        return self.google.give(request)

    async def settle(self) -> None:
        """Wait until what goes on beside the calls is done."""
        while self.tokens._asked:
            await asyncio.gather(*self.tokens._asked.values())


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    clock = HandClock()
    google = GoogleAccount()
    made: list[Scene] = []

    def answer(request: Received) -> Script:
        return made[0].answer(request)

    async with Provider(answer) as endpoint:
        upstream = Upstream(clock, Network())
        made.append(Scene(google, endpoint, upstream, clock))
        yield made[0]
        await made[0].settle()
        await upstream.close()


async def test_the_first_call_waits_and_however_many_there_are_one_token_is_asked_for(scene: Scene) -> None:
    found = await asyncio.gather(*(scene.tokens.of(scene.account) for _ in range(20)))

    assert set(found) == {"ya29.token-1"}
    assert scene.google.given == 1


async def test_a_token_is_kept_until_shortly_before_its_end_and_renewed_beside_the_calls(
    scene: Scene,
) -> None:
    await scene.tokens.of(scene.account)

    scene.clock.wait(3600 - EARLY_S - 1)
    assert await scene.tokens.of(scene.account) == "ya29.token-1"
    assert not scene.tokens._asked

    scene.clock.wait(2)
    assert await scene.tokens.of(scene.account) == "ya29.token-1"  # it is still good
    await scene.settle()
    assert await scene.tokens.of(scene.account) == "ya29.token-2"
    assert scene.google.given == 2


async def test_an_expired_token_is_never_handed_out(scene: Scene) -> None:
    await scene.tokens.of(scene.account)

    scene.clock.wait(3601)

    assert await scene.tokens.of(scene.account) == "ya29.token-2"


async def test_who_gets_no_token_learns_why_and_the_next_call_asks_again(scene: Scene) -> None:
    scene.broken = True
    with pytest.raises(UpstreamFailed, match="invalid_grant") as error:
        await scene.tokens.of(scene.account)
    assert error.value.code == "no_access_token"
    assert error.value.retryable

    scene.broken = False
    assert await scene.tokens.of(scene.account) == "ya29.token-1"


async def test_a_failed_renewal_leaves_the_old_token_and_does_not_hammer(scene: Scene) -> None:
    await scene.tokens.of(scene.account)
    scene.broken = True
    scene.clock.wait(3600 - EARLY_S + 1)

    assert await scene.tokens.of(scene.account) == "ya29.token-1"
    await scene.settle()
    asked = len(scene.endpoint.requests)
    assert await scene.tokens.of(scene.account) == "ya29.token-1"
    assert not scene.tokens._asked
    scene.clock.wait(AGAIN_S)
    assert await scene.tokens.of(scene.account) == "ya29.token-1"
    await scene.settle()

    assert len(scene.endpoint.requests) == asked + 1


async def test_a_short_lived_token_is_used_for_half_its_time_at_least(scene: Scene) -> None:
    scene.google.lifetime_s = 60
    await scene.tokens.of(scene.account)

    scene.clock.wait(29)
    assert await scene.tokens.of(scene.account) == "ya29.token-1"
    assert not scene.tokens._asked


async def test_a_caller_that_leaves_does_not_take_the_token_with_it(scene: Scene) -> None:
    first = asyncio.ensure_future(scene.tokens.of(scene.account))  # noqa: TID251 - a test cancels it
    second = asyncio.ensure_future(scene.tokens.of(scene.account))  # noqa: TID251
    await asyncio.sleep(0)
    first.cancel()

    assert await second == "ya29.token-1"


async def test_an_account_whose_key_is_broken_fails_the_call(scene: Scene) -> None:
    account = read_account(scene.google.file(f"{scene.endpoint.base_url}/token", private_key="none"))

    with pytest.raises(UpstreamFailed, match="no access token for tide@harbour"):
        await scene.tokens.of(account)
