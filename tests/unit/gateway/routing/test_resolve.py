from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import BadRequest, Unauthenticated, UnknownModel
from gateway.providers.catalog import Catalog, build
from gateway.routing.deployments import Plan
from gateway.routing.resolve import Listed, Resolver
from gateway.settings import (
    ProviderSettings,
    Retries,
    Route,
    RouteDeployment,
    RouteVariant,
    Settings,
    Timeouts,
)

catalog = Catalog.load()


def resolver(
    providers: dict[str, ProviderSettings] | None = None, *, routes: dict[str, Route] | None = None
) -> Resolver:
    said = Settings(providers=providers or {}, routes=routes or {})
    return Resolver(said, build(said.providers, catalog))


def plan(found: Resolver, model: str, **call: Any) -> Plan:
    return found.plan(model, **{"client_secret": "", "open": False, **call})


KEYS = {"openai": ProviderSettings(api_key="sk-1"), "groq": ProviderSettings(api_key="gsk-1")}


@pytest.mark.parametrize(
    ("model", "deployment"),
    [
        ("gpt-5", "openai/gpt-5"),
        ("o3-mini", "openai/o3-mini"),
        ("text-embedding-3-small", "openai/text-embedding-3-small"),
        ("openai/gpt-5", "openai/gpt-5"),
        ("groq/openai/gpt-oss-20b", "groq/openai/gpt-oss-20b"),
        ("org/model", "vllm/org/model"),
        ("plain", "vllm/plain"),
        ("own-model", "vllm/own-model"),
        ("sandbox/echo", "sandbox/echo"),
    ],
)
def test_a_name_finds_its_provider(model, deployment):
    vllm = ProviderSettings(
        base_url="http://localhost:1/v1", models=("org/model", "plain"), prefixes=("own-",)
    )

    (found,) = plan(resolver({**KEYS, "vllm": vllm}), model).deployments

    assert found.id == deployment
    assert f"{found.provider.name}/{found.model}" == deployment


def test_the_deployments_own_key_comes_first():
    (found,) = plan(resolver(KEYS), "gpt-5", client_secret="sk-client", open=True).deployments

    assert (found.secret, found.native) == ("sk-1", True)


def test_in_open_mode_the_clients_key_goes_to_the_native_provider():
    (found,) = plan(resolver(), "gpt-5", client_secret="sk-client", open=True).deployments

    assert found.secret == "sk-client"


@pytest.mark.parametrize(
    ("model", "call"),
    [
        ("gpt-5", {"client_secret": "sk-client", "open": False}),
        ("gpt-5", {"client_secret": "tg-key", "open": True}),
        ("gpt-5", {"client_secret": "", "open": True}),
        ("groq/llama", {"client_secret": "sk-client", "open": True}),
    ],
    ids=["not open", "our own key", "no key", "another provider"],
)
def test_the_clients_key_goes_nowhere_else(model, call):
    with pytest.raises(Unauthenticated) as caught:
        plan(resolver(), model, **call)

    assert "_API_KEY" in str(caught.value)
    assert "sandbox/echo" in str(caught.value)


def test_a_provider_is_not_asked_in_a_format_it_does_not_speak():
    with pytest.raises(BadRequest, match=r"openai cannot be asked in the format other\.chat") as caught:
        plan(resolver(KEYS), "gpt-5", surface="other.chat")

    assert caught.value.code == "surface_not_supported"
    assert "openai.chat" in str(caught.value)


def test_a_local_provider_needs_no_key_and_gets_none_of_the_clients():
    (found,) = plan(resolver(), "ollama/llama3", client_secret="sk-client", open=True).deployments

    assert found.secret == ""


def route(*models: str, timeouts: Timeouts | None = None) -> Route:
    return Route(deployments=tuple(RouteDeployment(model=m) for m in models), timeouts=timeouts)


def test_a_route_is_tried_in_its_order_with_its_clocks():
    own = Timeouts(total_s=9)
    found = plan(resolver(KEYS, routes={"gpt-5": route("groq/a", "openai/b", timeouts=own)}), "gpt-5")

    assert found.route == "gpt-5"
    assert [d.id for d in found.deployments] == ["groq/a", "openai/b"]
    assert found.timeouts is own


def test_the_clients_key_does_not_travel_to_a_routes_other_providers():
    found = plan(resolver(routes={"r": route("groq/a", "openai/b")}), "r", client_secret="sk-c", open=True)

    assert [(d.id, d.secret) for d in found.deployments] == [("openai/b", "sk-c")]


def test_a_route_to_nowhere_is_refused_at_the_start():
    for model in ("nobody/x", "gpt-5", "openai/"):
        with pytest.raises(ValueError, match=r"routes\.r\.deployments"):
            resolver(routes={"r": route(model)})


def test_an_unknown_name_gets_the_three_nearest():
    found = resolver(
        {"vllm": ProviderSettings(base_url="http://x", models=("llama-small", "llama-large", "qwen"))}
    )

    with pytest.raises(UnknownModel) as caught:
        plan(found, "lama-smal")

    assert caught.value.param == "model"
    assert "llama-small" in str(caught.value)
    assert str(caught.value).split("Nearest: ")[1].count(",") == 2


@pytest.mark.parametrize("model", ["", "/", "openai/", "nobody/x", "é" * 300])
def test_nonsense_is_an_unknown_model(model):
    with pytest.raises(UnknownModel):
        plan(resolver(KEYS), model)


def test_a_name_that_two_providers_own_is_ambiguous():
    two = {n: ProviderSettings(base_url="http://x", models=("m",)) for n in ("a", "b")}

    with pytest.raises(UnknownModel, match="a/m, b/m"):
        plan(resolver(two), "m")


def test_the_settings_prefix_outweighs_the_catalogs():
    azure = ProviderSettings(base_url="http://x", api_key="k", prefixes=("gpt-",))

    (found,) = plan(resolver({**KEYS, "azure": azure}), "gpt-5").deployments

    assert found.provider.name == "azure"


def test_names_are_routes_then_usable_providers_then_the_sandbox():
    found = resolver(
        {**KEYS, "mistral": ProviderSettings(models=("mistral-large",))},
        routes={"smart": route("openai/gpt-5")},
    )

    names = found.names({"openai": ["gpt-5"], "mistral": ["unusable"]})

    assert names[:2] == [Listed("smart", "tidegate"), Listed("openai/gpt-5", "openai")]
    assert Listed("sandbox/echo", "tidegate") in names
    assert not any("mistral" in listed.id for listed in names)


def test_many_names_do_not_fill_the_memory():
    found = resolver(KEYS)
    for i in range(5000):
        plan(found, f"gpt-{i}")

    assert len(found._found) <= 4096


def test_a_plan_made_with_one_clients_key_is_nobody_elses():
    found = resolver()

    secrets = [
        plan(found, "gpt-5", client_secret=secret, open=True).deployments[0].secret
        for secret in ("sk-a", "sk-b")
    ]

    assert secrets == ["sk-a", "sk-b"]
    with pytest.raises(Unauthenticated):
        plan(found, "gpt-5")


def test_a_plan_that_is_the_same_for_everybody_is_made_once_for_each_surface():
    found = resolver(KEYS)

    first = plan(found, "openai/gpt-5")

    assert plan(found, "openai/gpt-5", client_secret="sk-client", open=True) is first
    assert plan(found, "openai/gpt-5", surface="openai.embeddings") is not first


def test_a_route_brings_its_ways_out() -> None:
    said = Route(
        deployments=(RouteDeployment(model="groq/a", weight=3), RouteDeployment(model="openai/b")),
        strategy="weighted",
        fallbacks=("sandbox/echo", "openai/gpt-5"),
        context_window_fallback="openai/large",
        retries=Retries(attempts=5),
        heartbeat_s=15,
    )

    found = plan(resolver(KEYS, routes={"smart": said}), "smart")

    assert [(d.id, d.weight) for d in found.deployments] == [("groq/a", 3), ("openai/b", 1)]
    assert found.strategy == "weighted"
    assert [d.id for d in found.fallbacks] == ["sandbox/echo", "openai/gpt-5"]
    assert found.context_window_fallback is not None
    assert found.context_window_fallback.id == "openai/large"
    assert found.content_filter_fallback is None
    assert (found.retries.attempts, found.heartbeat_s) == (5, 15)


def test_a_fallback_without_a_key_is_left_out_and_a_clients_key_is_borrowed() -> None:
    said = Route(deployments=(RouteDeployment(model="openai/a"),), fallbacks=("groq/b",))

    found = plan(resolver(routes={"smart": said}), "smart", client_secret="sk-client", open=True)

    assert found.fallbacks == ()
    assert found.deployments[0].borrowed


def test_a_variant_without_a_key_has_no_calls() -> None:
    variants = {
        "keyless": RouteVariant(model="groq/b"),
        "cold": RouteVariant(),
        "own": RouteVariant(model="openai/c"),
    }
    said = Route(deployments=(RouteDeployment(model="openai/a"),), variants=variants)

    found = plan(resolver(routes={"smart": said}), "smart", client_secret="sk-client", open=True)

    assert [(one.name, one.deployment and one.deployment.id) for one in found.variants] == [
        ("cold", None),
        ("own", "openai/c"),
    ]


@pytest.mark.parametrize("place", ["fallbacks", "context_window_fallback", "content_filter_fallback"])
def test_a_route_to_nowhere_is_refused_by_its_place(place: str) -> None:
    value = ("nowhere/x",) if place == "fallbacks" else "nowhere/x"
    said = msgspec.structs.replace(route("openai/a"), **{place: value})

    with pytest.raises(ValueError, match=rf"routes\.smart\.{place}: 'nowhere/x'"):
        resolver(KEYS, routes={"smart": said})


def test_a_plan_knows_the_smallest_window_of_all_it_may_come_to() -> None:
    windows = {"big": 1000, "small": 10, "smaller": 5}
    ways = Route(deployments=(RouteDeployment(model="openai/big"),), fallbacks=("groq/small",))
    said = Settings(providers=KEYS, routes={"r": ways})
    known = build(said.providers, catalog)
    found = Resolver(said, known, window=lambda _provider, model: windows.get(model, 0))

    assert [plan(found, name).window for name in ("r", "groq/smaller", "groq/unknown")] == [10, 5, 0]


def test_prices_are_asked_for_when_a_plan_is_made_and_again_when_they_changed() -> None:
    rate = {"openai": 5}
    said = Settings(
        providers={"openai": ProviderSettings(api_key="k")},
        routes={"r": Route(deployments=(RouteDeployment(model="openai/a"),))},
    )
    found = Resolver(said, build(said.providers, catalog), lambda provider, _: rate.get(provider))

    def price() -> int | None:
        return found.plan("r", client_secret="", open=False).deployments[0].price_nano_usd

    assert price() == 5
    rate["openai"] = 7
    assert price() == 5
    found.price_anew()
    assert price() == 7
