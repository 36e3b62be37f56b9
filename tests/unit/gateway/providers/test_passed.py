from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.providers.anthropic import Anthropic
from gateway.providers.base import Outgoing, Provider
from gateway.providers.gemini import Gemini
from gateway.providers.openai import OpenAICompatible
from gateway.providers.passed import PassedOn
from gateway.wire.passthrough_paths import Family, Place

OPENAI = OpenAICompatible("openai", "https://api.example.com/base/v1")
CLAUDE = Anthropic("anthropic", "https://api.example.com/base/v1")
GEMINI = Gemini("gemini", "https://api.example.com/base")


def place(family: Family, path: str, **more: Any) -> Place:
    return Place(family=family, path=path, **{"method": "GET", **more})


def asked(
    provider: Provider,
    at: Place,
    headers: dict[bytes, bytes] | None = None,
    body: bytes = b"",
    *,
    query: bytes = b"",
    model: str = "",
    **more: Any,
) -> Outgoing:
    passed: Provider = PassedOn(provider, at, **more)
    surface = f"{at.family}.passthrough"
    return passed.request(surface, headers or {}, body, secret="sk", stream=False, model=model, query=query)


@pytest.mark.parametrize(
    ("provider", "at", "path"),
    [
        (OPENAI, place("openai", "/files/a%2Fb"), "/base/v1/files/a%2Fb?a=1&key=2"),
        (CLAUDE, place("anthropic", "/skills"), "/base/v1/skills?a=1&key=2"),
        (GEMINI, place("gemini", "/files"), "/base/v1beta/files?a=1"),
        (GEMINI, place("gemini", "/files", root="upload"), "/base/upload/v1beta/files?a=1"),
        (GEMINI, place("gemini", "/files/f", root="download"), "/base/download/v1beta/files/f?a=1"),
    ],
)
def test_a_place_is_below_the_providers_own_root(provider, at, path):
    out = asked(provider, at, query=b"a=1&key=2")

    assert (out.method, out.path, out.body) == ("GET", path, b"")


def test_a_model_in_the_path_is_the_deployments():
    at = place("gemini", "/models/gemini/imagen-4:predict", method="POST", model="gemini/imagen-4")

    assert asked(GEMINI, at, body=b"{}", model="imagen-4").path == "/base/v1beta/models/imagen-4:predict"


def test_headers_leave_by_a_list():
    headers = {
        b"authorization": b"Bearer tg-ours", b"cookie": b"c", b"x-tidegate-user-id": b"u", b"host": b"h",
        b"range": b"bytes=0-4", b"if-none-match": b"e", b"accept-encoding": b"gzip", b"openai-beta": b"b",
    }  # fmt: skip

    sent = dict(asked(OPENAI, place("openai", "/files"), headers).headers)

    assert sent == {
        b"authorization": b"Bearer sk",
        b"range": b"bytes=0-4",
        b"if-none-match": b"e",
        b"accept-encoding": b"identity",
        b"openai-beta": b"b",
    }


def test_google_is_told_how_the_upload_goes_on():
    sent = asked(GEMINI, place("gemini", "/files", root="upload"), {b"x-goog-upload-command": b"start"})

    assert (b"x-goog-upload-command", b"start") in sent.headers


async def _parts() -> AsyncIterator[bytes]:
    yield b"a"


def test_a_body_that_arrives_is_sent_on_with_its_type_and_length():
    parts = _parts()
    headers = {b"content-type": b"multipart/form-data; boundary=b"}

    out = asked(OPENAI, place("openai", "/files", method="POST"), headers, parts=parts, length=7)

    assert (out.parts, out.length, out.body) == (parts, 7, b"")
    assert [pair for pair in out.headers if pair[0] == b"content-type"] == list(headers.items())


def test_json_keeps_its_type_and_a_request_without_a_body_has_none():
    headers = {b"content-type": b"application/json"}

    whole = asked(OPENAI, place("openai", "/images/generations", method="POST"), headers, b"{}")
    empty = asked(OPENAI, place("openai", "/files"), headers)

    assert dict(whole.headers)[b"content-type"] == b"application/json"
    assert b"content-type" not in dict(empty.headers)
