from __future__ import annotations

import pytest

from gateway.providers.anthropic import Anthropic
from gateway.providers.base import Origin, Provider

provider: Provider = Anthropic("anthropic", "https://api.anthropic.test/")

CLIENT = {
    b"host": b"localhost:4000",
    b"authorization": b"Bearer tg-secret",
    b"x-api-key": b"tg-secret",
    b"cookie": b"a=b",
    b"content-type": b"application/json",
    b"content-length": b"2",
    b"connection": b"keep-alive",
    b"accept": b"application/json",
    b"accept-encoding": b"br, gzip, deflate",
    b"user-agent": b"claude-cli/2.1",
    b"anthropic-version": b"2026-10-21",
    b"anthropic-beta": b"context-1m-2025-08-07",
    b"anthropic-dangerous-direct-browser-access": b"true",
    b"x-app": b"cli",
    b"x-stainless-lang": b"js",
    b"x-tidegate-user-id": b"u",
    b"x-claude-code-session-id": b"s",
    b"traceparent": b"00-1",
}


@pytest.mark.parametrize("base", ["https://a.test", "https://a.test/v1/", "https://a.test/deep"])
@pytest.mark.parametrize(
    ("surface", "path"),
    [("anthropic.messages", "/v1/messages"), ("anthropic.count_tokens", "/v1/messages/count_tokens")],
)
def test_a_surface_has_its_path_whatever_the_base_url_ends_in(base, surface, path):
    outgoing = Anthropic("a", base).request(surface, {}, b"{}", secret="s", stream=False)

    deep = "/deep" if base.endswith("deep") else ""
    assert (outgoing.method, outgoing.path, outgoing.body) == ("POST", deep + path, b"{}")
    assert outgoing.origin == Origin("https", "a.test", 443)


def test_the_query_goes_on():
    sent = provider.request("anthropic.messages", {}, b"", secret="s", stream=True, query=b"beta=true&x=%20")

    assert sent.path == "/v1/messages?beta=true&x=%20"


def test_only_listed_headers_leave_and_the_key_is_the_deployments():
    sent = dict(provider.request("anthropic.messages", CLIENT, b"", secret="sk-1", stream=False).headers)

    assert sent == {
        b"content-type": b"application/json",
        b"accept": b"application/json",
        b"accept-encoding": b"gzip, deflate",
        b"user-agent": b"claude-cli/2.1",
        b"anthropic-version": b"2026-10-21",
        b"anthropic-beta": b"context-1m-2025-08-07",
        b"anthropic-dangerous-direct-browser-access": b"true",
        b"x-app": b"cli",
        b"x-stainless-lang": b"js",
        b"x-api-key": b"sk-1",
    }


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({b"authorization": b"Bearer oat"}, {b"authorization": b"Bearer oat"}),
        ({b"authorization": b"bearer  oat "}, {b"authorization": b"Bearer oat"}),
        ({b"x-api-key": b"oat"}, {b"x-api-key": b"oat"}),
        ({b"authorization": b"Basic oat"}, {b"x-api-key": b"oat"}),
        ({b"authorization": b"Bearer another"}, {b"x-api-key": b"oat"}),
        ({}, {b"x-api-key": b"oat"}),
    ],
)
def test_the_clients_own_key_goes_on_in_the_header_in_which_it_came(headers, sent):
    outgoing = provider.request("anthropic.messages", headers, b"", secret="oat", stream=True)

    names = {b"authorization", b"x-api-key"}
    assert {name: value for name, value in outgoing.headers if name in names} == sent


def test_a_client_that_names_no_version_gets_the_oldest():
    sent = provider.request("anthropic.messages", {}, b"", secret="", stream=True).headers

    assert (b"anthropic-version", b"2023-06-01") in sent
    assert b"x-api-key" not in dict(sent)


def test_all_models_are_asked_for_on_one_page():
    outgoing = Anthropic("a", "http://localhost:1/v1").models(secret="s")

    assert (outgoing.method, outgoing.path) == ("GET", "/v1/models?limit=1000")
    assert dict(outgoing.headers)[b"x-api-key"] == b"s"
    assert dict(outgoing.headers)[b"anthropic-version"] == b"2023-06-01"


def test_streams_always_say_their_usage():
    assert not Anthropic("a", "http://localhost:1", include_usage=True).include_usage


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (404, False),
        (413, False),
        (401, True),
        (403, True),
        (429, True),
        (500, True),
        (529, True),
    ],
)
def test_a_refusal_says_whether_another_deployment_may_do_better(status, retryable):
    assert provider.failure(status, [], b"").retryable is retryable


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (
            b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"},"request_id":"req_1"}',
            "Slow down",
            "rate_limit_error",
        ),
        (b'{"error":{"message":"x"}}', "x", "upstream_error"),
        (b'{"error":"x"}', "x", "upstream_error"),
        (b"<html>", "anthropic answered 429", "upstream_error"),
        (b"\xff", "\ufffd", "upstream_error"),
        (b"", "anthropic answered 429", "upstream_error"),
    ],
)
def test_the_code_of_a_refusal_is_its_type(body, message, code):
    headers = [(b"retry-after", b"7"), (b"request-id", b"req_1")]

    error = provider.failure(429, headers, body)

    assert (str(error), error.code, error.retry_after_s) == (message, code, 7.0)
    assert (error.status, error.headers, error.body) == (429, headers, body)
