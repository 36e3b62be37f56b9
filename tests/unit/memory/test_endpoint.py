from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
from typing_extensions import override

from memory.endpoint import Endpoint, over_loop, over_urllib
from memory.errors import EmbedderAway


def answer(*vectors: list[float]) -> bytes:
    data = [
        {"index": place, "embedding": vector, "object": "embedding"} for place, vector in enumerate(vectors)
    ]
    return msgspec.json.encode({"data": data[::-1], "model": "m", "usage": {}})


def endpoint(reply: bytes, *, dimensions: int = 2) -> Endpoint:
    return Endpoint(lambda body: reply, model="m", dimensions=dimensions)


def test_vectors_come_in_the_order_of_the_texts_and_with_length_one():
    one, two = endpoint(answer([3, 4], [0, 2])).embed(["a", "b"])
    assert one.tolist() == pytest.approx([0.6, 0.8])
    assert two.tolist() == [0, 1]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"{}",
        b"[",
        answer([1, 0]),
        answer([1], [1]),
        answer([1, 0, 0], [1, 0, 0]),
        b'{"data":[{"index":0}]}',
    ],
)
def test_an_answer_that_does_not_fit_is_an_embedder_away(reply):
    with pytest.raises(EmbedderAway):
        endpoint(reply).embed(["a", "b"])


def test_a_connection_that_fails_is_an_embedder_away():
    embedder = Endpoint(over_urllib("http://127.0.0.1:9/v1/embeddings", timeout_s=2), model="m", dimensions=2)
    with pytest.raises(EmbedderAway):
        embedder.embed(["a"])


def test_only_http_is_spoken():
    with pytest.raises(EmbedderAway):
        over_urllib("file:///etc/passwd")


def test_fingerprints_tell_models_apart():
    assert (
        Endpoint(bytes, model="a", dimensions=2).fingerprint
        != Endpoint(bytes, model="b", dimensions=2).fingerprint
    )
    assert endpoint(b"").fingerprint != endpoint(b"", dimensions=3).fingerprint


class Told(BaseHTTPRequestHandler):
    """Answers one vector per text and keeps what it was told."""

    told: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.told.append((self.headers["authorization"], body))
        reply = answer([1, 0])
        self.send_response(200)
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    Told.told = []
    with HTTPServer(("127.0.0.1", 0), Told) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_an_endpoint_is_asked_as_openai_clients_ask(server):
    url = f"http://127.0.0.1:{server.server_port}/v1/embeddings"
    embedder = Endpoint(over_urllib(url, secret="sk-1"), model="m", dimensions=2)
    assert embedder.embed(["tea"])[0].tolist() == [1, 0]
    ((authorization, body),) = Told.told
    assert authorization == "Bearer sk-1"
    assert msgspec.json.decode(body) == {"model": "m", "input": ["tea"], "encoding_format": "float"}


async def test_a_client_that_lives_on_the_loop_can_be_used_from_a_thread():
    async def post(body: bytes) -> bytes:
        await asyncio.sleep(0)
        return answer([1, 0])

    embedder = Endpoint(over_loop(post, asyncio.get_running_loop()), model="m", dimensions=2)
    assert (await asyncio.to_thread(embedder.embed, ["tea"]))[0].tolist() == [1, 0]


async def test_a_client_that_does_not_answer_in_time_is_an_embedder_away():
    async def post(body: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    embedder = Endpoint(over_loop(post, asyncio.get_running_loop(), timeout_s=0.01), model="m", dimensions=2)
    with pytest.raises(EmbedderAway):
        await asyncio.to_thread(embedder.embed, ["tea"])
