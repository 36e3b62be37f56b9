from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.prices.again import pricer
from gateway.prices.table import FORMAT, Book, File, PriceRow, PriceTable
from telemetry.records import Cost, Usage
from telemetry.upkeep.rerate import Priceable

BOOK = Book(
    overrides={
        "small": PriceRow(id="small", rates={"output_text": 1_000_000}, factors={}, valid_from_us=100),
        "small-dated": PriceRow(id="dated", rates={"output_text": 2_000_000}),
    }
)
TABLE = PriceTable.decode(
    msgspec.msgpack.encode(
        File(format=FORMAT, version="v7", books={"acme": msgspec.Raw(msgspec.msgpack.encode(BOOK))})
    )
)


def priced(**changes: Any) -> Cost:
    asked = {
        "provider": "acme",
        "served_model": "small",
        "response_model": "",
        "started_at_us": 100,
        "service_tier": "",
    }
    return pricer(TABLE)(Priceable(**{**asked, "usage": Usage(output_text=3), **changes}))


@pytest.mark.parametrize(
    ("changes", "row", "cost"),
    [
        ({}, "small", 3),
        ({"served_model": "acme/small"}, "small", 3),
        ({"response_model": "small-dated"}, "dated", 6),
        ({"response_model": "unheard-of"}, "small", 3),
    ],
)
def test_a_past_call_is_priced_by_what_answered_then(changes, row, cost):
    found = priced(**changes)

    assert (found.price_row, found.total_nano_usd, found.price_version) == (row, cost, "v7")


def test_what_has_no_price_then_or_at_that_tier_stays_unknown():
    assert priced(started_at_us=99).reason == "unknown_model"
    assert priced(provider="other").reason == "unknown_model"
    assert priced(service_tier="flex").reason == "no_tier:flex"
