from __future__ import annotations

import msgspec
import pytest

from gateway.prices.litellm_rows import spare_rows
from gateway.prices.table import Plan, PriceRow, Tier, complete

TEXT = {"input_uncached": 1_000_000_000, "output_text": 2_000_000_000}


def rows(**models: object) -> dict[str, dict[str, PriceRow]]:
    return spare_rows(msgspec.json.encode(models))


def row(provider: str = "acme", **said: object) -> PriceRow:
    known = {
        "litellm_provider": provider,
        "mode": "chat",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 2e-6,
    }
    return rows(m=known | said)[provider]["m"]


def test_prices_are_exact_integers():
    data = (
        b'{"acme/M": {"litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 7.5e-08,'
        b'"output_cost_per_token": 3e-07, "cache_read_input_token_cost": 1.875e-8,'
        b'"input_cost_per_token_above_200k_tokens": 1.5e-07}}'
    )
    rates = {"input_uncached": 75_000_000, "output_text": 300_000_000, "cache_read": 18_750_000}

    assert spare_rows(data) == {
        "acme": {
            "m": PriceRow(
                id="litellm:acme/M",
                rates=complete(rates),
                tiers=(Tier(200_000, complete(rates | {"input_uncached": 150_000_000})),),
            )
        }
    }


def test_a_tier_of_long_inputs_re_rates_what_follows_from_its_prices():
    long = row(output_cost_per_token_above_128k_tokens=5e-6).tiers[0]

    assert (long.above, long.rates["output_reasoning"]) == (128_000, 5_000_000_000)
    assert long.rates["input_uncached"] == 1_000_000_000


def test_xais_tier_begins_at_the_number_itself():
    assert row("xai", input_cost_per_token_above_200k_tokens=2e-6).tiers[0].above == 199_999


def test_service_tiers_are_plans_of_their_own():
    found = row(
        input_cost_per_token_flex=5e-7,
        output_cost_per_token_flex=1e-6,
        input_cost_per_token_batches=4e-7,
        output_cost_per_token_batches=8e-7,
        input_cost_per_token_above_200k_tokens_batches=7e-7,
        input_cost_per_token_cache_hit=1e-9,
    )

    assert found.services["flex"] == Plan(
        id="litellm:m flex", rates=complete({"input_uncached": 500_000_000, "output_text": 1_000_000_000})
    )
    assert found.services["batch"].tiers == (
        Tier(200_000, complete({"input_uncached": 700_000_000, "output_text": 800_000_000})),
    )
    assert set(found.services) == {"flex", "batch"}


def test_what_has_a_price_of_its_own_at_the_standard_tier_has_none_at_another_that_names_none():
    found = row(
        cache_read_input_token_cost=1e-7,
        output_cost_per_reasoning_token=2e-6,
        input_cost_per_token_flex=5e-7,
        output_cost_per_token_flex=1e-6,
    )

    flex = found.services["flex"].rates
    assert "cache_read" not in flex
    assert flex["output_reasoning"] == flex["output_text"]


def test_anthropics_tiers_are_factors_that_multiply():
    found = row(
        "anthropic",
        input_cost_per_token_batches=5e-7,
        output_cost_per_token_batches=1e-6,
        provider_specific_entry={"us": 1.1, "fast": 2},
    )

    assert found.services == {}
    assert found.factors == {"batch": 50, "fast": 200, "us": 110, "batch+us": 55, "fast+us": 220}


def test_a_search_has_a_price_if_its_size_does_not_matter():
    sizes = {"search_context_size_low": 0.01, "search_context_size_high": 0.01}

    assert row(search_context_cost_per_query=sizes).rates["web_searches"] == 10_000 * 10**9
    other = row(search_context_cost_per_query=sizes | {"search_context_size_high": 0.02})
    assert "web_searches" not in other.rates


def test_providers_have_the_catalogs_names():
    said = {"litellm_provider": "together_ai", "mode": "chat", "input_cost_per_token": 1}

    assert list(rows(**{"together_ai/org/m": said})["together"]) == ["org/m"]
    assert list(rows(**{"gemini/m": {**said, "litellm_provider": "gemini"}})["gemini"]) == ["m"]


@pytest.mark.parametrize(
    "said",
    [
        {"litellm_provider": "a", "mode": "image_generation", "input_cost_per_token": 1},
        {"litellm_provider": "a", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0.0},
        {"litellm_provider": "a", "mode": "chat"},
        {"mode": "chat", "input_cost_per_token": 1},
        {"litellm_provider": "a", "mode": "chat", "input_cost_per_token": "cheap"},
    ],
    ids=["another mode", "free", "no price", "nobody's", "not a number"],
)
def test_what_cannot_be_trusted_is_left_out(said):
    assert rows(m=said) == {}


def test_another_file_is_refused():
    with pytest.raises(ValueError, match="Expected"):
        spare_rows(b"[]")
