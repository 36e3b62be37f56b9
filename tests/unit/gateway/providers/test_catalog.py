from __future__ import annotations

import datetime

import pytest

from gateway.providers.azure import AzureOpenAI
from gateway.providers.bedrock import Bedrock
from gateway.providers.catalog import Catalog, Known, build
from gateway.providers.openai import OpenAICompatible, parse_base_url
from gateway.providers.vertex import VertexAnthropic, VertexGemini
from gateway.settings import ProviderSettings
from tests.fakes.clouds import GoogleAccount

catalog = Catalog.load()
PLACED = {"azure", "bedrock", "vertex", "litellm"}


def test_every_row_says_where_it_was_read_and_when():
    assert sum(row.api == "openai" for row in catalog.rows.values()) >= 20
    for name, row in catalog.rows.items():
        assert row.api in PLACED or parse_base_url(row.base_url)[0].host, name
        assert all(source.startswith("https://") for source in row.source), name
        assert row.source, name
        assert datetime.date(2026, 1, 1) <= row.date <= datetime.date(2027, 1, 1), name
        assert row.key_variable or row.keyless or row.api == "vertex", name


def test_key_variables_are_those_of_providers_that_need_a_key():
    variables = catalog.key_variables()

    assert variables["openai"] == "OPENAI_API_KEY"
    assert variables["groq"] == "GROQ_API_KEY"
    assert "ollama" not in variables


def test_a_row_with_a_typo_is_refused():
    with pytest.raises(ValueError, match="base_ulr"):
        Catalog.parse('[x]\nbase_ulr = "https://x"\n')


def made(name: str, said: ProviderSettings | None = None) -> Known:
    return build({name: said} if said else {}, catalog)[name]


def test_the_catalog_needs_nothing_but_the_key():
    known = made("groq", ProviderSettings(api_key="gsk"))

    assert (known.secret, known.usable, known.keyless) == ("gsk", True, False)
    assert isinstance(known.provider, OpenAICompatible)
    assert known.provider.origin.host == "api.groq.com"
    assert known.provider.include_usage is False


def test_without_a_key_a_provider_is_known_but_not_usable():
    assert not made("openai").usable
    assert made("openai").key_variable == "OPENAI_API_KEY"


def test_settings_change_a_row():
    said = ProviderSettings(
        base_url="http://proxy:1/v1", api_key_env="MY_KEY", prefixes=("own-",), include_usage=False
    )

    known = made("openai", said)

    assert isinstance(known.provider, OpenAICompatible)
    assert known.provider.origin.host == "proxy"
    assert known.provider.include_usage is False
    assert known.key_variable == "MY_KEY"
    assert known.prefixes[0] == "own-"
    assert "gpt-" in known.prefixes


def test_a_place_of_ones_own_may_have_any_of_the_apis():
    said = {"mine": ProviderSettings(base_url="http://localhost:9", api="anthropic")}

    assert "anthropic.messages" in build(said, catalog)["mine"].provider.speaks


def test_a_place_of_ones_own_needs_no_key():
    known = made("vllm", ProviderSettings(base_url="http://localhost:8000/v1", models=("org/model",)))

    assert (known.keyless, known.usable, known.native) == (True, True, ())
    assert known.models == ("org/model",)


def test_a_local_provider_is_listed_only_if_it_was_asked_for():
    assert made("ollama").keyless
    assert not made("ollama").usable
    assert made("ollama", ProviderSettings(models=("llama3",))).usable


@pytest.mark.parametrize(
    ("name", "said", "setting"),
    [
        ("acme", ProviderSettings(), "providers.acme.base_url"),
        ("acme", ProviderSettings(base_url="localhost"), "providers.acme.base_url"),
        ("a/b", ProviderSettings(base_url="http://x"), "providers.a/b"),
        ("sandbox", ProviderSettings(base_url="http://x"), "providers.sandbox"),
    ],
)
def test_a_setting_at_fault_is_named(name, said, setting):
    with pytest.raises(ValueError, match=setting):
        build({name: said}, catalog)


def test_a_provider_is_asked_only_in_what_it_speaks():
    assert "openai.responses" in made("openai").provider.speaks
    assert "openai.responses" in made("xai").provider.speaks
    assert "openai.completions" not in made("xai").provider.speaks
    assert "openai.responses" not in made("mistral").provider.speaks


def test_a_place_of_ones_own_may_speak_everything():
    own = made("mistral", ProviderSettings(base_url="http://127.0.0.1:1/v1"))

    assert own.provider.speaks == OpenAICompatible.speaks


def test_every_surface_a_row_names_is_one():
    known = OpenAICompatible.speaks

    for name, row in catalog.rows.items():
        if row.api == "openai":
            assert row.surfaces <= known, name
            assert {surface for surface in row.native if surface.startswith("openai.")} <= known, name


def test_rows_add_only_what_is_known():
    names = [(prefix, name) for name, row in catalog.rows.items() for prefix in row.prefixes]

    assert len({prefix for prefix, _ in names}) == len(names), "a beginning belongs to one provider"
    assert not any(
        row.native for name, row in catalog.rows.items() if name not in ("openai", "anthropic", "gemini")
    )


def test_clouds_are_there_once_they_say_where_they_are():
    assert not {"azure", "vertex"} & set(build({}, catalog))
    with pytest.raises(ValueError, match=r"providers\.azure\.base_url"):
        made("azure", ProviderSettings(api_key="k"))
    with pytest.raises(ValueError, match=r"providers\.vertex: a project"):
        made("vertex", ProviderSettings(api_key="k"))

    azure = made(
        "azure",
        ProviderSettings(api_key="k", base_url="https://x.openai.azure.com", api_version="2024-10-21"),
    )
    bedrock = made("aws-eu", ProviderSettings(api="bedrock", api_key="a:b", region="eu-west-3"))

    assert isinstance(azure.provider, AzureOpenAI)
    assert "openai.responses" not in azure.provider.speaks
    assert isinstance(bedrock.provider, Bedrock)
    assert bedrock.provider.origin.host == "bedrock-runtime.eu-west-3.amazonaws.com"
    assert (bedrock.secret, bedrock.usable, bedrock.keyless) == ("a:b", True, False)


def test_bedrock_signs_by_the_clock_it_is_given():
    known = build({"bedrock": ProviderSettings(api_key="a:b")}, catalog, lambda: 0)["bedrock"]

    asked = known.provider.request("bedrock.converse", {}, b"", secret=known.secret, stream=False, model="m")

    assert (b"x-amz-date", b"19700101T000000Z") in asked.headers


def test_vertex_has_two_apis_and_the_model_says_which():
    google = GoogleAccount()
    said = ProviderSettings(api_key=google.file("https://oauth2.example/token"), project="p")

    known = made("vertex", said)

    assert isinstance(known.of("gemini-2.5-pro"), VertexGemini)
    assert isinstance(known.of("claude-sonnet-4-5@20250929"), VertexAnthropic)
    assert known.account is not None
    assert known.secret == "tide@harbour.iam.gserviceaccount.com", "the key itself is never what is sent"


def test_a_broken_account_is_named_by_its_setting():
    with pytest.raises(ValueError, match=r"providers\.vertex: not the JSON key"):
        made("vertex", ProviderSettings(api_key="{}", project="p"))


def test_a_cloud_without_a_key_is_not_asked():
    assert not made("azure", ProviderSettings(base_url="https://x.openai.azure.com")).usable
    assert not made("bedrock").usable
