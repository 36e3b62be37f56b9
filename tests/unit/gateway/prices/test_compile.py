from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from gateway.prices.compile import compile_table, installed_litellm_file, make_books
from gateway.prices.table import PriceTable
from gateway.settings import PriceOverride

NOW = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp()) * 1_000_000
OWN = {"acme/Big": PriceOverride(input="0.075", output="1", cache_read="0.01")}


@pytest.fixture(scope="module")
def spare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a price file as litellm's, with a model that nobody else has and one that genai-prices has."""
    said = {
        name: {
            "litellm_provider": "openai",
            "mode": "chat",
            "input_cost_per_token": 1e-6,
            "output_cost_per_token": 2e-6,
        }
        for name in ("only-here", "gpt-4o")
    }
    path: Path = tmp_path_factory.mktemp("litellm") / "prices.json"
    path.write_bytes(msgspec.json.encode(said))
    return path


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, spare: Path) -> PriceTable:
    path = tmp_path_factory.mktemp("prices") / "prices.msgpack"
    compile_table(path, OWN, litellm_file=spare)
    return PriceTable.load(path)


def test_all_three_sources_are_in_the_table(compiled):
    ids = [
        compiled.find(*name, NOW).id
        for name in (("openai", "gpt-4o"), ("openai", "only-here"), ("acme", "big"), ("xai", "grok-4"))
    ]

    assert ids == [
        "genai-prices:openai/gpt-4o#0",
        "litellm:only-here",
        "settings:acme/Big",
        "genai-prices:x-ai/grok-4-0709#0",
    ]


def test_dollars_become_integers(compiled):
    rates = compiled.find("acme", "big", NOW).rates

    assert (rates.input, rates.output, rates.cache_read) == (75_000_000, 1_000_000_000, 10_000_000)


def test_prices_keep_the_dates_from_which_they_hold(compiled):
    before, after = (int(datetime(2025, m, 1, tzinfo=UTC).timestamp()) * 1_000_000 for m in (6, 7))

    assert compiled.find("openai", "o3", before).rates.input == 10_000_000_000
    assert compiled.find("openai", "o3", after).rates.input == 2_000_000_000


def test_long_inputs_have_their_tier(compiled):
    row = compiled.find("openai", "gpt-5.4", NOW)

    assert [tier.above for tier in row.tiers] == [272_000]
    assert row.tiers[0].rates.output == 22_500_000_000


def test_the_same_sources_are_compiled_once(tmp_path, spare):
    path = tmp_path / "prices.msgpack"

    first = compile_table(path, OWN, litellm_file=spare)
    before = path.stat().st_ino
    second = compile_table(path, OWN, litellm_file=spare)
    third = compile_table(path, {}, litellm_file=spare)

    assert (first.written, second.written, third.written) == (True, False, True)
    assert first.version == second.version != third.version
    assert first.models > 2000
    assert path.stat().st_ino != before
    assert [p.name for p in tmp_path.iterdir()] == ["prices.msgpack"]


def test_a_broken_table_is_replaced(tmp_path, spare):
    path = tmp_path / "prices.msgpack"
    path.write_bytes(b"half a tab")

    assert compile_table(path, {}, litellm_file=spare).written
    assert PriceTable.load(path).version


@pytest.mark.parametrize(
    ("name", "said", "setting"),
    [
        ("big", OWN["acme/Big"], "prices.big"),
        ("a/b", PriceOverride(input="cheap", output="1"), "prices.a/b.input"),
        ("a/b", PriceOverride(input="1", output="-1"), "prices.a/b.output"),
        ("a/b", PriceOverride(input="1", output="1", cache_read="nan"), "prices.a/b.cache_read"),
    ],
)
def test_an_override_that_is_no_price_is_named(name, said, setting):
    with pytest.raises(ValueError, match=setting):
        make_books(b"", {name: said})


def test_litellms_file_is_found_without_importing_litellm():
    code = (
        "import sys; from gateway.prices.compile import installed_litellm_file as f;"
        "print(f() is not None, 'litellm' in sys.modules)"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.split() == [str(installed_litellm_file() is not None), "False"]


def test_workers_need_neither_pydantic_nor_genai_prices():
    code = (
        "import sys; import gateway.prices.table, gateway.prices.cost;"
        "print([m for m in ('pydantic', 'genai_prices', 'decimal') if m in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "pydantic" not in said.stdout
    assert "genai_prices" not in said.stdout
