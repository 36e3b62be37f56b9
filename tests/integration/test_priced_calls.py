"""A call served at another service tier, from the provider's bytes to the API."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from tests.fakes.provider import Provider, Received, Script
from tests.fakes.tidegate import Tidegate, eventually

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-5-2025-08-07","service_tier":"flex","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5000,'
    b'"completion_tokens":500,"total_tokens":5500,"prompt_tokens_details":{"cached_tokens":4000}}}'
)


def test_it_costs_what_that_tier_costs_and_says_what_the_cache_saved(tmp_path: Path) -> None:
    def answer(request: Received) -> Script:
        return Script(status=200 if request.method == "POST" else 404, body=(ANSWER,))

    with Provider(answer).in_thread() as upstream:
        providers = {"openai": {"base_url": f"{upstream.base_url}/v1", "api_key": "sk-of-a-test"}}
        with Tidegate(tmp_path, {"providers": providers, "memory": {"enabled": False}}) as house:
            asked = b'{"model":"gpt-5","service_tier":"flex","messages":[{"role":"user","content":"Hello"}]}'
            numbers = itertools.count(1)

            def look() -> dict[str, Any] | None:
                """Call once more: on a slow machine the first calls come before the price table."""
                assert house.request("POST", "/v1/chat/completions", asked, {}).status == 200
                rows = house.await_calls(next(numbers))
                return next((row for row in rows if row["cost_reason"] != "no_price_table"), None)

            row = eventually(look, what="a priced call")

    assert row["service_tier"] == "flex"
    assert row["usage"] == {"input_uncached": 1000, "cache_read": 4000, "output_text": 500}
    assert row["cost_lines"] == {"input_uncached": 625_000, "cache_read": 250_000, "output_text": 2_500_000}
    assert row["cost_nano_usd"] == 3_375_000
    assert row["cache_saved_nano_usd"] == 4000 * 625 - 250_000
    assert row["price_row"].endswith("gpt-5-2025-08-07 flex")
