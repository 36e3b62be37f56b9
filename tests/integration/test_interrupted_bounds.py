"""A call whose worker is killed: what it cost lies between bounds that were known before it was made."""

from __future__ import annotations

import contextlib
import http.client
import threading
from pathlib import Path

import msgspec

from tests.fakes.provider import Provider, Received, Script
from tests.fakes.tidegate import Tidegate, eventually

PRICES = {"fake/m": {"input": "1", "output": "2"}}
MOST = 100


def silent(_: Received) -> Script:
    return Script(delay_s=600)


def test_the_bounds_of_an_interrupted_call_hold_what_its_limit_allows(tmp_path: Path) -> None:
    bounded = msgspec.json.encode(
        {"model": "fake/m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": MOST}
    )
    bodies = {"bounded": bounded, "unbounded": bounded.replace(b'"max_tokens"', b'"top_logprobs"')}
    with Provider(silent).in_thread() as provider:
        settings = {"providers": {"fake": {"base_url": provider.base_url, "api_key": "x"}}, "prices": PRICES}
        with Tidegate(tmp_path, settings) as house:
            eventually(lambda: house.get("/api/calls").status == 200, what="the ledger and its prices")

            def ask(event: str) -> None:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    house.request(
                        "POST", "/v1/chat/completions", bodies[event], {"x-tidegate-event-id": event}
                    )

            threads = [threading.Thread(target=ask, args=(event,)) for event in bodies]
            for thread in threads:
                thread.start()
            eventually(lambda: sum(bool(one.body) for one in provider.requests) == 2, what="both calls")
            house.kill("worker")
            for thread in threads:
                thread.join()
            (known,) = house.await_calls(1, event_id="bounded")
            (unknown,) = house.await_calls(1, event_id="unbounded")
    assert known["status"] == unknown["status"] == "interrupted"
    assert (known["cost_nano_usd"], known["cost_lower_nano_usd"]) == (None, 0)
    assert known["cost_upper_nano_usd"] == len(bounded) * 1000 + MOST * 2000
    assert unknown["cost_upper_nano_usd"] is None
