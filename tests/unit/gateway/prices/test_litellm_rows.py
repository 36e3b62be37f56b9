from __future__ import annotations

import msgspec
import pytest

from gateway.prices.litellm_rows import spare_rows
from gateway.prices.table import PriceRow, Rates, Tier


def rows(**models: object) -> dict[str, dict[str, PriceRow]]:
    return spare_rows(msgspec.json.encode(models))


def test_prices_are_exact_integers():
    data = (
        b'{"acme/M": {"litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 7.5e-08,'
        b'"output_cost_per_token": 3e-07, "cache_read_input_token_cost": 1.875e-8,'
        b'"input_cost_per_token_above_200k_tokens": 1.5e-07}}'
    )

    assert spare_rows(data) == {
        "acme": {
            "m": PriceRow(
                id="litellm:acme/M",
                rates=Rates(input=75_000_000, output=300_000_000, cache_read=18_750_000),
                tiers=(Tier(200_000, Rates(input=150_000_000, output=300_000_000, cache_read=18_750_000)),),
            )
        }
    }


def test_providers_have_the_catalogs_names():
    said = {"litellm_provider": "together_ai", "mode": "chat", "input_cost_per_token": 1}

    assert list(rows(**{"together_ai/org/m": said})["together"]) == ["org/m"]


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
