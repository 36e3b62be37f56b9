"""Thousands of calls over three deployments, two of which fail: nobody notices, and every row is there once."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.fakes import aimock
from tests.fakes.chaos import APIS, RETRY_AFTER_S, WORDS, Chaos, Odds
from tests.fakes.tidegate import Tidegate, eventually

FULL = 20_000
AT_ONCE = 48
FLAKY = Odds(error=0.01, reset=0.01, first_event=0.005, limit=0.02, stall=0.01)
GRACE_S = 0.1
"""What is under way when a provider asks to be left alone, and the time that news take."""
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


class Told(msgspec.Struct):
    """What one caller got."""

    event: str
    good: bool
    mark: str = ""
    why: str = ""
    took_s: float = 0


class Run:
    """A house over three deployments: a flaky one, one that goes down in the middle, and a good one.

    They are of three families, the seed says who of which. Half of the callers speak OpenAI's API, half Anthropic's.
    """

    def __init__(self, folder: Path, seed: int, *, stranger: bool) -> None:
        self.seed = seed
        self.stranger = stranger
        """The good one is aimock."""
        dice = random.Random(seed)
        apis = dice.sample(APIS, len(APIS))
        self.flaky = Chaos("flaky", apis[0], FLAKY, dice)
        self.absent = Chaos("absent", apis[1], Odds(), dice)
        self.good = Chaos("aimock" if stranger else "good", apis[2], Odds(), dice)
        self.told: list[Told] = []
        self.rows: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._folder = folder

    @property
    def places(self) -> list[Chaos]:
        """The deployments."""
        return [self.flaky, self.absent, self.good]

    def play(self, calls: int) -> None:
        """Make the calls and read the rows of the ledger."""
        with ExitStack() as stack:
            for place in self.places:
                stack.enter_context(place.provider.in_thread())
            origins = {place.name: place.origin for place in self.places}
            if self.stranger:
                origins[self.good.name] = stack.enter_context(aimock.signed(WORDS))
            house = stack.enter_context(Tidegate(self._folder, self._config(origins)))
            began = time.monotonic()
            asyncio.run(self._call_all(house, calls))
            self.seconds = time.monotonic() - began
            self.rows = house.await_calls(calls, thread_id="chaos")
            assert "Traceback" not in house.log(), house.log()
            ready = eventually(
                lambda: house.get("/health/ready").json(), what="the house to say whether it is ready"
            )
            assert {sink["name"] for sink in ready["sinks"]} >= {"routes", "hub"}

    def _config(self, origins: Mapping[str, str]) -> dict[str, object]:
        def provider(place: Chaos) -> dict[str, str]:
            return {
                "api": place.api.name,
                "base_url": origins[place.name] + place.api.path,
                "api_key": "x",
            }

        return {
            "server": {"workers": 2},
            "providers": {place.name: provider(place) for place in self.places},
            "routes": {
                "any": {
                    "deployments": [{"model": f"{place.name}/m"} for place in self.places],
                    "strategy": "weighted",
                    "retries": {"attempts": 3, "backoff_ms": [5, 50], "retry_timeouts": True},
                    "breaker": {"window_s": 5, "min_calls": 10, "open_s": 1},
                    "timeouts": {"connect_s": 2, "first_byte_s": 1.5, "idle_s": 5, "total_s": 4},
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
    event, stream, path = f"chaos-{number}", number % 2 == 0, (CHAT, MESSAGES)[number // 2 % 2]
    said = [{"role": "user", "content": event}]
    body = {"model": "any", "stream": stream, "max_tokens": 100, "messages": said}
    headers = {
        "x-tidegate-event-id": event,
        "x-tidegate-thread-id": "chaos",
        "x-tidegate-timeout": "30",
    }
    began = time.monotonic()
    try:
        async with session.post(path, json=body, headers=headers) as answer:
            got = await answer.read()
            status = answer.status
    except aiohttp.ClientError as error:
        return Told(event, good=False, why=type(error).__name__)
    took_s = time.monotonic() - began
    if status != 200:
        return Told(event, good=False, why=f"{status} {got[:200]!r}", took_s=took_s)
    words = _words(got, path, stream=stream)
    whole = len(words) == WORDS and len(set(words)) == 1
    return Told(event, whole, words[0] if words else "", "" if whole else repr(got[-300:]), took_s)


def _words(got: bytes, path: str, *, stream: bool) -> list[str]:
    """Return what an answer says, nothing if it is not whole."""
    if not stream:
        answer = msgspec.json.decode(got)
        said: str = (
            answer["choices"][0]["message"]["content"] if path == CHAT else answer["content"][0]["text"]
        )
        return said.split()
    data = [line[6:] for line in got.split(b"\n") if line.startswith(b"data: ")]
    if path == CHAT:
        if data[-1:] != [b"[DONE]"]:
            return []
        events = [msgspec.json.decode(event) for event in data[:-1]]
        choices = [choice for event in events for choice in event.get("choices", ())]
        return "".join(choice["delta"].get("content") or "" for choice in choices).split()
    events = [msgspec.json.decode(event) for event in data]
    if not events or events[-1]["type"] != "message_stop":
        return []
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    return "".join(delta["text"] for delta in deltas).split()


def _check(run: Run, calls: int) -> None:
    bad = [told for told in run.told if not told.good]
    assert len(run.told) == calls
    assert len(bad) <= calls / 10_000, bad[:10]
    marks = Counter(told.mark for told in run.told if told.good)
    assert max(marks.values()) == 1, "one answer was given to two callers"
    events = Counter(str(row["event_id"]) for row in run.rows)
    assert set(events) == {told.event for told in run.told}
    assert set(events.values()) == {1}, "a call has two rows"
    assert len({row["call_id"] for row in run.rows}) == calls
    served = {str(row["event_id"]): str(row["provider"]) for row in run.rows if row["status"] == "ok"}
    assert all(served[told.event] == told.mark.partition("-")[0] for told in run.told if told.good)
    assert set(served.values()) == {place.name for place in run.places}
    assert run.flaky.early(grace_s=GRACE_S) <= len(run.flaky.asked_at) / 50, (
        "the flaky one was not left alone"
    )
    if returns := run.flaky.returns(grace_s=GRACE_S):
        now_and_then = 3 * run.seconds / len(run.flaky.asked_at)
        assert median(returns) <= RETRY_AFTER_S * 1.1 + now_and_then, "it was left alone for too long"


def _table(run: Run) -> str:
    took = sorted(told.took_s for told in run.told)
    good = sum(told.good for told in run.told)
    served = Counter(str(row["provider"]) for row in run.rows if row["status"] == "ok")
    lines = [
        f"seed {run.seed}: {len(run.told)} calls in {run.seconds:.1f} s, {good} served, {len(run.rows)} rows",
        f"{'deployment':12} {'family':10} {'served':>7} {'asked':>7}  what happened",
    ]
    for place in run.places:
        happened = ", ".join(f"{count} {name}" for name, count in place.happened.most_common())
        asked = len(place.asked_at) or ""  # aimock is not asked
        lines.append(f"{place.name:12} {place.api.name:10} {served[place.name]:7} {asked:>7}  {happened}")
    if returns := run.flaky.returns(grace_s=GRACE_S):
        lines.append(
            f"told to wait {RETRY_AFTER_S * 1000:.0f} ms: asked again after {min(returns) * 1000:.0f} ms at the"
            f" soonest, {median(returns) * 1000:.0f} ms in the middle; {run.flaky.early(grace_s=GRACE_S)} too early"
        )
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    lines.append(f"took p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms")
    return "\n".join(lines)


def _storm(folder: Path, calls: int, *, stranger: bool) -> str:
    run = Run(folder, int.from_bytes(os.urandom(4)), stranger=stranger)
    sys.stdout.write(f"seed {run.seed}\n")
    run.play(calls)
    table = _table(run)
    sys.stdout.write(f"{table}\n")
    _check(run, calls)
    return table


def test_a_thousand_calls_are_served_whatever_two_of_three_providers_do(tmp_path: Path) -> None:
    _storm(tmp_path, FULL // 20, stranger=False)


@pytest.mark.chaos
def test_twenty_thousand_calls_are_served_whatever_two_of_three_providers_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = _storm(tmp_path, FULL, stranger=True)
    with capsys.disabled():
        sys.stdout.write(f"\n{table}\n")
