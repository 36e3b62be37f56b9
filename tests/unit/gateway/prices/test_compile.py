from __future__ import annotations

import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from genai_prices.data import providers

from gateway.prices import compile as compiling
from gateway.prices.books import make_books
from gateway.prices.compile import compile_table, drop_others, installed_litellm_file
from gateway.prices.table import FREE, PriceTable
from gateway.providers.catalog import Catalog
from gateway.settings import PriceOverride, PriceRates

MISSING = Path(compiling.__file__).with_name("missing.toml")
NOW = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp()) * 1_000_000
OWN = {
    "acme/Big": PriceOverride(
        input="0.075",
        output="1",
        cache_read="0.01",
        web_searches="2.5",
        service_tiers={"flex": PriceRates(input="0", output="0")},
    )
}


@pytest.fixture(scope="module")
def spare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a price file as litellm's, with a model that nobody else has and one that genai-prices has."""
    said = {
        name: {
            "litellm_provider": "openai",
            "mode": "chat",
            "input_cost_per_token": 1e-6,
            "output_cost_per_token": 2e-6,
            "max_input_tokens": 5000,
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


def test_windows_come_from_both_sources(compiled):
    named = [
        ("openai", "gpt-4o"),
        ("anthropic", "claude-sonnet-4-5"),
        ("openai", "only-here"),
        ("acme", "big"),
    ]
    assert [compiled.window(*one) for one in named] == [128_000, 200_000, 5000, 0]


def test_dollars_become_integers(compiled):
    rates = compiled.find("acme", "big", NOW).rates

    assert (
        rates.items()
        >= {
            "input_uncached": 75_000_000,
            "output_text": 1_000_000_000,
            "cache_read": 10_000_000,
            "web_searches": 2_500 * 10**9,
        }.items()
    )
    assert "input_audio" not in rates
    flex = compiled.find("acme", "big", NOW).services["flex"]
    assert (flex.id, flex.rates["input_uncached"]) == ("settings:acme/Big flex", 0)


def test_prices_keep_the_dates_from_which_they_hold(compiled):
    before, after = (int(datetime(2025, m, 1, tzinfo=UTC).timestamp()) * 1_000_000 for m in (6, 7))

    assert compiled.find("openai", "o3", before).rates["input_uncached"] == 10_000_000_000
    assert compiled.find("openai", "o3", after).rates["input_uncached"] == 2_000_000_000


def test_long_inputs_have_their_tier(compiled):
    row = compiled.find("openai", "gpt-5.4", NOW)

    assert [tier.above for tier in row.tiers] == [272_000]
    assert row.tiers[0].rates["output_text"] == 22_500_000_000


def test_geminis_prices_stand_under_its_name_in_the_catalog(compiled):
    flash, painter = (compiled.find("gemini", f"gemini-2.5-{kind}", NOW) for kind in ("flash", "flash-image"))

    known = {"input_uncached": 300_000_000, "cache_read": 30_000_000, "input_audio": 10**9}
    assert flash.rates.items() >= known.items()
    assert painter.rates["output_text"] == 2_500_000_000
    assert painter.rates["output_image"] == 30_000_000_000
    assert compiled.find("gemini", "gemini-embedding-001", NOW).rates["input_uncached"] == 150_000_000


def test_the_output_of_models_that_paint_is_pictures(compiled):
    first, newer = (compiled.find("openai", name, NOW).rates for name in ("gpt-image-1", "gpt-image-1.5"))

    assert first["output_image"] == first["output_text"]
    assert newer["output_image"] != newer["output_text"]
    assert "output_image" not in compiled.find("openai", "gpt-4o", NOW).rates


def test_what_genai_prices_lacks_is_filled_in_and_nothing_else_changed(compiled):
    heard = compiled.find("openai", "gpt-4o-audio-preview", NOW).rates

    assert (heard["input_audio"], heard["output_audio"]) == (40_000_000_000, 80_000_000_000)
    assert heard["input_uncached"] == 2_500_000_000


def test_every_gap_that_is_filled_is_still_one():
    known = {p.id: {model.id: model for model in p.models} for p in providers}

    for provider, models in tomllib.loads(MISSING.read_text("utf-8")).items():
        for name, said in models.items():
            assert name == "*" or name in known[provider]
            for rate in said.get("rates", {}):
                assert not getattr(known[provider][name].prices, f"{rate}_mtok")
            assert said["source"].startswith("https://")


def test_service_tiers_that_no_table_lists_are_factors(compiled):
    fast = compiled.find("anthropic", "claude-opus-4-6", NOW).services["fast"]
    flex = compiled.find("groq", "llama-3.1-8b-instant", NOW)

    assert (fast.rates["input_uncached"], fast.rates["output_text"]) == (30_000_000_000, 150_000_000_000)
    assert flex.services["flex"].rates == flex.rates


def test_what_runs_on_a_machine_of_ones_own_is_free_unless_the_settings_say_otherwise(tmp_path):
    path = tmp_path / "prices.msgpack"
    compile_table(path, {"ollama/big": PriceOverride(input="1", output="2")})
    prices = PriceTable.load(path)

    free, own = (prices.find("ollama", name, NOW) for name in ("llama3.2", "big"))
    assert free is not None
    assert free.rates == FREE.rates
    assert own is not None
    assert own.rates["output_text"] == 2_000_000_000


def test_overrides_win_over_dated_answers_of_the_same_model(tmp_path):
    path = tmp_path / "prices.msgpack"
    compile_table(path, {"openai/gpt-4o": PriceOverride(input="1", output="2")})

    found = PriceTable.load(path).find("openai", "gpt-4o-2024-08-06", NOW)
    assert found is not None
    assert found.id == "settings:openai/gpt-4o"


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


def test_a_cloud_under_a_name_of_ones_own_has_its_prices(tmp_path, spare):
    path = tmp_path / "prices.msgpack"
    own = {"eu/mine": PriceOverride(input="1", output="2")}

    plain = compile_table(path, own, litellm_file=spare)
    named = compile_table(path, own, same_as={"eu": "openai"}, litellm_file=spare)
    table = PriceTable.load(path)

    assert plain.version != named.version
    assert table.rows("eu", "gpt-4o") == table.rows("openai", "gpt-4o") != ()
    assert table.rows("eu", "mine")
    assert not table.rows("openai", "mine")


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
        (
            "a/b",
            PriceOverride(input="1", output="1", service_tiers={"flex": PriceRates(input="x", output="1")}),
            "prices.a/b.service_tiers.flex.input",
        ),
    ],
)
def test_an_override_that_is_no_price_is_named(name, said, setting):
    with pytest.raises(ValueError, match=setting):
        make_books(b"", {name: said}, {})


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


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> PriceTable:
    """The table as a house has it."""
    path = tmp_path_factory.mktemp("installed") / "prices"
    compile_table(path, {})
    return PriceTable.load(path)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("bedrock", "amazon.nova-pro-v1:0"),
        ("vertex", "claude-sonnet-4-5@20250929"),
        ("vertex", "gemini-2.5-pro"),
        ("azure", "gpt-4o"),
        ("moonshot", "kimi-k2-thinking"),
        ("zai", "glm-4.6"),
    ],
)
def test_prices_stand_under_the_catalogs_names(installed, provider, model):
    row = installed.find(provider, model, NOW)

    assert row is not None
    assert row.rates["input_uncached"]
    assert provider in Catalog.load().rows


def test_a_table_made_for_other_settings_is_removed_before_anybody_uses_it(tmp_path, spare):
    path = tmp_path / "prices.msgpack"
    compile_table(path, OWN, litellm_file=spare)
    drop_others(path, OWN, {})
    assert path.exists()
    drop_others(path, OWN, {"bedrock-eu": "bedrock"})
    assert not path.exists()
    drop_others(path, OWN, {})
