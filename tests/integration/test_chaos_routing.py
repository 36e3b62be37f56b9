"""Thousands of calls over three deployments, two of which fail: nobody notices, and every row is there once."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.fakes.chaos import WORDS, Chaos, Odds
from tests.fakes.tidegate import Tidegate, eventually

FULL = 20_000
AT_ONCE = 48
FLAKY = Odds(error=0.01, reset=0.01, first_event=0.005, limit=0.02, stall=0.01)


class Told(msgspec.Struct):
    """What one caller got."""

    event: str
    good: bool
    mark: str = ""
    why: str = ""
    took_s: float = 0


class Run:
    """A house over three deployments: a flaky one, one that goes down in the middle, and a good one."""

    def __init__(self, folder: Path, seed: int) -> None:
        dice = random.Random(seed)
        self.flaky = Chaos("flaky", FLAKY, dice)
        self.absent = Chaos("absent", Odds(), dice)
        self.good = Chaos("good", Odds(), dice)
        self.told: list[Told] = []
        self.seconds = 0.0
        self._folder = folder

    def play(self, calls: int) -> list[dict[str, object]]:
        """Make the calls; return the rows of the ledger."""
        with ExitStack() as stack:
            places = [self.flaky, self.absent, self.good]
            for place in places:
                stack.enter_context(place.provider.in_thread())
            house = stack.enter_context(Tidegate(self._folder, self._config(places)))
            began = time.monotonic()
            asyncio.run(self._call_all(house, calls))
            self.seconds = time.monotonic() - began
            rows = house.await_calls(calls, thread_id="chaos")
            assert "Traceback" not in house.log(), house.log()
            ready = eventually(
                lambda: house.get("/health/ready").json(), what="the house to say whether it is ready"
            )
            assert {sink["name"] for sink in ready["sinks"]} >= {"routes", "hub"}
            return rows

    @staticmethod
    def _config(places: list[Chaos]) -> dict[str, object]:
        return {
            "server": {"workers": 2},
            "providers": {
                place.name: {"base_url": place.provider.base_url, "api_key": "x"} for place in places
            },
            "routes": {
                "any": {
                    "deployments": [{"model": f"{place.name}/m"} for place in places],
                    "strategy": "weighted",
                    "retries": {"attempts": 3, "backoff_ms": [5, 50], "retry_timeouts": True},
                    "breaker": {"window_s": 5, "min_calls": 10, "open_s": 1},
                    "timeouts": {"connect_s": 2, "first_byte_s": 0.7, "idle_s": 5, "total_s": 1.5},
                }
            },
        }

    async def _call_all(self, house: Tidegate, calls: int) -> None:
        numbers = iter(range(calls))
        timeout = aiohttp.ClientTimeout(total=60)
        connector = aiohttp.TCPConnector(limit=0, force_close=False)
        async with aiohttp.ClientSession(house.url, timeout=timeout, connector=connector) as session:
            await asyncio.gather(*(self._call_on(session, numbers, calls) for _ in range(AT_ONCE)))

    async def _call_on(self, session: aiohttp.ClientSession, numbers: Iterator[int], calls: int) -> None:
        for number in numbers:
            self.absent.down = calls / 3 <= number < calls * 2 / 3
            self.told.append(await _call(session, number))


async def _call(session: aiohttp.ClientSession, number: int) -> Told:
    event, stream = f"chaos-{number}", number % 2 == 0
    body = {"model": "any", "stream": stream, "messages": [{"role": "user", "content": event}]}
    headers = {
        "x-tidegate-event-id": event,
        "x-tidegate-thread-id": "chaos",
        "x-tidegate-timeout": "30",
    }
    began = time.monotonic()
    try:
        async with session.post("/v1/chat/completions", json=body, headers=headers) as answer:
            got = await answer.read()
            status = answer.status
    except aiohttp.ClientError as error:
        return Told(event, good=False, why=type(error).__name__)
    took_s = time.monotonic() - began
    if status != 200:
        return Told(event, good=False, why=f"{status} {got[:200]!r}", took_s=took_s)
    words = _words(got, stream=stream)
    whole = len(words) == WORDS and len(set(words)) == 1
    return Told(event, whole, words[0] if words else "", "" if whole else repr(got[-300:]), took_s)


def _words(got: bytes, *, stream: bool) -> list[str]:
    if not stream:
        said: str = msgspec.json.decode(got)["choices"][0]["message"]["content"]
        return said.split()
    events = [line[6:] for line in got.split(b"\n") if line.startswith(b"data: ")]
    if events[-1:] != [b"[DONE]"]:
        return []
    choices = [choice for event in events[:-1] for choice in msgspec.json.decode(event).get("choices", ())]
    return "".join(choice["delta"].get("content", "") for choice in choices).split()


def _check(run: Run, rows: list[dict[str, object]], calls: int) -> None:
    bad = [told for told in run.told if not told.good]
    assert len(run.told) == calls
    assert len(bad) <= calls / 10_000, bad[:10]
    marks = Counter(told.mark for told in run.told if told.good)
    assert max(marks.values()) == 1, "one answer was given to two callers"
    events = Counter(str(row["event_id"]) for row in rows)
    assert set(events) == {told.event for told in run.told}
    assert set(events.values()) == {1}, "a call has two rows"
    assert len({row["call_id"] for row in rows}) == calls
    served = {str(row["event_id"]): str(row["provider"]) for row in rows if row["status"] == "ok"}
    assert all(served[told.event] == told.mark.partition("-")[0] for told in run.told if told.good)
    asked = len(run.flaky.asked_at)
    assert run.flaky.early(grace_s=0.1) <= asked / 50, "the flaky one was not left alone"


def _table(run: Run, seed: int) -> str:
    took = sorted(told.took_s for told in run.told)
    good = sum(told.good for told in run.told)
    lines = [
        f"seed {seed}: {len(run.told)} calls in {run.seconds:.1f} s, {good} served",
        f"{'deployment':12} {'asked':>7} {'early':>6}  what happened",
    ]
    for place in (run.flaky, run.absent, run.good):
        happened = ", ".join(f"{count} {name}" for name, count in place.happened.most_common())
        lines.append(f"{place.name:12} {len(place.asked_at):7} {place.early(grace_s=0.1):6}  {happened}")
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    lines.append(f"took p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms")
    return "\n".join(lines)


def _storm(folder: Path, calls: int) -> str:
    seed = int.from_bytes(os.urandom(4))
    run = Run(folder, seed)
    rows = run.play(calls)
    table = _table(run, seed)
    sys.stdout.write(f"{table}\n")
    _check(run, rows, calls)
    return table


def test_a_thousand_calls_are_served_whatever_two_of_three_providers_do(tmp_path: Path) -> None:
    _storm(tmp_path, FULL // 20)


@pytest.mark.chaos
def test_twenty_thousand_calls_are_served_whatever_two_of_three_providers_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = _storm(tmp_path, FULL)
    with capsys.disabled():
        sys.stdout.write(f"\n{table}\n")
