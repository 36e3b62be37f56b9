from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.prices.table import (
    FORMAT,
    FREE,
    Book,
    Entry,
    File,
    Plan,
    PriceRow,
    PriceTable,
    Rates,
    Tier,
    complete,
)

HOUR = 3_600_000_000
DAY = 24 * HOUR
_FRIDAY = 24
"""2 January 1970, in hours."""


def row(name: str, **when: Any) -> PriceRow:
    return PriceRow(id=name, rates={"input_uncached": 1}, **when)


def table(**books: Book) -> PriceTable:
    packed = {name: msgspec.Raw(msgspec.msgpack.encode(book)) for name, book in books.items()}
    return PriceTable.decode(msgspec.msgpack.encode(File(format=FORMAT, version="v", books=packed)))


def found(prices: PriceTable, model: str, at_us: int = 0, provider: str = "acme") -> str:
    hit = prices.find(provider, model, at_us)
    return hit.id if hit else ""


@pytest.mark.parametrize(
    ("match", "model"),
    [
        (["=", "abc"], "ABC"),
        (["^", "ab"], "abx"),
        (["$", "bc"], "xbc"),
        (["*", "b"], "abc"),
        (["~", "^a.c$"], "abc"),
        (["|", ["=", "x"], ["=", "abc"]], "abc"),
        (["&", ["^", "a"], ["$", "c"]], "abc"),
    ],
)
def test_a_model_is_recognised_by_its_match(match, model):
    prices = table(acme=Book(entries=(Entry(match=match, rows=(row("hit"),)),)))

    assert found(prices, model) == "hit"
    assert found(prices, "qqq") == ""
    assert found(prices, model, provider="other") == ""


@pytest.mark.parametrize("model", ["m-2024-08-06", "m-20240806", "m@20240806", "m"])
def test_a_dated_name_falls_to_its_row(model):
    assert found(table(acme=Book(entries=(Entry(match=["=", "m"], rows=(row("hit"),)),))), model) == "hit"


def test_what_litellm_is_asked_for_costs_what_it_costs_at_the_provider_behind():
    cohere = Book(entries=(Entry(match=["=", "command-r"], rows=(row("cohere"),)),))
    own = Book(overrides={"cohere_chat/command-a": row("ours")})
    prices = table(cohere=cohere, litellm=own)

    assert found(prices, "cohere_chat/command-r", provider="litellm") == "cohere"
    assert found(prices, "cohere_chat/command-a", provider="litellm") == "ours"
    assert found(prices, "cohere_chat/other", provider="litellm") == ""
    assert found(prices, "command-r", provider="litellm") == ""
    assert found(prices, "cohere_chat/command-r", provider="cohere") == ""


def test_a_dated_name_with_its_own_row_keeps_it():
    own = Entry(match=["=", "m-2024-05-13"], rows=(row("dated"),))
    prices = table(acme=Book(entries=(Entry(match=["=", "m"], rows=(row("plain"),)), own)))

    assert found(prices, "m-2024-05-13") == found(prices, "m-20240513") == "dated"


def test_a_model_has_the_window_that_is_told_of_it_whatever_it_costs_here():
    entries = tuple(
        Entry(match=["=", name], rows=(row(name, window=window),)) for name, window in (("m", 8), ("n", 0))
    )
    book = Book(
        overrides={"m": row("own")},
        entries=entries,
        spare={"n": row("spare", window=9), "m": row("spare", window=9)},
    )
    prices = table(acme=book)

    windows = [prices.window("acme", name) for name in ("m", "m-2024-08-06", "n", "nobody's")]

    assert windows == [8, 8, 9, 0]
    assert [found(prices, name) for name in ("m", "n")] == ["own", "n"]
    assert prices.window("sandbox", "echo") == prices.window("nobody", "m") == 0


def test_overrides_win_and_spare_rows_come_last():
    entry = Entry(match=["*", "m"], rows=(row("entry"),))
    book = Book(overrides={"m1": row("own")}, entries=(entry,), spare={"m1": row("s"), "x": row("spare")})
    prices = table(acme=book)

    assert [found(prices, m) for m in ("m1", "m2", "x")] == ["own", "entry", "spare"]


def test_an_override_is_for_dated_names_too_and_one_may_be_for_all():
    entry = Entry(match=["^", "m"], rows=(row("entry"),))
    prices = table(acme=Book(overrides={"m": row("own"), "*": row("rest")}, entries=(entry,)))

    assert [found(prices, m) for m in ("m", "m-2024-08-06", "m2")] == ["own", "own", "rest"]


def listed(rates: Rates, **more: Any) -> PriceRow:
    return PriceRow(id="row", rates=rates, **more)


def test_service_tiers_come_from_another_source_that_agrees_on_the_standard_price():
    plan = Plan(id="flex", rates={"input_uncached": 1})
    spare = listed({"input_uncached": 2, "output_text": 4}, services={"flex": plan})
    entry = Entry(match=["=", "m"], rows=(listed({"input_uncached": 2, "output_text": 4, "cache_read": 1}),))
    other = Entry(match=["=", "o"], rows=(listed({"input_uncached": 3, "output_text": 4}),))
    prices = table(acme=Book(entries=(entry, other), spare={"m": spare, "o": spare}))

    agreed, differing = (prices.find("acme", name, 0) for name in ("m", "o"))
    assert agreed is not None
    assert differing is not None
    assert agreed.services == {"flex": plan}
    assert differing.services == {}


def test_no_tier_discounts_searches_and_a_long_input_without_rates_there_has_no_price():
    plan = Plan(id="flex", rates={"input_uncached": 1}, tiers=(Tier(50, {"input_uncached": 3}),))
    own = listed({"input_uncached": 2, "web_searches": 7}, tiers=(Tier(90, {"input_uncached": 5}),))

    served = own.served_as(listed({"input_uncached": 2}, services={"flex": plan})).services["flex"]

    assert served.rates == {"input_uncached": 1, "web_searches": 7}
    assert served.tiers == (
        Tier(50, {"input_uncached": 3, "web_searches": 7}),
        Tier(90, {"web_searches": 7}),
    )


def test_a_factor_is_taken_of_every_rate_but_fees():
    rates = {"input_uncached": 200, "web_searches": 7, "request": 9}
    own = listed(rates, tiers=(Tier(9, {"input_uncached": 400, "web_searches": 7}),))

    half = own.served_as(listed({"input_uncached": 200}, factors={"batch": 50})).services["batch"]

    assert half.id == "row batch"
    assert half.rates == {"input_uncached": 100, "web_searches": 7, "request": 9}
    assert half.tiers == (Tier(9, {"input_uncached": 200, "web_searches": 7}),)


@pytest.mark.parametrize(
    ("rates", "bucket", "rate"),
    [
        ({"output_text": 5}, "output_reasoning", 5),
        ({"output_text": 5, "output_reasoning": 7}, "output_reasoning", 7),
        ({"input_uncached": 5}, "cache_read", 5),
        ({"input_uncached": 5}, "cache_write_5m", 5),
        ({"input_uncached": 5}, "cache_write_1h", 5),
        ({"input_uncached": 5, "cache_write_5m": 6}, "cache_write_1h", None),
        ({"input_uncached": 5, "cache_write_5m": 6, "cache_write_1h": 8}, "cache_write_1h", 8),
        ({"input_uncached": 5}, "input_image", 5),
        ({"input_uncached": 5, "input_image": 9}, "input_image", 9),
        ({"input_uncached": 5}, "input_audio", None),
        ({"output_text": 5}, "output_audio", None),
        ({"output_text": 5}, "output_image", None),
        ({"input_uncached": 5}, "output_text", None),
        ({"output_text": 5}, "input_uncached", None),
        ({"output_text": 5}, "cache_read", None),
        ({"input_uncached": 5}, "web_searches", None),
        ({"input_uncached": 0}, "cache_read", 0),
    ],
)
def test_a_missing_rate_follows_the_rules(rates, bucket, rate):
    assert complete(rates).get(bucket) == rate
    assert complete(rates).items() >= rates.items()


def test_the_last_row_that_holds_is_the_one():
    rows = (
        row("first"),
        row("later", valid_from_us=10 * DAY),
        row("peak", day_from_us=22 * HOUR, day_until_us=2 * HOUR),
    )
    prices = table(acme=Book(entries=(Entry(match=["=", "m"], rows=rows),)))

    at = {"first": 5 * DAY + 12 * HOUR, "later": 10 * DAY + 2 * HOUR, "peak": 9 * DAY + 23 * HOUR}
    assert {name: found(prices, "m", time) for name, time in at.items()} == {n: n for n in at}
    assert found(prices, "m", DAY + HOUR) == "peak"


def test_busy_hours_may_be_those_of_workdays():
    busy = row("r", day_from_us=HOUR, day_until_us=4 * HOUR, workdays=True)
    monday = 4 * DAY

    assert [busy.holds(monday + day * DAY + 2 * HOUR) for day in range(8)] == [True] * 5 + [False] * 2 + [
        True
    ]
    assert not busy.holds(monday + 5 * HOUR)


@given(
    st.lists(
        st.builds(
            lambda start, end, hours, workdays: {
                "valid_from_us": start and (_FRIDAY + start) * HOUR,
                "valid_until_us": end and (_FRIDAY + end) * HOUR,
                "day_from_us": hours[0] * HOUR,
                "day_until_us": hours[1] * HOUR,
                "workdays": workdays,
            },
            st.integers(0, 60),
            st.integers(0, 120),
            st.tuples(st.integers(0, 23), st.integers(0, 23)),
            st.booleans(),
        ),
        max_size=3,
    ),
    st.permutations(range(0, 120, 3)),
)
def test_what_was_found_before_holds_only_as_long_as_it_is_so(times, asked):
    rows = tuple(row(str(n), **when) for n, when in enumerate(times))
    prices = table(acme=Book(entries=(Entry(match=["=", "m"], rows=rows),)))

    for hour in (*range(120), *reversed(range(120)), *asked):
        at_us = (_FRIDAY + hour) * HOUR
        holding = [one.id for one in rows if one.holds(at_us)]
        assert found(prices, "m", at_us) == (holding[-1] if holding else "")


def test_a_row_ends():
    assert row("r", valid_until_us=5).holds(4)
    assert not row("r", valid_until_us=5).holds(5)


def test_the_sandbox_is_free():
    assert table().find("sandbox", "anything", 0) is FREE


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="format"):
        PriceTable.decode(msgspec.msgpack.encode(File(format=99, version="v", books={})))
    with pytest.raises(ValueError, match=r"."):
        PriceTable.decode(b"garbage")


def test_names_nobody_knows_do_not_fill_the_memory():
    prices = table()
    for i in range(5000):
        prices.find("acme", f"m{i}", 0)

    assert len(prices._rows) <= 4096
