from __future__ import annotations

from gateway.providers.base import Provider
from gateway.providers.kept import KeptAt
from gateway.providers.openai import OpenAICompatible

OPENAI = OpenAICompatible("openai", "https://api.example.com/v1")
HEADERS = {b"content-type": b"application/json", b"accept": b"application/json", b"host": b"x"}


def test_a_kept_response_is_asked_for_where_it_is():
    kept: Provider = KeptAt(OPENAI, "GET", "/resp_1/input_items")

    asked = kept.request(
        "openai.responses", HEADERS, b"", secret="sk", stream=False, query=b"limit=2&include[]=a"
    )

    assert (asked.method, asked.origin) == ("GET", OPENAI.origin)
    assert asked.path == "/v1/responses/resp_1/input_items?limit=2&include[]=a"
    assert (b"authorization", b"Bearer sk") in asked.headers
    assert b"content-type" not in dict(asked.headers)


def test_it_is_the_same_provider_otherwise():
    kept = KeptAt(OPENAI, "POST", "/resp_1/cancel")

    asked = kept.request("openai.responses", HEADERS, b"{}", secret="", stream=False)

    assert (kept.name, kept.speaks) == (OPENAI.name, OPENAI.speaks)
    assert kept.failure(404, [], b"").status == 404
    assert (asked.path, asked.body) == ("/v1/responses/resp_1/cancel", b"{}")
    assert (b"content-type", b"application/json") in asked.headers
