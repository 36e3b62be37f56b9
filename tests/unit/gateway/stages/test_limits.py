"""What the stage asks of whoever counts, what it tells the client, and what it does when nobody counts."""

from __future__ import annotations

from typing import Any

import pytest
from typing_extensions import override

from gateway.errors import BadRequest, GatewayError, OverLimit, Unavailable
from gateway.exchange import Exchange
from gateway.limits.base import AuthorityAway, Demand, Verdict
from gateway.limits.in_process import InProcess
from gateway.limits.rules import RuleBook, configured
from gateway.routing.deployments import Plan
from gateway.settings import Limit, Timeouts
from gateway.stages.limits import LimitStage, text_bytes
from telemetry.records import Usage
from tests.fakes.exchanges import chat, exchange
from tests.fakes.keys import HandClock

PLAN = Plan(deployments=(), timeouts=Timeouts(), route="smart")


class Counting(InProcess):
    """Counts, and keeps what it was asked and told; `away`: nobody can be asked."""

    def __init__(self) -> None:
        super().__init__(HandClock())
        self.asked: list[Demand] = []
        self.told: list[tuple[Demand, int, int]] = []
        self.away = False

    @override
    async def reserve(self, demand: Demand) -> Verdict:
        self.asked.append(demand)
        if self.away:
            raise AuthorityAway("it is gone")
        return await super().reserve(demand)

    @override
    def settle(self, demand: Demand, second: int, tokens: int) -> None:
        self.told.append((demand, second, tokens))
        super().settle(demand, second, tokens)


def stage(**limits: Any) -> tuple[LimitStage, Counting]:
    counting = Counting()
    return LimitStage(RuleBook(configured({"mine": Limit(**limits)})), counting), counting


async def refusal(limits: LimitStage, made: Exchange) -> GatewayError:
    with pytest.raises(GatewayError) as refused:
        await limits.reserve(made, PLAN)
    return refused.value


def headers(made: Exchange) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in made.client.extra}


async def test_a_call_that_no_limit_holds_for_asks_nobody() -> None:
    limits, counting = stage(rpm=1, users=("bob",))
    made = exchange()
    await limits.reserve(made, PLAN)
    limits.settle(made)

    assert (counting.asked, counting.told, made.client.extra) == ([], [], [])


async def test_calls_of_the_house_itself_are_not_limited() -> None:
    limits, _ = stage(rpm=1)

    assert not limits.concerns(exchange(key_id="internal:memory", internal=True))
    assert limits.concerns(exchange(key_id="internal:memory"))  # a key of that name is a key like others


async def test_a_call_is_told_what_is_left_and_the_one_too_many_when_to_come_back() -> None:
    limits, _ = stage(rpm=1)
    first, second = exchange(), exchange()
    await limits.reserve(first, PLAN)
    refused = await refusal(limits, second)

    assert headers(first) == {
        "x-ratelimit-limit-requests": "1",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
    }
    assert b"x-ratelimit-reset-tokens" in first.client.instead
    assert isinstance(refused, OverLimit)
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    assert "'mine' allows 1 requests per minute" in str(refused)
    assert refused.retry_after_s == 60
    assert headers(second)["retry-after-ms"] == "60000"
    assert headers(second)["x-ratelimit-remaining-requests"] == "0"


async def test_tokens_are_estimated_before_and_corrected_afterwards() -> None:
    limits, counting = stage(tpm=5000)
    body = chat("hi" * 200, max_tokens=1000)
    made = exchange(body)
    await limits.reserve(made, PLAN)
    made.usage = Usage(input_uncached=120, cache_read=30, output_text=50)
    limits.settle(made)
    again = exchange(body)
    await limits.reserve(again, PLAN)

    estimated = -(-len(body) // 4) + 1000
    assert counting.asked[0].tokens == estimated
    assert counting.told[0][2] == 200
    assert headers(again)["x-ratelimit-remaining-tokens"] == str(5000 - 200 - estimated)


async def test_a_request_that_could_never_be_let_in_is_a_mistake() -> None:
    limits, counting = stage(tpm=500)
    refused = await refusal(limits, exchange(chat(max_tokens=501)))

    assert isinstance(refused, BadRequest)
    assert (refused.status, refused.code) == (400, "limit_too_small")
    assert counting.asked == []


async def test_a_place_is_given_back_when_the_call_is_over_however_it_ended() -> None:
    limits, _ = stage(concurrency=1)
    first, second = exchange(), exchange()
    await limits.reserve(first, PLAN)
    refused = await refusal(limits, second)
    limits.settle(second)  # took nothing, so it gives nothing back
    still = await refusal(limits, second)
    limits.settle(first)
    await limits.reserve(exchange(), PLAN)

    assert refused.retry_after_s == still.retry_after_s == 1


@pytest.mark.parametrize("when_away", ["allow", "refuse"])
async def test_while_nobody_counts_the_rule_says_what_is_done_and_the_row_that_it_was(when_away: str) -> None:
    limits, counting = stage(rpm=1, when_away=when_away)
    counting.away = True
    made = exchange()
    if when_away == "allow":
        await limits.reserve(made, PLAN)
    else:
        refused = await refusal(limits, made)
        assert isinstance(refused, Unavailable)
        assert (refused.status, refused.code, refused.retry_after_s) == (503, "limits_away", 1)
    limits.settle(made)

    assert made.identity.properties["limits_away"] == {"allow": "allowed", "refuse": "refused"}[when_away]
    assert [second for _, second, _ in counting.told] == [0]


async def test_a_route_counts_by_its_name_and_a_users_calls_by_the_user() -> None:
    limits, counting = stage(rpm=5, per=("user",), routes=("smart",))
    for user in ("ada", "bob"):
        await limits.reserve(exchange(user=user), PLAN)
    await limits.reserve(exchange(), Plan(deployments=(), timeouts=Timeouts()))

    assert len({demand.parts[0].subject for demand in counting.asked}) == len(counting.asked) == 2


def test_pictures_are_not_counted_as_text() -> None:
    picture = b'{"text": "' + b"what is this? " * 100 + b'", "url": "data:image/png;base64,' + b"iVBOR" * 9000
    words = b'{"text": "' + "漢字".encode() * 9000 + b'"}'

    assert text_bytes(picture + b'"}') < 2000
    assert text_bytes(words) > 50_000
    assert text_bytes(b"x" * 4000) == 4000
