"""What a call may cost is put aside before each attempt, and what it did cost takes its place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from gateway.asgi import Client
from gateway.budgets.book import BudgetBook
from gateway.budgets.records import Budget
from gateway.budgets.teller import Teller
from gateway.errors import NoPriceBound, OverBudget, Unavailable
from gateway.exchange import Exchange, Identity, Spending
from gateway.prices.table import Book, PriceRow, PriceTable, complete
from gateway.principal import Principal
from gateway.settings import Route, RouteDeployment
from gateway.stages.budget import MAX_TOKENS, WARNING, BudgetStage
from gateway.wire.anthropic_count import AnthropicCount
from gateway.wire.base import Wire
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.openai_responses import KeptResponse
from gateway.wire.passthrough_paths import Place
from telemetry.records import Call, Cost
from tests.fakes.authority import NOW_US, MemoryAuthority, asked_over_a_line

USD = 1_000_000_000
HARD = Budget(
    id="hard", name="hard", per="project", window="total", hard_nano_usd=USD, max_output_reserve=100
)
SOFT = Budget(id="soft", name="soft", per="user", window="total", soft_nano_usd=1000)
ROW = PriceRow(
    id="r",
    rates=complete({"input_uncached": 1_000_000, "cache_write_5m": 2_000_000, "output_text": 3_000_000}),
)
"""In nano-dollars per million: one, two and three for a token."""
FREE = PriceRow(id="f", rates=complete({"input_uncached": 0, "output_text": 0}))
TABLE = PriceTable(
    "1", {"fake": msgspec.Raw(msgspec.msgpack.encode(Book(overrides={"m": ROW, "gratis": FREE})))}
)
BODY = b'{"model":"m","messages":[]}'
ROUTES = {"narrow": Route(deployments=(RouteDeployment(model="fake/m"),), max_output_reserve=7)}

Stage = Callable[..., BudgetStage]


class Rig:
    """The stage over a real line to an authority."""

    def __init__(
        self, teller: Teller, authority: MemoryAuthority, *budgets: Budget, table: PriceTable | None
    ) -> None:
        self.authority = authority
        self.teller = teller
        self.stage = BudgetStage(BudgetBook(budgets), teller, lambda: table, ROUTES)

    def exchange(self, *, wire: Wire | None = None, **more: Any) -> Exchange:
        """Return one to which the budgets were applied."""
        fields: dict[str, Any] = {
            "call_id": "call",
            "wire": wire or OpenAIChat(),
            "headers": {},
            "body": BODY,
            "client": cast("Client", SimpleNamespace(extra=[])),
            "started_at_us": NOW_US,
            "started_ns": 0,
            "principal": Principal(key_id="key", project="p"),
            "identity": Identity(event_id="e", user_id="ada"),
            "call": Call("call", NOW_US, "openai.chat"),
        }
        made = Exchange(**(fields | more))
        self.stage.apply(made)
        return made

    async def spent(self) -> tuple[int, int]:
        """Return what is spent and reserved once all was told."""
        await self.teller.finish(5)
        return self.authority.sums()


def spending(exchange: Exchange) -> Spending:
    assert exchange.spending is not None
    return exchange.spending


async def admit(
    exchange: Exchange, body: bytes = BODY, *, surface: str = "openai.chat", model: str = "m"
) -> bytes:
    return await spending(exchange).admit(surface, "fake", model, body)


def told(exchange: Exchange) -> Mapping[bytes, bytes]:
    assert len({name for name, _ in exchange.client.extra}) == len(exchange.client.extra)
    return dict(exchange.client.extra)


@pytest.fixture
async def rig(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    budgets, table = getattr(request, "param", ((HARD,), TABLE))
    authority = MemoryAuthority(*budgets)
    async with asked_over_a_line(tmp_path, authority) as teller:
        yield Rig(teller, authority, *budgets, table=table)


def over(*budgets: Budget, table: PriceTable | None = TABLE) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rig", [(budgets, table)], indirect=True)


BOUND = (len(BODY) + 64) * 2 + 100 * 3 + 12
"""Bytes and the provider's own at the dearest rate of input, the longest answer, and what is lost by rounding."""


async def test_the_dearest_course_is_put_aside_and_the_cost_takes_its_place(rig: Rig) -> None:
    exchange = rig.exchange()
    body = await admit(exchange)

    assert msgspec.json.decode(body)["max_tokens"] == 100
    assert told(exchange) == {MAX_TOKENS: b"100"}
    assert rig.authority.sums() == (0, BOUND)
    exchange.cost, exchange.usage_source = Cost(total_nano_usd=77), "provider"
    rig.stage.settle(exchange)
    assert await rig.spent() == (77, 0)


async def test_a_client_that_limits_itself_is_left_alone(rig: Rig) -> None:
    exchange = rig.exchange()
    body = b'{"model":"m", "max_tokens": 9}'

    assert await admit(exchange, body) is body
    assert told(exchange) == {}
    assert rig.authority.sums() == (0, (len(body) + 64) * 2 + 9 * 3 + 12)


async def test_a_route_may_be_narrower_than_the_budget(rig: Rig) -> None:
    exchange = rig.exchange(route="narrow")

    assert msgspec.json.decode(await admit(exchange))["max_tokens"] == 7


async def test_a_try_that_failed_for_free_is_given_back_before_the_next(rig: Rig) -> None:
    exchange = rig.exchange()
    await admit(exchange)
    spending(exchange).failed(free=True)
    await admit(exchange)

    assert await rig.spent() == (0, BOUND)
    assert [one.id for one in rig.authority.reserved] == ["call.1", "call.2"]


async def test_a_try_that_may_have_cost_something_counts_as_it_was_put_aside(rig: Rig) -> None:
    exchange = rig.exchange()
    await admit(exchange)
    spending(exchange).failed(free=False)
    spending(exchange).failed(free=True)  # another place could not even be asked
    await admit(exchange)
    exchange.cost, exchange.usage_source = Cost(total_nano_usd=5), "provider"
    rig.stage.settle(exchange)

    assert await rig.spent() == (BOUND + 5, 0)


@pytest.mark.parametrize(
    ("cost", "source", "spent"),
    [
        (Cost(total_nano_usd=5), "provider", 5),
        (Cost(total_nano_usd=0, price_row="free"), "none", 0),
        (Cost(total_nano_usd=5), "estimated", BOUND),
        (Cost(reason="no_answer"), "none", BOUND),
        (Cost(reason="no_rate:output_audio"), "provider", BOUND),
    ],
)
async def test_what_no_provider_told_counts_as_it_was_put_aside(
    rig: Rig, cost: Cost, source: Any, spent: int
) -> None:
    exchange = rig.exchange()
    await admit(exchange)
    exchange.cost, exchange.usage_source = cost, source
    rig.stage.settle(exchange)
    rig.stage.settle(exchange)

    assert await rig.spent() == (spent, 0)


async def test_what_has_no_room_left_is_refused_and_the_client_told_not_to_try_again(rig: Rig) -> None:
    first = rig.exchange()
    await admit(first, surface="openai.embeddings")
    rig.authority.ledger.accounts[next(iter(rig.authority.ledger.accounts))].spent = USD - 300
    exchange = rig.exchange(call_id="second")

    with pytest.raises(OverBudget) as refused:
        await admit(exchange)

    assert (refused.value.status, refused.value.code) == (429, "budget_exceeded")
    assert "The budget hard has 0.0000001" in str(refused.value)
    assert told(exchange)[b"x-should-retry"] == b"false"
    rig.stage.settle(exchange)
    assert (await rig.spent())[0] == USD - 300


@pytest.mark.parametrize(
    ("surface", "model", "body", "why"),
    [
        ("openai.chat", "unheard-of", BODY, "set prices.fake/unheard-of"),
        ("openai.passthrough", "m", BODY, "nothing limits an answer in the format openai.passthrough"),
        ("openai.chat", "m", b'{"tools":[{"type":"web_search"}]}', "web_search"),
        ("openai.responses", "m", b'{"previous_response_id":"r"}', "previous_response_id"),
    ],
)
async def test_what_has_no_bound_is_refused_under_a_hard_budget_and_the_remedy_named(
    rig: Rig, surface: str, model: str, body: bytes, why: str
) -> None:
    with pytest.raises(NoPriceBound, match=why) as refused:
        await admit(rig.exchange(), body, surface=surface, model=model)
    assert (refused.value.status, refused.value.code) == (403, "no_price_bound")
    assert rig.authority.reserved == []


@over(HARD, table=None)
async def test_before_the_prices_are_read_nobody_knows_yet(rig: Rig) -> None:
    with pytest.raises(Unavailable) as refused:
        await admit(rig.exchange())
    assert refused.value.retry_after_s


async def test_what_is_free_asks_nobody(rig: Rig) -> None:
    exchange = rig.exchange()

    assert await admit(exchange, model="gratis") == BODY
    assert rig.authority.reserved == []


async def test_reading_and_counting_cost_nothing(rig: Rig) -> None:
    listing = Place(family="openai", method="GET", path="/files")
    upload = msgspec.structs.replace(listing, method="POST")

    assert rig.exchange(place=listing).spending is None
    assert rig.exchange(wire=AnthropicCount()).spending is None
    assert rig.exchange(wire=KeptResponse("cancel", "POST", "/cancel")).spending is None
    assert rig.exchange(place=upload).spending is not None


@over(SOFT)
async def test_a_soft_budget_changes_no_request_and_warns_once_it_is_reached(rig: Rig) -> None:
    first = rig.exchange()
    assert await admit(first) == BODY
    assert told(first) == {}
    first.cost, first.usage_source = Cost(total_nano_usd=2000), "estimated"
    rig.stage.settle(first)
    assert await rig.spent() == (2000, 0)

    second = rig.exchange(call_id="second")
    await admit(second)
    await admit(second)
    assert told(second) == {WARNING: b"soft"}


@over(HARD, SOFT)
async def test_without_the_authority_a_hard_budget_refuses(rig: Rig) -> None:
    rig.authority.away = True
    exchange = rig.exchange()

    with pytest.raises(Unavailable, match="budget hard") as refused:
        await admit(exchange)

    assert (refused.value.status, refused.value.code) == (503, "budgets_away")
    rig.authority.away = False
    assert await rig.spent() == (0, 0)


@over(msgspec.structs.replace(HARD, when_away="allow"), SOFT)
async def test_where_it_is_allowed_a_call_goes_on_alone_and_is_counted_later(rig: Rig) -> None:
    rig.authority.away = True
    exchange = rig.exchange()
    await admit(exchange)
    exchange.cost, exchange.usage_source = Cost(total_nano_usd=9), "provider"
    rig.stage.settle(exchange)
    rig.authority.away = False

    assert await rig.spent() == (2 * 9, 0)
    assert exchange.call is not None
    assert exchange.call.properties == {"budgets_away": "true"}


async def test_calls_to_which_no_budget_applies_are_left_alone(rig: Rig) -> None:
    rig.stage.book = BudgetBook([msgspec.structs.replace(HARD, match="q")])
    assert rig.exchange().spending is None
    rig.stage.book = BudgetBook([])
    exchange = rig.exchange()
    rig.stage.settle(exchange)
    assert exchange.spending is None


async def test_long_requests_are_read_beside_the_loop_and_bounded_the_same(rig: Rig) -> None:
    body = msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": [{"content": "x" * 200_000}]})
    await admit(rig.exchange(), body)

    assert rig.authority.sums() == (0, (len(body) + 64) * 2 + 9 * 3 + 12)
