"""An open memory as the hub serves it. Imports vectors, index and model: load it off the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.errors import UpstreamFailed
from gateway.providers.openai import OpenAICompatible
from gateway.recollection import Asker, Question, Recollection, Used
from gateway.settings import Embedder as EmbedderSettings
from gateway.settings import Timeouts
from gateway.transport import Transport
from memory.api import MemoryApi
from memory.capture import heard
from memory.embed import Embedder
from memory.endpoint import Endpoint, over_loop
from memory.errors import EmbedderAway
from memory.minilm import load_or_words
from memory.records import Captured, Said
from memory.scope import Scope
from memory.service import AsyncMemory
from telemetry.records import Payload
from telemetry.redact import replace_secrets

EMBEDDING_S = 10.0
_PATIENCE = Timeouts(connect_s=2, first_byte_s=EMBEDDING_S, idle_s=EMBEDDING_S, total_s=EMBEDDING_S)
_MOST_BYTES = 16 * 1024 * 1024

_payloads = msgspec.msgpack.Decoder(list[Payload])


class Memories:
    """What workers, the collector and the memory API ask of one open memory."""

    def __init__(self, memory: AsyncMemory) -> None:
        self.api = MemoryApi(memory)
        self._memory = memory

    @classmethod
    async def open(cls, folder: Path, settings: EmbedderSettings, transport: Transport) -> Memories:
        """Open or make the stores. Raises MemoryFault, OSError, sqlite3.Error."""
        embedder = embedder_of(settings, transport, asyncio.get_running_loop())
        return cls(await AsyncMemory.open(folder, embedder, redact=redacted))

    async def close(self) -> None:
        """Write everything and let go of the folder."""
        await self._memory.close()

    async def backlog(self) -> int:
        """Return how many memories wait to be indexed."""
        return await self._memory.backlog()

    async def recall(self, asked: Question) -> Recollection:
        """Say what to add to a prompt. Raises BadScope."""
        scope = scope_of(asked.asker)
        found = await self._memory.recall(scope, asked.query, budget=asked.budget, window=asked.window)
        return Recollection(
            status=found.status,
            reason=found.reason,
            block=found.block,
            ids=found.ids,
            scores=found.scores,
            tokens=found.tokens,
        )

    async def confirm(self, used: Used) -> int:
        """Note that these memories went into this call. Raises BadScope."""
        return await self._memory.confirm(scope_of(used.asker), used.call_id, used.ids)

    async def capture(self, body: bytes) -> Captured:
        """Store what users said in these requests (a msgpack list of `Payload`), once. Raises BadScope."""
        return await self._memory.capture(await asyncio.to_thread(_said, body))


def scope_of(asker: Asker) -> Scope:
    """Return whose memories are meant. Raises BadScope."""
    return Scope(
        project=asker.project, environment=asker.environment, user=asker.user_id, agent=asker.agent_id
    )


def redacted(text: str) -> str:
    """Return a text without secrets: those that came in over the API have met no journal."""
    return replace_secrets(text.encode())[0].decode()


def embedder_of(
    settings: EmbedderSettings, transport: Transport, loop: asyncio.AbstractEventLoop
) -> Callable[[Path], Embedder]:
    """Return what makes the embedder: the local model's, or an endpoint's that is asked on this loop."""
    if not settings.base_url:
        return load_or_words
    provider = OpenAICompatible("the embedder", settings.base_url)

    async def post(body: bytes) -> bytes:
        headers = {b"content-type": b"application/json"}
        outgoing = provider.request("openai.embeddings", headers, body, secret=settings.api_key, stream=True)
        try:
            async with transport.open(outgoing, _PATIENCE, stream=False) as answer:
                found = await answer.read(_MOST_BYTES)
        except UpstreamFailed as error:
            raise EmbedderAway(f"the embedding endpoint failed: {error}") from error
        if answer.status != 200:
            raise EmbedderAway(f"the embedding endpoint answered {answer.status}")
        return found

    way = over_loop(post, loop, timeout_s=EMBEDDING_S)
    return lambda _: Endpoint(way, model=settings.model, dimensions=settings.dimensions)


def _said(body: bytes) -> list[Said]:
    found = []
    for payload in _payloads.decode(body):
        scope = Scope(
            project=payload.project,
            environment=payload.environment,
            user=payload.user_id,
            agent=payload.agent_id,
        )
        said = heard(
            payload.body,
            scope,
            call_id=payload.call_id,
            occurred_at_us=payload.started_at_us,
            thread_id=payload.thread_id,
        )
        if said is not None:
            found.append(said)
    return found
