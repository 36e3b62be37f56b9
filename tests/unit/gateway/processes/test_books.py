"""What logs cost, by the gateway's own rules and prices."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.prices.compile import compile_table
from gateway.processes.books import PriceBooks
from gateway.settings import PriceOverride, ProviderSettings
from telemetry.records import Usage

AT_US = 1_795_000_000_000_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = tmp_path_factory.mktemp("prices") / "prices"
    compile_table(table, {"own/model": PriceOverride(input="1", output="2")})
    return table


@pytest.fixture
def books(path: Path) -> PriceBooks:
    return PriceBooks(path, {"own": ProviderSettings(base_url="http://localhost:1/v1", prefixes=("mine-",))})


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        (
            b'{"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}',
            Usage(input_uncached=5, cache_read=4, output_text=2),
        ),
        (
            b'{"input_tokens": 9, "output_tokens": 2, "cache_read_input_tokens": 4}',
            Usage(input_uncached=9, cache_read=4, output_text=2),
        ),
        (
            b'{"prompt_tokens": 9, "completion_tokens": 2, "cache_read_input_tokens": 4}',
            Usage(input_uncached=9, output_text=2),
        ),
        (
            b'{"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}',
            Usage(input_uncached=9, output_text=2),
        ),
        (b'{"tokens": 9}', None),
        (b'{"prompt_tokens": 9223372036854775808}', None),
    ],
)
def test_a_usage_object_is_read_as_its_provider_means_it(
    books: PriceBooks, raw: bytes, usage: Usage | None
) -> None:
    assert books.usage(raw) == usage


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("own/anything", "own"),
        ("mine-7b", "own"),
        ("nobody/knows", ""),
        ("unheard", ""),
    ],
)
def test_a_models_name_says_whose_it_is(books: PriceBooks, model: str, provider: str) -> None:
    assert books.provider(model) == provider


def test_prices_are_those_of_the_gateways_own_calls(books: PriceBooks) -> None:
    usage = Usage(input_uncached=1000, output_text=100)
    assert books.price("openai", "gpt-4o", usage, at_us=AT_US, tier="").total_nano_usd == 3_500_000
    assert books.price("own", "own/model", usage, at_us=AT_US, tier="").total_nano_usd == 1_200_000
    assert books.price("", "unheard", usage, at_us=AT_US, tier="").reason == "unknown_model"


def test_a_newer_table_counts_from_the_next_log_on_and_none_is_said(tmp_path: Path) -> None:
    path = tmp_path / "prices"
    books = PriceBooks(path, {})
    usage = Usage(input_uncached=1000)
    assert books.price("openai", "gpt-4o", usage, at_us=AT_US, tier="").reason == "no_price_table"
    compile_table(path, {})
    assert books.price("openai", "gpt-4o", usage, at_us=AT_US, tier="").total_nano_usd == 2_500_000
