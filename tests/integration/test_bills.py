"""While calls flow and processes are killed: the ledger's sum is the provider's bill, to the nano-dollar."""

from __future__ import annotations

import contextlib
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from telemetry.store.base import Row, Store
from telemetry.store.embedded import open_folder
from telemetry.store.server import open_server
from tests.fakes.billing import MOST_OUT, PRICES, Billing, Books, Senders, books_of
from tests.fakes.callers import Callers, Heard
from tests.fakes.ledger import start_front
from tests.fakes.provider import Provider
from tests.fakes.storm import Storm, settled_down
from tests.fakes.tidegate import Tidegate, eventually, free_port

CALLS = 50_000
KILLS = 20
SHARE = 20
"""The quick test is such a part of the full one."""
VICTIMS = ("worker", "telemetry", "hub")
THREADS = 6
WORKERS = 2


class Told(NamedTuple):
    """What everybody but the ledger knows of a run."""

    answered: dict[str, Heard]
    tried: set[str]
    cut: list[str]
    bill: Counter[str]
    logs: dict[str, int]


def config(provider: Provider, **more: Any) -> dict[str, Any]:
    return {
        "providers": {"fake": {"base_url": provider.base_url, "api_key": "x"}},
        "prices": PRICES,
        "server": {"drain_s": 10, "workers": WORKERS},
        **more,
    }


def run(house: Tidegate, billing: Billing, seed: int, *, calls: int, kills: int, inserting: bool) -> Told:
    """Let calls and logs flow, and kill somebody after every so many of them."""
    print(f"seed {seed}")  # noqa: T201 - to repeat a failure
    source = random.Random(seed)
    victims = [victim for _ in range(kills) for victim in source.sample(VICTIMS, len(VICTIMS))]
    eventually((house.data / "prices.msgpack").exists, what="prices")
    storm = Storm(house, source, inserting=inserting)
    with (
        Senders(house, seed) as senders,
        Callers(house, "fake/m", threads=THREADS, leave_every=7, max_tokens=MOST_OUT) as callers,
    ):
        for victim in victims:
            callers.await_more(int(calls / len(victims) * source.uniform(0.3, 0.9)))
            storm.strike(victim)
        eventually(lambda: len(billing.bill) >= calls, what=f"{calls} calls", patience_s=calls / 20)
    assert storm.in_an_insert == inserting * kills
    return Told(callers.answered, set(callers.tried), storm.cut, billing.bill, senders.bill)


def compare(books: Books, told: Told) -> None:
    """Compare the ledger with what everybody else knows."""
    calls = [row for row in books.spans if row["kind"] == "llm"]
    logs = {row["log_id"]: row["cost_nano_usd"] for row in books.spans if row["kind"] == "log"}
    by_event = {row["event_id"]: row for row in calls}
    assert len(by_event) == len(calls), "a call is there twice"
    assert len({row["call_id"] for row in books.spans}) == len(calls) + len(logs) == len(books.spans)
    assert set(by_event) <= told.tried | set(told.cut)
    assert set(told.bill) <= set(by_event), "a provider was asked and nobody remembers"
    assert all(by_event[event]["call_id"] == heard.call_id for event, heard in told.answered.items())
    # A worker may be killed when its last byte is out, and what it cost is not yet written.
    late = [event for event in told.answered if by_event[event]["status"] != "ok"]
    assert {by_event[event]["status"] for event in late} <= {"interrupted"}
    assert len(late) <= WORKERS * len(told.cut)
    assert logs == told.logs
    settled = compare_money(calls, told)
    assert books.rollup == {
        "calls": len(books.spans),
        "cost": settled + sum(logs.values()),
        "interrupted": sum(row["status"] == "interrupted" for row in calls),
    }
    wanted = [(row["call_id"], "event_id", row["event_id"]) for row in books.spans if row["event_id"]]
    wanted += [(row["call_id"], "log_id", row["log_id"]) for row in books.spans if row["log_id"]]
    assert books.index == Counter(wanted)


def compare_money(calls: list[Row], told: Told) -> int:
    """Compare what calls cost with the provider's bill; return what those cost that were settled."""
    settled = [row for row in calls if row["status"] != "interrupted"]
    assert {row["status"] for row in settled} == {"ok", "cancelled"}
    wrong = [row for row in settled if (row["cost_nano_usd"] or 0) != told.bill[row["event_id"]]]
    assert wrong == []
    lost = [row for row in calls if row["status"] == "interrupted"]
    assert set(told.cut) <= {row["event_id"] for row in lost}
    billed = [told.bill[row["event_id"]] for row in lost]
    for row, bill in zip(lost, billed, strict=True):
        assert (row["cost_nano_usd"], row["cost_lower_nano_usd"]) == (None, 0)
        if row["event_id"] not in told.cut:  # those asked the sandbox, which costs nothing
            assert bill <= row["cost_upper_nano_usd"]
    assert any(billed), "nothing that was lost had been billed"
    total = sum(row["cost_nano_usd"] or 0 for row in settled)
    assert total + sum(billed) == sum(told.bill.values())
    print(f"{len(calls)} calls, {len(lost)} interrupted, {total} nano-dollars, {len(told.logs)} logs")  # noqa: T201
    return total


def read(open_store: Callable[[], Store]) -> Books:
    with contextlib.closing(open_store()) as store:
        return books_of(store)


def storm_of_kills(tmp_path: Path, seed: int, *, calls: int, kills: int) -> None:
    billing = Billing()
    with Provider(billing).in_thread() as provider:
        with Tidegate(tmp_path, config(provider)) as house:
            told = run(house, billing, seed, calls=calls, kills=kills, inserting=True)
            house.stop(signal.SIGKILL)
            house.start()
            counts = settled_down(house)
        assert counts["opened"] == counts["settled"] + counts["interrupted"]
        assert not list((house.data / "journal" / "dead-letters").glob("*"))
        compare(read(lambda: open_folder(house.data / "clickhouse")), told)


def storm_without_a_store(tmp_path: Path, seed: int, *, calls: int, kills: int) -> None:
    billing, port = Billing(), free_port()
    url = f"http://127.0.0.1:{port}/tidegate"
    with Provider(billing).in_thread() as provider, contextlib.ExitStack() as stack:
        house = stack.enter_context(Tidegate(tmp_path, config(provider, clickhouse={"url": url})))
        told = run(house, billing, seed, calls=calls, kills=kills, inserting=False)
        front, _ = start_front(tmp_path / "clickhouse", port)
        stack.callback(front.wait)
        stack.callback(front.kill)
        counts = settled_down(house, patience_s=60 + calls / 50)
        assert counts["opened"] == counts["settled"] + counts["interrupted"]
        assert not list((house.data / "journal" / "dead-letters").glob("*"))
        compare(read(lambda: open_server(url)), told)


def test_settled_calls_sum_up_to_the_providers_bill_whoever_is_killed(tmp_path: Path) -> None:
    storm_of_kills(tmp_path, 20261121, calls=CALLS // SHARE, kills=KILLS // SHARE)


def test_with_the_store_away_all_the_time_the_bill_is_the_same_once_it_is_back(tmp_path: Path) -> None:
    storm_without_a_store(tmp_path, 7, calls=CALLS // SHARE // 4, kills=KILLS // SHARE)


@pytest.mark.chaos
def test_fifty_thousand_calls_and_sixty_kills_sum_up_to_the_providers_bill(tmp_path: Path) -> None:
    storm_of_kills(tmp_path, 7, calls=CALLS, kills=KILLS)


@pytest.mark.chaos
def test_fifty_thousand_calls_without_a_store_sum_up_to_the_bill_once_it_is_back(tmp_path: Path) -> None:
    storm_without_a_store(tmp_path, 20261121, calls=CALLS, kills=KILLS)
