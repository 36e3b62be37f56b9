"""Hundreds of callers at three workers: no limit gives way, whoever counts, even one that is killed meanwhile."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from typing_extensions import override

from tests.fakes import redis
from tests.fakes.provider import Provider, Received, Script, chat
from tests.fakes.tidegate import Tidegate

FULL_S, QUICK_S = 150.0, 7.5
CALLERS = {"busy": 3, "many": 4, "long": 3}
"""Users by what their calls are limited in: how many at once, requests, tokens."""
AT_ONCE, RPM, TPM = 7, 120, 30_000
TOKENS = 1000
"""Of each answer; its request asks for twice as many."""
LIMITS = {
    "busy": {"per": ["user"], "users": ["busy-*"], "concurrency": AT_ONCE, "when_away": "refuse"},
    "many": {"per": ["user"], "users": ["many-*"], "rpm": RPM, "when_away": "refuse"},
    "long": {"per": ["user"], "users": ["long-*"], "tpm": TPM, "when_away": "refuse"},
}
EDGE_S = 2.0
"""A bucket's edge, and the time that a call may need from its worker to the provider on a busy machine."""
_PLAIN = chat("well", prompt_tokens=10, tokens=TOKENS - 10)
_ANSWER = msgspec.structs.replace(_PLAIN, headers=(*_PLAIN.headers, ("x-ratelimit-limit-requests", "9999")))
"""The provider tells of limits of its own, which are none of the client's."""


class Told(msgspec.Struct):
    """What one caller got."""

    user: str
    at: float
    status: int
    code: str
    took_s: float


class Storm:
    """Callers, the provider's view of them, and what they were told."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.told: list[Told] = []
        self.arrived: dict[str, list[tuple[float, float]]] = defaultdict(list)
        """By user: when each call came to the provider, and the soonest that it was answered."""

    def answer(self, request: Received) -> Script:
        """Be the provider."""
        if request.method != "POST":
            return chat()  # the hub asks for the list of models
        user = request.json()["messages"][0]["content"]
        held_s = self.dice.uniform(0.1, 0.5) if user.startswith("busy") else 0.005
        now = time.monotonic()
        self.arrived[user].append((now, now + held_s))
        return msgspec.structs.replace(_ANSWER, delay_s=held_s)

    async def call_all(self, url: str, callers: int, seconds: float) -> None:
        """Let so many callers call for so long."""
        users = [f"{kind}-{number}" for kind, count in CALLERS.items() for number in range(count)]
        until = time.monotonic() + seconds
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
            await asyncio.gather(
                *(self._call(session, users[number % len(users)], until) for number in range(callers))
            )

    async def _call(self, session: aiohttp.ClientSession, user: str, until: float) -> None:
        dice = random.Random(self.dice.random())
        body = {"model": "p/m", "messages": [{"role": "user", "content": user}], "max_tokens": 2 * TOKENS}
        await asyncio.sleep(dice.uniform(0, 0.5))
        while (began := time.monotonic()) < until:
            headers = {"x-tidegate-user-id": user, "x-tidegate-thread-id": "storm"}
            async with session.post("/v1/chat/completions", json=body, headers=headers) as answer:
                said = await answer.json()
                if answer.status != 503 and user.startswith("many"):
                    assert answer.headers.getall("x-ratelimit-limit-requests") == [str(RPM)]
                    assert ("retry-after-ms" in answer.headers) == (answer.status == 429)
            code = said["error"]["code"] if answer.status != 200 else ""
            self.told.append(Told(user, began, answer.status, code, time.monotonic() - began))
            await asyncio.sleep(dice.uniform(0.3, 1.2))

    def most_in(self, user: str, window_s: float) -> int:
        """Return the most calls of a user that came within so long."""
        times = sorted(came for came, _ in self.arrived[user])
        start = most = 0
        for end, moment in enumerate(times):
            while times[start] <= moment - window_s:
                start += 1
            most = max(most, end - start + 1)
        return most

    def most_at_once(self, user: str) -> int:
        """Return how many calls of a user the provider surely had at the same time."""
        events = sorted(
            [(came, 1) for came, _ in self.arrived[user]] + [(gone, -1) for _, gone in self.arrived[user]]
        )
        most = now = 0
        for _, change in events:
            now += change
            most = max(most, now)
        return most

    def served(self, kind: str) -> dict[str, int]:
        """Return how many calls of each user of a kind came through."""
        return {user: len(times) for user, times in self.arrived.items() if user.startswith(kind)}

    def table(self, who: str) -> str:
        """Say what happened."""
        codes = Counter(one.code or "ok" for one in self.told)
        quick = sorted(one.took_s for one in self.told if one.status != 200) or [0.0]
        lines = [
            f"limits counted by {who}, seed {self.seed}: {len(self.told)} calls, {dict(codes)}",
            f"refusals took p50 {quick[len(quick) // 2] * 1000:.0f} ms, longest {quick[-1] * 1000:.0f} ms",
            f"{'user':10} {'served':>6} {'at once':>8} {'in 60 s':>8} {'less an edge':>13}   limit",
        ]
        for user in sorted(self.arrived):
            counts = self.most_at_once(user), self.most_in(user, 60), self.most_in(user, 60 - EDGE_S)
            lines.append(
                f"{user:10} {len(self.arrived[user]):6} {counts[0]:8} {counts[1]:8} {counts[2]:13}   "
                f"{LIMITS[user.partition('-')[0]]}"
            )
        return "\n".join(lines)

    def check(self) -> None:
        """No limit gave way, and none was narrower than it says."""
        for user in self.served("busy"):
            assert self.most_at_once(user) <= AT_ONCE
        assert max(self.most_at_once(user) for user in self.served("busy")) == AT_ONCE
        for user in self.served("many"):
            assert self.most_in(user, 60 - EDGE_S) <= RPM
        for user in self.served("long"):
            # an answer takes half of what it reserved, so the last one may be let in on half a reservation
            assert self.most_in(user, 60 - EDGE_S) <= TPM / TOKENS
            uncounted = sum(one.user == user and one.code == "limits_away" for one in self.told)
            assert len(self.arrived[user]) + uncounted >= TPM / TOKENS - 10
        assert {one.status for one in self.told} <= {200, 429, 503}
        away = sum(one.code == "limits_away" for one in self.told)
        assert away <= len(self.told) / 4, "who counts is there, if slow at times on a busy machine"


def house_over(folder: Path, provider: Provider, more: Mapping[str, Any]) -> Tidegate:
    """A house of three workers."""
    there = {"api": "openai", "base_url": provider.base_url + "/v1", "api_key": "x"}
    config = {"server": {"workers": 3}, "providers": {"p": there}, "limits": LIMITS, **more}
    return Tidegate(folder, config)


class Killing(Storm):
    """Redis is killed in the middle, and comes back having forgotten everything."""

    def __init__(self, seed: int, server: redis.RedisServer, seconds: float) -> None:
        super().__init__(seed)
        self.server = server
        self.gone = seconds / 3
        self.back = seconds / 2
        self.killed_at = self.back_at = 0.0

    @override
    async def call_all(self, url: str, callers: int, seconds: float) -> None:
        """Let so many callers call for so long, some of them without who counts."""
        loop = asyncio.get_running_loop()
        loop.call_later(self.gone, self._kill)
        loop.call_later(self.back, self._start)
        await super().call_all(url, callers, seconds)

    def _kill(self) -> None:
        self.killed_at = time.monotonic()
        self.server.stop()

    def _start(self) -> None:
        self.server.start()
        self.back_at = time.monotonic()

    @override
    def check(self) -> None:
        """Only while it was away it was away, and afterwards all is as it was before."""
        meanwhile = [one for one in self.told if self.killed_at + 1 < one.at < self.back_at - 1]
        assert meanwhile
        assert {one.code for one in meanwhile} == {"limits_away"}
        late = [one.code for one in self.told if one.at > self.back_at + 3]
        assert late.count("limits_away") <= len(late) / 4, "it is back, if slow at times on a busy machine"
        for before in (True, False):
            part = Storm(self.seed)
            for user, times in self.arrived.items():
                part.arrived[user] = [
                    one
                    for one in times
                    if (one[0] < self.killed_at if before else one[0] > self.back_at + EDGE_S)
                ]
            part.told = [one for one in self.told if one.code != "limits_away"]
            part.check()


def storm(folder: Path, who: str, seconds: float, callers: int, *, kill: bool = False) -> str:
    """Play it, with whoever counts; return the table."""
    made = Storm(int.from_bytes(os.urandom(4)))
    sys.stdout.write(f"seed {made.seed}\n")
    with ExitStack() as stack:
        more: dict[str, Any] = {}
        if who == "redis":
            if not redis.PROGRAM:
                pytest.skip("Redis is not installed")
            server = stack.enter_context(redis.running())
            more["redis"] = {"url": server.url}
            if kill:
                made = Killing(made.seed, server, seconds)
        provider = stack.enter_context(Provider(made.answer).in_thread())
        house = stack.enter_context(house_over(folder, provider, more))
        asyncio.run(made.call_all(house.url, callers, seconds))
        table = made.table(who)
        sys.stdout.write(f"{table}\n")
        made.check()
        assert "Traceback" not in house.log(), house.log()
    return table


@pytest.mark.parametrize("who", ["hub", "redis"])
def test_no_limit_gives_way_to_a_crowd(tmp_path: Path, who: str) -> None:
    storm(tmp_path, who, QUICK_S, 150)


@pytest.mark.chaos
def test_limits_hold_again_once_a_killed_redis_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = storm(tmp_path, "redis", FULL_S, 500, kill=True)
    with capsys.disabled():
        sys.stdout.write(f"\n{table}\n")


@pytest.mark.chaos
@pytest.mark.parametrize("who", ["hub", "redis"])
def test_no_limit_gives_way_to_five_hundred_callers_for_minutes(
    tmp_path: Path, who: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = storm(tmp_path, who, FULL_S, 500)
    with capsys.disabled():
        sys.stdout.write(f"\n{table}\n")
