"""Hundreds of calls at once over three workers, and somebody is killed now and then: no hard budget is ever exceeded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from gateway.tasks import spawn
from tests.fakes import postgres
from tests.fakes.billing import CACHED, INPUT, OUTPUT, PRICES
from tests.fakes.provider import Provider, Received, Script, chat
from tests.fakes.tidegate import Tidegate, eventually
from tests.fakes.waiting import until

FULL = 24_000
SHARE = 20
"""The quick run is such a part of the full one."""
AT_ONCE = 500
MOST_OUT = 50
MODEL = "fake/m"
CHAT = "/v1/chat/completions"
AMOUNTS = {"team": 36_000_000, "each-user": 3_600_000}
"""Hard budgets, in nano-dollars of a run of `FULL / SHARE` calls."""
USERS = 12
OWNER = "tg-owner-of-the-test"
CALLER = "tg-caller-of-the-test"
KEYS = [
    {"name": "owner", "hash": sha256(OWNER.encode()).hexdigest(), "scopes": ["owner", "read", "call"]},
    {"name": "caller", "hash": sha256(CALLER.encode()).hexdigest(), "project": "p", "team": "tide"},
    {"name": "loose", "hash": sha256(b"tg-loose").hexdigest(), "project": "loose"},
]


class Thrifty:
    """A provider that answers as long as it may at most, bills each call by its number, and fails now and then."""

    def __init__(self, dice: random.Random) -> None:
        self.bill: Counter[str] = Counter()
        """Nano-dollars by user."""
        self.calm = False
        self.asked = 0
        self._dice = dice

    def __call__(self, request: Received) -> Script:
        if request.method != "POST":
            return chat()
        self.asked += 1
        asked = request.json()
        drawn = 1.0 if self.calm else self._dice.random()
        if drawn < 0.02:
            return Script(status=500, body=b'{"error": {"message": "out of order"}}')
        tokens_in = self._dice.randrange(1, len(request.body) + 1)
        cached = self._dice.randrange(tokens_in)
        # the longest answers there may be, mostly: what is reserved is nearly used up
        tokens_out = asked["max_tokens"] - (0 if self._dice.random() < 0.8 else 1)
        self.bill[asked["messages"][0]["content"].partition(" ")[0]] += (
            (tokens_in - cached) * INPUT + cached * CACHED + tokens_out * OUTPUT
        )
        usage = {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        said = chat()
        assert isinstance(said.body, bytes)
        body = msgspec.json.encode(msgspec.json.decode(said.body) | {"usage": usage})
        cut_at = 20 if drawn < 0.04 else None
        return msgspec.structs.replace(said, body=body, delay_s=self._dice.uniform(0, 0.05), cut_at=cut_at)


class Told(msgspec.Struct):
    """What callers heard: how often, and the slowest of each."""

    counts: Counter[str]
    slowest: dict[str, float]


class Account(msgspec.Struct):
    """One account, as the API tells it."""

    subject: str
    spent_nano_usd: int
    bounded_nano_usd: int
    reserved_nano_usd: int


class Run:
    """A house of three workers with hard budgets for a team and for each user, and callers that want more."""

    def __init__(self, house: Tidegate, thrifty: Thrifty, amounts: dict[str, int]) -> None:
        self.house = house
        self.thrifty = thrifty
        self.amounts = amounts
        self.told = Told(Counter(), {})

    async def calls(self, count: int, at_once: int) -> None:
        """Make so many calls, each of one of the users."""
        numbers = iter(range(count))
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(self.house.url, connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._call_on(session, numbers) for _ in range(at_once)))

    async def _call_on(self, session: aiohttp.ClientSession, numbers: Iterator[int]) -> None:
        for number in numbers:
            user = f"user-{number % USERS}"
            body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": f"{user} asks"}]}
            if number % 3:  # the others leave it to the gateway
                body["max_tokens"] = MOST_OUT - number % 7
            headers = {"x-tidegate-user-id": user, "authorization": f"Bearer {CALLER}"}
            began = time.monotonic()
            try:
                async with session.post(CHAT, json=body, headers=headers) as answer:
                    found = await answer.json(content_type=None)
                    said = "fine" if answer.status == 200 else str(found["error"].get("code", answer.status))
            except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                said = type(error).__name__
            took_s = time.monotonic() - began
            if said == "budgets_away":
                await asyncio.sleep(0.2)  # a client that is asked to wait does
            self.told.counts[said] += 1
            self.told.slowest[said] = max(took_s, self.told.slowest.get(said, 0))

    def accounts(self, budget: str) -> list[Account]:
        """Return how a budget stands; raise OSError while nobody can say."""
        reply = self.house.get(f"/api/budgets/{budget}", {"authorization": f"Bearer {OWNER}"})
        if reply.status != 200:
            raise OSError(reply.body)
        return msgspec.convert(reply.json()["accounts"], list[Account])

    def check(self) -> None:
        """Compare what was billed with what the accounts say, and that with what they may hold at most."""
        team, users = eventually(self._in_step, what="both budgets to say the same")
        assert _held(team) <= self.amounts["team"]
        assert sum(self.thrifty.bill.values()) <= _held(team), "somebody was billed and nobody counts it"
        for one in users:
            assert self.thrifty.bill[one.subject] <= _held(one) <= self.amounts["each-user"]

    def _in_step(self) -> tuple[Account, list[Account]] | None:
        """Return the accounts once no closing is on its way between the one look and the other."""
        with contextlib.suppress(OSError):
            (team,), users = self.accounts("team"), self.accounts("each-user")
            spent = sum(one.spent_nano_usd for one in users)
            reserved = sum(one.reserved_nano_usd for one in users)
            if (spent, reserved) == (team.spent_nano_usd, team.reserved_nano_usd):
                return team, users
        return None

    def rest(self) -> None:
        """Wait until nothing is under way: all closings have been heard, and dead workers' leases are over."""

        def look() -> bool:
            with contextlib.suppress(OSError):
                return not any(one.reserved_nano_usd for one in self.accounts("team"))
            return False

        eventually(look, what="the last closings", patience_s=150)


def _held(account: Account) -> int:
    return account.spent_nano_usd + account.reserved_nano_usd


def config(provider: Provider, amounts: dict[str, int], **more: Any) -> dict[str, Any]:
    return {
        "providers": {"fake": {"base_url": provider.base_url, "api_key": "x"}},
        "prices": PRICES,
        "server": {"workers": 3},
        "keys": KEYS,
        "retries": {"attempts": 2, "backoff_ms": [5, 20]},
        "breaker": {"min_calls": 100_000},
        "budgets": {
            "team": {
                "per": "team",
                "window": "month",
                "hard_usd": f"{amounts['team'] / 1e9:.9f}",
                "soft_usd": "0.001",
                "max_output_reserve": MOST_OUT,
            },
            "each-user": {
                "per": "user",
                "window": "total",
                "project": "p",
                "hard_usd": f"{amounts['each-user'] / 1e9:.9f}",
                "max_output_reserve": 4096,
            },
            "loose": {
                "match": "loose",
                "hard_usd": "9",
                "when_away": "allow",
                "max_output_reserve": MOST_OUT,
            },
        },
        **more,
    }


def ask(house: Tidegate, key: str) -> tuple[str, float]:
    """Make one call; return what came of it, and how long it took."""
    began = time.monotonic()
    body = {"model": MODEL, "max_tokens": 5, "messages": [{"role": "user", "content": "one asks"}]}
    headers = {"authorization": f"Bearer {key}", "x-tidegate-user-id": "one"}
    reply = house.request("POST", CHAT, body, headers)
    said = "fine" if reply.status == 200 else reply.json()["error"]["code"]
    return said, time.monotonic() - began


def ready(house: Tidegate) -> None:
    """Wait until every worker has the prices."""
    fine = 0

    def look() -> bool:
        nonlocal fine
        fine = fine + 1 if ask(house, "tg-loose")[0] == "fine" else 0
        return fine >= 12

    eventually(look, what="the prices")


def storm(
    folder: Path,
    seed: int,
    *,
    calls: int,
    at_once: int,
    url: str = "",
    server: postgres.Postgres | None = None,
) -> Run:
    print(f"seed {seed}")  # noqa: T201 - to repeat a failure
    dice = random.Random(seed)
    thrifty = Thrifty(dice)
    amounts = {name: nano * calls * SHARE // FULL for name, nano in AMOUNTS.items()}
    more = {"control": {"url": url}} if url else {}
    with (
        Provider(thrifty).in_thread() as provider,
        Tidegate(folder, config(provider, amounts, **more)) as house,
    ):
        thrifty.calm = True
        ready(house)
        run = Run(house, thrifty, amounts)
        if not url:
            silence(house)
            told_at_run_time(house)
        thrifty.bill.clear()

        # nobody dies: each cost is known, but that of attempts that broke off
        asyncio.run(run.calls(calls // 4, at_once))
        run.rest()
        run.check()
        (team,) = run.accounts("team")
        assert team.bounded_nano_usd == 0
        assert team.spent_nano_usd == sum(thrifty.bill.values())
        rows = house.await_calls(calls // 4, {"authorization": f"Bearer {CALLER}"})
        assert sum(row["cost_nano_usd"] or 0 for row in rows) == team.spent_nano_usd

        thrifty.calm = False
        full = calls > FULL // SHARE
        victims = ["hub", "worker"] * (1 + full) + ["postgres"] * (server is not None)
        for victim in dice.sample(victims, len(victims)):
            _while_calling(
                run, calls * 3 // 4 // len(victims), at_once, partial(strike, house, victim, server)
            )
            run.check()
        for _ in range(20):  # and on until nothing is left, however slow this machine is
            if not run.told.counts["budget_exceeded"]:
                asyncio.run(run.calls(calls // 8, at_once // 10))
                run.check()
        if full:
            run.rest()
            run.check()
        print(run.told)  # noqa: T201
        return run


def _while_calling(run: Run, calls: int, at_once: int, do: Callable[[], None]) -> None:
    """Make calls, and after a third of them do something else meanwhile."""

    async def both() -> None:
        before = run.told.counts.total()
        calling = spawn(run.calls(calls, at_once), name="calls")
        await until(lambda: run.told.counts.total() >= before + calls // 3, timeout_s=60)
        await asyncio.to_thread(do)
        await calling

    asyncio.run(both())


def strike(house: Tidegate, victim: str, server: postgres.Postgres | None) -> None:
    """Kill somebody; Postgres is started again, the others are by their supervisor."""
    if victim == "postgres":
        assert server is not None
        server.stop()
        time.sleep(0.5)
        server.start()
    else:
        house.kill(victim)


def silence(house: Tidegate) -> None:
    """A hub that says nothing: no call waits for it, and each budget says what becomes of it."""
    (hub,) = house.pids("hub")
    os.kill(hub, signal.SIGSTOP)
    try:
        strict = [ask(house, CALLER) for _ in range(5)]
        loose = [ask(house, "tg-loose") for _ in range(5)]
    finally:
        os.kill(hub, signal.SIGCONT)
    assert {said for said, _ in strict} == {"budgets_away"}
    assert {said for said, _ in loose} == {"fine"}
    assert min(took for _, took in strict) < 0.5


def told_at_run_time(house: Tidegate) -> None:
    """A budget that somebody makes while the house runs holds in every worker, and no longer once it is ended."""
    owner = {"authorization": f"Bearer {OWNER}"}
    wanted = {"name": "spent", "per": "key", "match": "loose", "hard_usd": "0.000001"}
    made = house.request("POST", "/api/budgets", wanted, owner)
    assert made.status == 201, made.body
    eventually(lambda: all(ask(house, "tg-loose")[0] == "budget_exceeded" for _ in range(9)), what="the news")
    assert house.request("DELETE", f"/api/budgets/{made.json()['id']}", headers=owner).status == 200
    eventually(lambda: all(ask(house, "tg-loose")[0] == "fine" for _ in range(9)), what="the end of it")


def check_all(run: Run) -> None:
    counts = run.told.counts
    assert counts["fine"] > 50
    assert counts["budget_exceeded"] > 0


def test_a_hard_budget_holds_while_the_hub_and_workers_are_killed(tmp_path: Path) -> None:
    check_all(storm(tmp_path, random.randrange(1 << 30), calls=FULL // SHARE, at_once=100))


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [random.randrange(1 << 30) for _ in range(1)])
def test_a_hard_budget_holds_through_thousands_of_calls(tmp_path: Path, seed: int) -> None:
    check_all(storm(tmp_path, seed, calls=FULL, at_once=AT_ONCE))


@pytest.mark.chaos
def test_a_hard_budget_holds_while_postgres_is_killed(tmp_path: Path) -> None:
    if not postgres.program("postgres"):
        pytest.skip("Postgres is not installed")
    with postgres.running() as server:
        url = server.make("control")
        seed = random.randrange(1 << 30)
        check_all(storm(tmp_path, seed, calls=FULL // 4, at_once=AT_ONCE, url=url, server=server))
