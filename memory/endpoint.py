"""Any OpenAI-compatible `/embeddings` endpoint as an embedder."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import numpy as np

from memory.embed import unit
from memory.errors import EmbedderAway
from memory.records import Vector

Post = Callable[[bytes], bytes]
"""Sends a JSON body to the endpoint, returns the answer's body; raises OSError or EmbedderAway."""


_PREFIX = "endpoint-"


class _Item(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Item]


class Endpoint:
    """`dimensions` must be what the model answers; `gate` has to be calibrated for it."""

    def __init__(self, post: Post, *, model: str, dimensions: int, gate: float = 0.35) -> None:
        self.fingerprint = f"{_PREFIX}{model}-{dimensions}"
        self.dimensions = dimensions
        self.gate = gate
        self._post = post
        self._model = model

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Ask for all texts at once. Raises EmbedderAway."""
        body = msgspec.json.encode({"model": self._model, "input": list(texts), "encoding_format": "float"})
        try:
            answer = msgspec.json.decode(self._post(body), type=_Answer)
        except (OSError, msgspec.MsgspecError) as error:
            raise EmbedderAway(f"the embedding endpoint failed: {type(error).__name__}") from error
        found = {item.index: item.embedding for item in answer.data}
        if sorted(found) != list(range(len(texts))):
            raise EmbedderAway("the embedding endpoint did not answer every text")
        if any(len(vector) != self.dimensions for vector in found.values()):
            raise EmbedderAway(f"the embedding endpoint's vectors do not have {self.dimensions} dimensions")
        return [unit(np.array(found[place], dtype=np.float32)) for place in range(len(texts))]


def endpoint_of(fingerprint: str, post: Post) -> Endpoint | None:
    """Return the endpoint of a fingerprint, another model behind the same URL; None if it is not one's."""
    model, _, dimensions = fingerprint.removeprefix(_PREFIX).rpartition("-")
    if not fingerprint.startswith(_PREFIX) or not dimensions.isdecimal():
        return None
    return Endpoint(post, model=model, dimensions=int(dimensions))


def over_urllib(url: str, *, secret: str = "", timeout_s: float = 10.0) -> Post:
    """Return a way to post that needs no client of the caller's. `url`: of the endpoint itself."""
    if not url.startswith(("http://", "https://")):
        raise EmbedderAway("the embedding endpoint's URL must begin with http:// or https://")

    def post(body: bytes) -> bytes:
        headers = {"content-type": "application/json"} | (
            {"authorization": f"Bearer {secret}"} if secret else {}
        )
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - the scheme is checked above
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            found: bytes = answer.read()
            return found

    return post


def over_loop(
    post: Callable[[bytes], Awaitable[bytes]], loop: asyncio.AbstractEventLoop, *, timeout_s: float = 10.0
) -> Post:
    """Return a way to post with an async client that lives on `loop`; never call it on that loop."""

    async def run(body: bytes) -> bytes:
        async with asyncio.timeout(timeout_s):
            return await post(body)

    def wait(body: bytes) -> bytes:
        return asyncio.run_coroutine_threadsafe(run(body), loop).result()

    return wait
