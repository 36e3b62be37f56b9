from __future__ import annotations

from gateway.prices.ceiling import ceiling, upper_bound
from gateway.prices.table import FREE, Plan, PriceRow, Tier

PLAIN = PriceRow(id="plain", rates={"input_uncached": 3_000_000, "output_text": 15_000_000})
RATES = (3_000_000, 15_000_000, 0)


def test_the_highest_of_tiers_services_and_hours_counts():
    long = PriceRow(
        id="long",
        rates={"input_uncached": 3_000_000, "cache_write_1h": 6_000_000, "output_text": 15_000_000},
        tiers=(Tier(200_000, {"input_uncached": 5_000_000, "output_text": 22_000_000}),),
        services={"priority": Plan(id="p", rates={"input_uncached": 9_000_000, "output_text": 30_000_000})},
    )
    by_night = PriceRow(id="night", rates={"input_uncached": 1, "output_text": 99_000_000, "request": 7})

    assert ceiling([long, by_night], 0) == (9_000_000, 99_000_000, 7)


def test_a_price_that_is_over_does_not_count_and_no_price_is_no_ceiling():
    former = PriceRow(id="old", rates={"input_uncached": 1, "output_text": 1}, valid_until_us=10)

    assert ceiling([former, PLAIN], 10) == RATES
    assert ceiling([former], 10) is None
    assert ceiling([], 0) is None
    assert ceiling([FREE], 0) == (0, 0, 0)


def test_a_byte_is_at_most_a_token_and_the_clients_limit_bounds_the_answer():
    body = b'{"messages":[]}'

    assert upper_bound(RATES, body, {"max_tokens": 100}, answers=True) == 15 * 3 + 100 * 15
    assert upper_bound(RATES, body, {"maxOutputTokens": 100, "candidateCount": 3}, answers=True) == 45 + 4500
    assert upper_bound(RATES, body, {}, answers=False) == 45
    assert upper_bound((1, 1, 1), body, {"max_tokens": 1}, answers=True) == 1


def test_nobody_knows_the_bound_of_an_answer_without_a_limit_or_of_what_is_read_from_elsewhere():
    assert upper_bound(RATES, b"{}", {}, answers=True) is None
    for outside in (
        b'{"image_url":{"url":"https://a"}}',
        b'{"type":"web_search"}',
        b'{"previous_response_id":"r"}',
    ):
        assert upper_bound(RATES, outside, {"max_tokens": 1}, answers=True) is None
