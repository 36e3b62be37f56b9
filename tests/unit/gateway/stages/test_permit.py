"""Which calls a key allows."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gateway.asgi import Client
from gateway.errors import Forbidden
from gateway.exchange import Exchange, Identity
from gateway.principal import Principal
from gateway.providers.catalog import Catalog, build
from gateway.routing.resolve import Resolver
from gateway.settings import ProviderSettings, Route, RouteDeployment, Settings
from gateway.stages.passing import Passing
from gateway.stages.permit import permit
from gateway.surfaces import DEFAULT, KEPT
from gateway.wire.passthrough import wire_of
from gateway.wire.passthrough_paths import find

SETTINGS = Settings(
    providers={
        "openai": ProviderSettings(api_key="sk"),
        "own": ProviderSettings(base_url="http://o.example/v1", api_key="k"),
    },
    routes={"smart": Route(deployments=(RouteDeployment("openai/gpt-5"),), fallbacks=("own/big",))},
)
RESOLVER = Resolver(SETTINGS, build(SETTINGS.providers, Catalog.load()))


def exchange(principal: Principal, model: str, *, user: str = "", **more: Any) -> Exchange:
    plain = {"wire": DEFAULT, "headers": {}, "body": b'{"model": "%b", "messages": []}' % model.encode()}
    made = Exchange(
        call_id="c",
        client=cast("Client", None),
        started_at_us=1,
        started_ns=1,
        principal=principal,
        identity=Identity(event_id="e", user_id=user),
        **{**plain, **more},
    )
    made.peek = made.wire.peek(made.body, model=made.named)
    return made


def allowed(principal: Principal, model: str, **more: Any) -> str:
    """Return the code of the refusal, or nothing."""
    made = exchange(principal, model, **more)
    plan = RESOLVER.plan(model or "sandbox/echo", client_secret="", open=False, surface=made.wire.surface)
    return said(made, plan)


def said(made: Exchange, plan: Any) -> str:
    try:
        permit(made, plan)
    except Forbidden as refused:
        return refused.code
    return ""


def key(**more: Any) -> Principal:
    return Principal(key_id="k", **more)


def test_a_key_without_patterns_allows_everything() -> None:
    assert allowed(key(), "smart") == ""
    assert allowed(key(), "gpt-4o", user="ada") == ""


@pytest.mark.parametrize(
    ("patterns", "model", "code"),
    [
        (("smart",), "smart", ""),
        (("smart",), "openai/gpt-5", "model_not_allowed"),
        (("openai/gpt-5", "own/big"), "smart", "model_not_allowed"),
        (("openai/*",), "gpt-5", ""),
        (("openai/gpt-5-mini",), "gpt-5", "model_not_allowed"),
        (("gpt-*",), "gpt-5", ""),
        (("gpt-*",), "own/gpt-5", "model_not_allowed"),
        (("gpt-*",), "openai/gpt-5", "model_not_allowed"),
        (("own/*",), "own/gpt-5", ""),
    ],
)
def test_a_route_counts_by_name_and_a_model_as_asked_or_with_its_provider(
    patterns: tuple[str, ...], model: str, code: str
) -> None:
    assert allowed(key(models=patterns), model) == code


def test_the_refusal_names_the_model() -> None:
    made = exchange(key(models=("a",)), "own/big")
    plan = RESOLVER.plan("own/big", client_secret="", open=False)
    with pytest.raises(Forbidden, match="`own/big`"):
        permit(made, plan)


def test_a_key_for_some_users_wants_to_know_for_whom() -> None:
    team = key(users=("team-a-*", "ada"))

    assert allowed(team, "smart") == "user_required"
    assert allowed(team, "smart", user="bea") == "user_not_allowed"
    assert allowed(team, "smart", user="team-a-7") == ""


def test_a_key_for_some_surfaces() -> None:
    assert allowed(key(surfaces=("openai.*",)), "smart") == ""
    assert allowed(key(surfaces=("anthropic.*",)), "smart") == "surface_not_allowed"


def test_fetching_a_kept_response_asks_no_model() -> None:
    wire = KEPT["GET", ""]
    assert allowed(key(models=("smart",)), "", wire=wire, named="resp_1", body=b"") == ""
    assert (
        allowed(key(surfaces=("openai.chat",)), "", wire=wire, named="r", body=b"") == "surface_not_allowed"
    )


@pytest.mark.parametrize(
    ("path", "body", "provider", "code"),
    [
        ("/v1/images/generations", b'{"model": "gpt-image-1"}', "", ""),
        ("/v1/images/generations", b'{"model": "dall-e-3"}', "", "model_not_allowed"),
        ("/v1/images/generations", b'{"model": "gpt-image-1"}', "own", "model_not_allowed"),
        ("/v1/batches", b'{"input_file_id": "f"}', "", "model_not_allowed"),
        ("/v1/files", b"", "", "model_not_allowed"),
    ],
)
def test_what_is_passed_on_must_name_an_allowed_model_of_that_provider(
    path: str, body: bytes, provider: str, code: str
) -> None:
    place = find("POST", path, anthropic=False, gemini=False)
    assert place is not None
    headers = {b"x-tidegate-provider": provider.encode()} if provider else {}
    made = exchange(
        key(models=("gpt-image-*",)), "", wire=wire_of(place), place=place, body=body, headers=headers
    )

    assert said(made, Passing(RESOLVER).plan(made)) == code


@pytest.mark.parametrize("name", [b'"models"', b'"mod\\u0065ls"'])
def test_models_that_a_body_names_as_alternatives_count_too(name: bytes) -> None:
    limited = Principal(key_id="k", models=("openai/gpt-5*",))
    body = b'{"model": "openai/gpt-5", %b: ["openai/gpt-5-mini", "%b"], "messages": []}'
    assert allowed(limited, "openai/gpt-5", body=body % (name, b"openai/o1-pro")) == "model_not_allowed"
    assert allowed(limited, "openai/gpt-5", body=body % (name, b"openai/gpt-5-nano")) == ""
    assert allowed(Principal(key_id="k"), "openai/gpt-5", body=body % (name, b"openai/o1-pro")) == ""
