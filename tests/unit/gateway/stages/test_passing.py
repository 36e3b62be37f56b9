"""Where a request goes that is only passed on."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gateway.asgi import Client
from gateway.errors import BadRequest, Forbidden, Unauthenticated, UnknownModel
from gateway.exchange import Exchange, Identity
from gateway.principal import Principal
from gateway.providers.catalog import Catalog, build
from gateway.providers.passed import PassedOn
from gateway.routing.resolve import Resolver
from gateway.settings import ProviderSettings, Retries, Route, RouteDeployment, Settings
from gateway.stages.passing import Passing
from gateway.upload import Upload
from gateway.wire.passthrough import wire_of
from gateway.wire.passthrough_paths import find

CATALOG = Catalog.load()
PROVIDERS = {
    "openai": ProviderSettings(api_key="sk"),
    "ranker": ProviderSettings(base_url="http://r.example/v1", api_key="rk"),
}
ROUTES = {
    "both": Route(deployments=(RouteDeployment("openai/a"),), fallbacks=("ranker/b",)),
}


def stage(providers: dict[str, ProviderSettings] = PROVIDERS) -> Passing:
    said = Settings(providers=providers, routes=ROUTES if providers is PROVIDERS else {})
    return Passing(Resolver(said, build(said.providers, CATALOG)))


def exchange(
    path: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    provider: str = "",
    upload: Upload | None = None,
    **more: Any,
) -> Exchange:
    place = find(method, path, anthropic=False, gemini=False)
    assert place is not None
    made = Exchange(
        call_id="c",
        wire=wire_of(place),
        headers={b"x-tidegate-provider": provider.encode()} if provider else {},
        body=body,
        place=place,
        upload=upload,
        client=cast("Client", None),
        started_at_us=1,
        started_ns=1,
        principal=more.pop("principal", Principal(key_id="k")),
        identity=Identity(event_id="e"),
        **more,
    )
    made.peek = made.wire.peek(body, model=place.model)
    return made


@pytest.mark.parametrize(
    ("path", "body", "provider", "deployment"),
    [
        ("/v1/files", b"", "", "openai"),
        ("/v1/files", b"", "ranker", "ranker"),
        ("/v1/rerank", b'{"model": "ranker/rerank-1"}', "", "ranker/rerank-1"),
        ("/v1/rerank", b'{"model": "rerank-1"}', "ranker", "ranker/rerank-1"),
        ("/v1/rerank", b'{"model": "ranker/rerank-1"}', "ranker", "ranker/rerank-1"),
        ("/v1/images/generations", b'{"model": "gpt-image-1"}', "", "openai/gpt-image-1"),
        ("/v1/images/generations", b'{"model": "dall-e-3"}', "", "openai/dall-e-3"),
        ("/v1/moderations", b'{"input": "a"}', "", "openai"),
    ],
)
def test_the_header_the_model_or_the_path_says_where_it_goes(
    path: str, body: bytes, provider: str, deployment: str
) -> None:
    call = exchange(path, body, provider=provider)

    plan = stage().plan(call)

    assert [one.id for one in plan.deployments] == [deployment]
    assert isinstance(plan.deployments[0].provider, PassedOn)
    assert call.peek is not None
    assert call.peek.parameters["path"] == path.removeprefix("/v1")


def test_a_route_keeps_its_fallbacks_and_all_of_them_are_asked_at_the_place() -> None:
    call = exchange("/v1/images/generations", b'{"model": "both"}')

    plan = stage().plan(call)

    assert (call.route, plan.fallbacks[0].id) == ("both", "ranker/b")
    asked = plan.fallbacks[0].provider.request("openai.passthrough", {}, b"{}", secret="rk", stream=False)
    assert (asked.method, asked.path) == ("POST", "/v1/images/generations")


@pytest.mark.parametrize(("path", "attempts"), [("/v1/images/generations", 3), ("/v1/fine_tuning/jobs", 1)])
def test_only_what_does_no_harm_twice_is_tried_again(path: str, attempts: int) -> None:
    assert stage().plan(exchange(path, b'{"model":"openai/a"}')).retries.attempts == attempts


def test_what_no_model_names_is_tried_once() -> None:
    assert stage().plan(exchange("/v1/files", method="GET")).retries.attempts == 1
    named = stage().plan(exchange("/v1/images/generations", b'{"model": "gpt-image-1"}'))
    assert named.retries == Retries()


def test_a_form_goes_to_one_place_once_whatever_its_model() -> None:
    upload = Upload(
        cast("Client", None),
        {b"content-type": b"multipart/form-data; x", b"content-length": b"9"},
        silence_s=1,
    )
    call = exchange("/v1/audio/transcriptions", upload=upload)

    plan = stage().plan(call)

    asked = plan.deployments[0].provider.request("openai.passthrough", {}, b"", secret="", stream=False)
    assert (asked.parts, asked.length, plan.retries.attempts) == (upload, 9, 1)
    assert call.peek is not None
    assert call.peek.parameters["content_type"] == "multipart/form-data"


def test_an_unknown_provider_is_refused_with_the_known_names() -> None:
    with pytest.raises(BadRequest, match=r"x-tidegate-provider.*'rankr'.*ranker") as caught:
        stage().plan(exchange("/v1/files", provider="rankr"))
    assert caught.value.param == "x-tidegate-provider"


@pytest.mark.parametrize("provider", ["gemini", "sandbox"])
def test_a_provider_of_another_api_is_refused(provider: str) -> None:
    with pytest.raises(BadRequest) as caught:
        stage().plan(exchange("/v1/files", provider=provider))
    assert caught.value.code == "surface_not_supported"


def test_the_clients_own_key_goes_to_the_native_provider_only_and_only_in_open_mode() -> None:
    nobodys = {"mine": ProviderSettings(base_url="http://m.example/v1", api_key_env="MINE")}
    is_open = Principal(key_id="o", open=True)
    bare = stage(nobodys)

    (native,) = bare.plan(exchange("/v1/files", principal=is_open, client_secret="sk-c")).deployments

    assert (native.id, native.secret, native.borrowed) == ("openai", "sk-c", True)
    with pytest.raises(Unauthenticated, match="OPENAI_API_KEY"):
        bare.plan(exchange("/v1/files", client_secret="sk-c"))
    with pytest.raises(Unauthenticated, match="MINE"):
        bare.plan(exchange("/v1/files", provider="mine", principal=is_open, client_secret="sk-c"))
    with pytest.raises(Unauthenticated, match="ANTHROPIC_API_KEY"):
        bare.plan(exchange("/anthropic/v1/files", principal=is_open))


def test_a_path_that_leads_astray_goes_nowhere() -> None:
    with pytest.raises(BadRequest) as caught:
        stage().plan(exchange("/v1/files/..%2f..%2fadmin"))
    assert caught.value.code == "invalid_path"


def test_without_a_native_provider_there_is_nowhere_to_go() -> None:
    lonely = Passing(Resolver(Settings(), {}))

    with pytest.raises(UnknownModel, match="openai"):
        lonely.plan(exchange("/v1/files"))


@pytest.mark.parametrize(
    "path", ["/v1/realtime/client_secrets", "/v1/realtime/sessions/", "/v1/realtime/client%5Fsecrets"]
)
def test_a_provider_hands_no_key_of_this_account_out(path: str) -> None:
    with pytest.raises(Forbidden) as refused:
        stage().plan(exchange(path, b"{}"))
    assert refused.value.code == "provider_key_not_given"

    own = exchange(path, b"{}", principal=Principal(key_id="k", open=True), client_secret="sk-mine")
    assert stage().plan(own).deployments
