from __future__ import annotations

import pytest

from gateway.providers.base import Origin, Provider
from gateway.providers.openai import OpenAICompatible, parse_base_url

provider: Provider = OpenAICompatible("acme", "https://api.acme.test/openai/v1/")

CLIENT = {
    b"host": b"localhost:4000",
    b"authorization": b"Bearer tg-secret",
    b"api-key": b"x",
    b"cookie": b"a=b",
    b"content-type": b"application/json",
    b"content-length": b"2",
    b"connection": b"keep-alive",
    b"accept": b"application/json",
    b"accept-encoding": b"br, gzip, deflate, zstd",
    b"user-agent": b"OpenAI/Python",
    b"idempotency-key": b"k",
    b"openai-organization": b"org",
    b"x-stainless-lang": b"python",
    b"x-tidegate-user-id": b"u",
    b"x-forwarded-for": b"10.0.0.1",
    b"traceparent": b"00-1",
}


@pytest.mark.parametrize(
    ("surface", "path"),
    [("openai.chat", "/openai/v1/chat/completions"), ("openai.embeddings", "/openai/v1/embeddings")],
)
def test_a_surface_has_its_path_below_the_base_url(surface, path):
    outgoing = provider.request(surface, {}, b"{}", secret="s", stream=False)

    assert (outgoing.method, outgoing.path, outgoing.body) == ("POST", path, b"{}")
    assert outgoing.origin == Origin("https", "api.acme.test", 443)


def test_only_listed_headers_leave_and_the_key_is_the_deployments():
    sent = dict(provider.request("openai.chat", CLIENT, b"", secret="sk-1", stream=False).headers)

    assert sent == {
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"accept-encoding": b"gzip, deflate",
        b"user-agent": b"OpenAI/Python",
        b"idempotency-key": b"k",
        b"openai-organization": b"org",
        b"x-stainless-lang": b"python",
        b"authorization": b"Bearer sk-1",
    }


@pytest.mark.parametrize(
    ("accepted", "stream", "asked"),
    [
        (b"br, gzip", False, b"gzip"),
        (b"GZIP;q=0.5, deflate;q=0", False, b"gzip"),
        (b"gzip;q=0.0", False, b"identity"),
        (b"br", False, b"identity"),
        (b"gzip", True, b"identity"),
    ],
)
def test_only_codings_that_can_be_read_are_asked_for(accepted, stream, asked):
    outgoing = provider.request("openai.chat", {b"accept-encoding": accepted}, b"", secret="s", stream=stream)

    assert dict(outgoing.headers)[b"accept-encoding"] == asked


def test_without_a_key_no_authorization_is_sent():
    assert b"authorization" not in dict(
        provider.request("openai.chat", CLIENT, b"", secret="", stream=True).headers
    )


def test_the_list_of_models_is_asked_for_with_the_key():
    outgoing = OpenAICompatible("acme", "http://localhost:1/v1").models(secret="s")

    assert (outgoing.method, outgoing.path) == ("GET", "/v1/models")
    assert dict(outgoing.headers)[b"authorization"] == b"Bearer s"


@pytest.mark.parametrize(
    ("url", "origin", "prefix"),
    [
        ("http://localhost:11434/v1", Origin("http", "localhost", 11434), "/v1"),
        ("https://api.test", Origin("https", "api.test", 443), ""),
        ("http://[::1]:8000/", Origin("http", "::1", 8000), ""),
    ],
)
def test_base_urls(url, origin, prefix):
    assert parse_base_url(url) == (origin, prefix)


@pytest.mark.parametrize(
    "url", ["", "api.test/v1", "ftp://a", "https://u:p@a/v1", "https://a/v1?x=1", "https://"]
)
def test_what_is_no_base_url_is_refused(url):
    with pytest.raises(ValueError, match=r"URL"):
        parse_base_url(url)


@pytest.mark.parametrize("status", [401, 402, 403, 408, 409, 429, 500, 502, 503, 504, 529, 301])
def test_another_deployment_may_do_better(status):
    assert provider.failure(status, [], b"").retryable


@pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422])
def test_a_bad_request_is_bad_everywhere(status):
    assert not provider.failure(status, [], b"").retryable


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (
            b'{"error":{"message":"too long","code":"context_length_exceeded"}}',
            "too long",
            "context_length_exceeded",
        ),
        (b'{"error":{"message":"x","code":1301}}', "x", "1301"),
        (b'{"error":"model not found"}', "model not found", ""),
        (b'{"object":"error","message":"Unauthorized","code":"401"}', "Unauthorized", "401"),
        (b'{"message":{"detail":[{"msg":"Extra inputs"}]},"code":null}', "Extra inputs", ""),
        (b'{"detail":"Not Found"}', "Not Found", ""),
        (b"upstream connect error", "upstream connect error", ""),
        (b"<html>nginx</html>", "acme answered 400", ""),
        (b"", "acme answered 400", ""),
        (b"[]", "acme answered 400", ""),
        (b"\xff\xfe", "\ufffd\ufffd", ""),
    ],
)
def test_the_message_is_found_whatever_the_shape(body, message, code):
    error = provider.failure(400, [(b"x", b"y")], body)

    assert str(error) == message
    assert error.code == (code or "upstream_error")
    assert (error.status, error.headers, error.body) == (400, [(b"x", b"y")], body)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ([(b"retry-after", b"2")], 2.0),
        ([(b"retry-after", b"2"), (b"retry-after-ms", b"150")], 0.15),
        ([(b"retry-after", b"Wed, 21 Oct 2026 07:28:00 GMT")], None),
        ([(b"retry-after", b"nan")], None),
        ([], None),
    ],
)
def test_how_long_to_wait_is_read(headers, wait):
    assert provider.failure(429, headers, b"").retry_after_s == wait
