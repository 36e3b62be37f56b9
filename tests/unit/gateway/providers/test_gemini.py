from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Refused
from gateway.providers.base import Headers, Outgoing
from gateway.providers.gemini import Gemini
from tests.fakes import gemini as fake

URL = "https://generativelanguage.googleapis.com/v1beta"


def ask(provider: Gemini | None = None, surface: str = "gemini.generate", **more: Any) -> Outgoing:
    settings: dict[str, Any] = {"secret": "AIza-1", "stream": False, "model": "gemini-2.5-flash", **more}
    headers = settings.pop("headers", {})
    return (provider or Gemini("gemini", URL)).request(surface, headers, b"{}", **settings)


@pytest.mark.parametrize(
    ("surface", "stream", "method"),
    [
        ("gemini.generate", False, "generateContent"),
        ("gemini.generate", True, "streamGenerateContent"),
        ("gemini.embed", False, "embedContent"),
        ("gemini.batch_embed", False, "batchEmbedContents"),
        ("gemini.count", False, "countTokens"),
    ],
)
def test_a_surface_is_a_method_of_the_model(surface, stream, method):
    assert ask(surface=surface, stream=stream).path == f"/v1beta/models/gemini-2.5-flash:{method}"


@pytest.mark.parametrize(
    ("base_url", "prefix"),
    [
        ("http://one", "/v1beta"),
        ("http://one/", "/v1beta"),
        ("http://one/v1", "/v1"),
        ("http://one/v1alpha/", "/v1alpha"),
        ("http://one/proxy", "/proxy/v1beta"),
    ],
)
def test_a_base_url_works_with_and_without_its_version(base_url, prefix):
    assert ask(Gemini("gemini", base_url)).path == f"{prefix}/models/gemini-2.5-flash:generateContent"


@pytest.mark.parametrize(
    ("model", "resource"),
    [
        ("tunedModels/mine-1", "tunedModels/mine-1"),
        ("../../v1/files", "models/..%2F..%2Fv1%2Ffiles"),
        ("a b?c#d\r\n", "models/a%20b%3Fc%23d%0D%0A"),
        ("wörter", "models/w%C3%B6rter"),
    ],
)
def test_a_model_stays_in_its_place_in_the_path(model, resource):
    assert ask(model=model).path == f"/v1beta/{resource}:generateContent"


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"alt=sse", "?alt=sse"),
        (b"key=secret&alt=sse", "?alt=sse"),
        (b"alt=sse&%6bey=secret&access_token=t&oauth_token=t", "?alt=sse"),
        (b"key=secret", ""),
        (b"%24alt=json%3Benum-encoding%3Dint&monkey=1", "?%24alt=json%3Benum-encoding%3Dint&monkey=1"),
    ],
)
def test_the_query_leaves_without_its_secrets(query, kept):
    assert (
        ask(query=query, stream=True).path == f"/v1beta/models/gemini-2.5-flash:streamGenerateContent{kept}"
    )


def test_only_listed_headers_leave_and_the_key_is_ours():
    headers = {
        b"x-goog-api-key": b"of the client",
        b"authorization": b"Bearer of the client",
        b"x-goog-user-project": b"theirs",
        b"x-goog-api-client": b"google-genai-sdk/3.4.0",
        b"x-server-timeout": b"60",
        b"x-tidegate-user-id": b"ada",
        b"content-type": b"application/json",
    }

    sent = dict(ask(headers=headers).headers)

    assert sent == {
        b"x-goog-api-client": b"google-genai-sdk/3.4.0",
        b"x-server-timeout": b"60",
        b"content-type": b"application/json",
        b"accept-encoding": b"identity",
        b"x-goog-api-key": b"AIza-1",
    }


def test_an_access_token_is_a_bearer():
    assert (b"authorization", b"Bearer ya29.token") in ask(secret="ya29.token").headers


def test_models_are_asked_for_on_one_page():
    outgoing = Gemini("gemini", URL).models(secret="AIza-1")

    assert (outgoing.method, outgoing.path) == ("GET", "/v1beta/models?pageSize=1000")
    assert (b"x-goog-api-key", b"AIza-1") in outgoing.headers


def fail(
    status: int,
    *details: dict[str, Any],
    name: str = "X",
    wrapped: bool = False,
    headers: Headers | None = None,
) -> Refused:
    body = fake.refusal(status, name, *details, wrapped=wrapped).body
    assert isinstance(body, bytes)
    return Gemini("gemini", URL).failure(status, headers or [], body)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_refusal_says_how_long_to_wait(wrapped):
    error = fail(429, fake.KEY_INVALID, fake.RETRY, name="RESOURCE_EXHAUSTED", wrapped=wrapped)

    assert (error.code, error.retry_after_s) == ("RESOURCE_EXHAUSTED", 39.0)
    assert (str(error), error.retryable) == ("RESOURCE_EXHAUSTED it is.", True)


def test_a_header_outweighs_the_body():
    assert fail(429, fake.RETRY, headers=[(b"retry-after", b"3")]).retry_after_s == 3


@pytest.mark.parametrize("delay", ["", "39", "-1s", "1e3s", "soon", 7, None, "9" * 400 + "s"])
def test_an_odd_delay_is_none(delay):
    assert fail(429, {**fake.RETRY, "retryDelay": delay}).retry_after_s is None


def test_a_fraction_of_a_second_is_a_delay():
    assert fail(503, {**fake.RETRY, "retryDelay": "0.123456789s"}).retry_after_s == 0.123456789


def test_a_sick_key_or_place_is_no_reason_to_give_up():
    assert fail(400, fake.KEY_INVALID, name="INVALID_ARGUMENT").retryable
    assert fail(400, name="FAILED_PRECONDITION").retryable
    assert not fail(400, name="INVALID_ARGUMENT").retryable
    assert not fail(404, name="NOT_FOUND").retryable
    assert fail(503, name="UNAVAILABLE").retryable


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[]", b"7", b"[{}]", b'{"error": "no"}', b'{"error": {"details": 7}}']
)
def test_any_other_refusal_is_read_too(body):
    error = Gemini("gemini", URL).failure(500, [], body)

    assert (error.status, error.retryable, error.body) == (500, True, body)


def test_every_surface_can_be_asked():
    assert Gemini("gemini", URL).speaks == {
        "gemini.generate",
        "gemini.embed",
        "gemini.batch_embed",
        "gemini.count",
        "gemini.passthrough",
    }
    assert Gemini("gemini", URL).origin.host == "generativelanguage.googleapis.com"
