from __future__ import annotations

import msgspec
import pytest

from gateway.providers.vertex import VertexAnthropic, VertexGemini, home

CLAUDE = "claude-sonnet-4-5@20250929"
BODY = (
    b'{"model":"claude-sonnet-4-5@20250929","max_tokens":5,"messages":[{"role":"user","content":"\\u00e4"}]}'
)


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("", "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers"),
        ("us", "https://aiplatform.us.rep.googleapis.com/v1/projects/p/locations/us/publishers"),
        ("europe-west1", "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1/publishers"),
    ],
)  # fmt: skip
def test_project_and_region_say_where_it_is(region, url):
    assert home("", "p", region) == url
    with pytest.raises(ValueError, match="project"):
        home("", "", region)


def test_gemini_is_asked_as_ever_but_in_the_project():
    gemini = VertexGemini("vertex", home("", "p", "global"))

    asked = gemini.request(
        "gemini.generate",
        {},
        b"{}",
        secret="ya29.x",
        stream=True,
        model="gemini-2.5-pro",
        query=b"alt=sse&key=mine",
    )

    place = "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro"
    assert asked.path == f"{place}:streamGenerateContent?alt=sse"
    assert (b"authorization", b"Bearer ya29.x") in asked.headers
    assert gemini.request("gemini.count", {}, b"{}", secret="", stream=False, model="m").path.endswith(
        "/m:countTokens"
    )


@pytest.mark.parametrize(("stream", "method"), [(False, "rawPredict"), (True, "streamRawPredict")])
def test_claude_is_named_by_the_path_and_its_version_by_the_body(stream, method):
    claude = VertexAnthropic("vertex", home("", "p", "us-east5"))
    client = {b"anthropic-version": b"2023-06-01", b"anthropic-beta": b"x", b"x-api-key": b"mine"}

    asked = claude.request("anthropic.messages", client, BODY, secret="ya29.x", stream=stream, model=CLAUDE)

    assert asked.path == f"/v1/projects/p/locations/us-east5/publishers/anthropic/models/{CLAUDE}:{method}"
    headers = dict(asked.headers)
    assert headers[b"authorization"] == b"Bearer ya29.x"
    assert headers[b"anthropic-beta"] == b"x"
    assert not {b"anthropic-version", b"x-api-key"} & set(headers)
    assert asked.body == (
        b'{"max_tokens":5,"messages":[{"role":"user","content":"\\u00e4"}],"anthropic_version":"vertex-2023-10-16"}'
    )


def test_tokens_are_counted_by_a_method_of_its_own_that_is_told_the_model():
    claude = VertexAnthropic("vertex", home("", "p", "global"))

    asked = claude.request("anthropic.count_tokens", {}, BODY, secret="", stream=False, model=CLAUDE)

    assert asked.path.endswith("/publishers/anthropic/models/count-tokens:rawPredict")
    assert msgspec.json.decode(asked.body)["model"] == CLAUDE
    assert b"authorization" not in dict(asked.headers)
