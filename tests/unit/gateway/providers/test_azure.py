from __future__ import annotations

from typing import Any

import pytest

from gateway.providers.azure import AzureOpenAI
from gateway.wire.openai_stream import StreamReading

ENDPOINT = "https://harbour.openai.azure.com"
FIRST = b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}\n\n'
REST = (
    b'data: {"choices":[{"delta":{"content":"","role":"assistant"},"finish_reason":null,"index":0}],"id":"c1","model":"gpt-4o"}\n\n'
    b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":null,"index":0}],"id":"c1","model":"gpt-4o"}\n\n'
    b'data: {"choices":[{"delta":{},"finish_reason":"stop","index":0}],"id":"c1","model":"gpt-4o"}\n\n'
)
USAGE = b'data: {"choices":[],"id":"c1","model":"gpt-4o","usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}\n\n'
"""As recorded in 2024-04, shortened."""


def asked(
    provider: AzureOpenAI, secret: str = "k", surface: str = "openai.chat", **more: Any
) -> tuple[str, dict[bytes, bytes]]:
    outgoing = provider.request(surface, {}, b"{}", secret=secret, stream=False, model="my gpt", **more)
    return outgoing.path, dict(outgoing.headers)


@pytest.mark.parametrize(
    "base_url", [ENDPOINT, f"{ENDPOINT}/", f"{ENDPOINT}/openai", f"{ENDPOINT}/openai/v1/"]
)
def test_the_v1_api_is_asked_wherever_the_base_url_ends(base_url):
    provider = AzureOpenAI("azure", base_url)

    assert asked(provider)[0] == "/openai/v1/chat/completions"
    assert asked(provider, surface="openai.responses")[0] == "/openai/v1/responses"
    assert "openai.passthrough" in provider.speaks


def test_the_list_of_models_is_asked_for_with_a_bearer_token():
    headers = dict(AzureOpenAI("azure", ENDPOINT).models(secret="k").headers)

    assert headers[b"authorization"] == b"Bearer k"
    assert b"api-key" not in headers


def test_with_a_version_the_deployment_stands_in_the_path():
    provider = AzureOpenAI("azure", ENDPOINT, api_version="2024-10-21")

    assert asked(provider)[0] == "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"
    assert asked(provider, surface="openai.embeddings")[0].startswith(
        "/openai/deployments/my%20gpt/embeddings?"
    )
    assert provider.speaks == {"openai.chat", "openai.embeddings", "openai.completions"}


def test_a_version_that_is_no_date_is_refused():
    with pytest.raises(ValueError, match="api_version"):
        AzureOpenAI("azure", ENDPOINT, api_version="latest")


def test_a_key_and_an_entra_token_have_headers_of_their_own():
    provider = AzureOpenAI("azure", ENDPOINT)

    assert asked(provider, "abc")[1][b"api-key"] == b"abc"
    assert b"authorization" not in asked(provider, "abc")[1]
    assert asked(provider, "eyJ0.eyJ1.x")[1][b"authorization"] == b"Bearer eyJ0.eyJ1.x"
    assert b"api-key" not in asked(provider, "eyJ0.eyJ1.x")[1]


@pytest.mark.parametrize("code", ['"content_filter"', "null", '"400"'])
def test_what_a_filter_refuses_has_one_code(code):
    body = b'{"error":{"code":%b,"message":"filtered","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}'

    error = AzureOpenAI("azure", ENDPOINT).failure(400, [], body % code.encode())

    assert (error.code, str(error)) == ("content_filter", "filtered")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"error":"no"}', b'{"error":{"code":"429","innererror":null}}']
)
def test_other_refusals_are_openais(body):
    error = AzureOpenAI("azure", ENDPOINT).failure(429, [(b"retry-after-ms", b"1500")], body)

    assert error.code != "content_filter"
    assert error.retry_after_s == 1.5


@pytest.mark.parametrize("strip", [True, False])
def test_the_extra_first_chunk_is_neither_content_nor_usage(strip):
    reading = StreamReading(strip_usage=strip)

    passed = reading.feed(FIRST)
    assert not reading.began
    passed += reading.feed(REST) + reading.feed(USAGE) + reading.feed(b"data: [DONE]\n\n") + reading.end()

    finding = reading.finding()
    assert (finding.response_id, finding.response_model, finding.complete) == ("c1", "gpt-4o", True)
    assert finding.usage is not None
    assert finding.usage.input_uncached == 9
    assert passed == FIRST + REST + (b"" if strip else USAGE) + b"data: [DONE]\n\n"
