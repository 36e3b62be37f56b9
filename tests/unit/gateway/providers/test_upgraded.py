from __future__ import annotations

from gateway.providers.gemini import Gemini
from gateway.providers.openai import OpenAICompatible
from gateway.providers.upgraded import Upgraded, key_offered, offered
from gateway.wire.passthrough_paths import Place, find_socket

OPENAI = OpenAICompatible("openai", "https://api.example.com/base/v1")
GEMINI = Gemini("gemini", "http://api.example.com/base")
LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
HEADERS = {
    b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
    b"sec-websocket-version": b"13",
    b"sec-websocket-extensions": b"permessage-deflate",
    b"sec-websocket-protocol": b"realtime,openai-insecure-api-key.tg-mine , openai-beta.realtime-v1",
    b"authorization": b"Bearer tg-mine",
    b"x-tidegate-user-id": b"ann",
    b"openai-beta": b"realtime=v1",
    b"cookie": b"a=b",
}


def at(path: str) -> Place:
    found = find_socket(path)
    assert found is not None
    return found


def test_the_handshake_is_the_clients_without_extensions_and_keys():
    asked = Upgraded(OPENAI, at("/v1/realtime")).request(
        "openai.passthrough",
        HEADERS,
        b"",
        secret="sk",
        stream=False,
        model="gpt/x",
        query=b"a=1&model=voice&b",
    )

    assert (asked.method, asked.origin.scheme, asked.origin.port) == ("GET", "wss", 443)
    assert asked.path == "/base/v1/realtime?a=1&model=gpt%2Fx&b"
    assert dict(asked.headers) == {
        b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
        b"sec-websocket-version": b"13",
        b"sec-websocket-protocol": b"realtime, openai-beta.realtime-v1",
        b"authorization": b"Bearer sk",
        b"openai-beta": b"realtime=v1",
        b"upgrade": b"websocket",
    }


def test_a_query_without_a_model_gets_none():
    asked = Upgraded(OPENAI, at("/v1/realtime")).request(
        "openai.passthrough", {}, b"", secret="", stream=False, model="m", query=b"call_id=rtc_1"
    )

    assert asked.path == "/base/v1/realtime?call_id=rtc_1"


def test_geminis_sockets_stand_beside_its_versions():
    asked = Upgraded(GEMINI, at(LIVE)).request(
        "gemini.passthrough", {}, b"", secret="AIza", stream=False, query=b"key=tg-mine&alt=json"
    )

    assert (asked.origin.scheme, asked.path) == ("ws", f"/base{LIVE}?alt=json")
    assert (b"x-goog-api-key", b"AIza") in asked.headers


def test_a_key_among_the_protocols_is_found():
    assert key_offered(HEADERS) == b"tg-mine"
    assert key_offered({b"sec-websocket-protocol": b"realtime"}) == b""
    assert offered({}) == []
