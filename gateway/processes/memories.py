"""An open memory as the hub serves it. Imports vectors, index and model: load it off the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from gateway.errors import UpstreamFailed
from gateway.providers.openai import OpenAICompatible
from gateway.recollection import Asker, Question, Recollection, Span, Used
from gateway.settings import Embedder as EmbedderSettings
from gateway.settings import Memory as MemorySettings
from gateway.settings import Timeouts
from gateway.transport import Transport
from gateway.wire.turns import DIGEST_BYTES
from memory.api import MemoryApi
from memory.capture import heard
from memory.embed import Embedder
from memory.endpoint import Endpoint, Post, over_loop
from memory.errors import EmbedderAway
from memory.extraction import Extraction
from memory.jobs import JobState, Worked
from memory.local import FindFormer, embedder_named, former_by, former_here
from memory.manager import Manager, Model
from memory.opening import FindIndexes
from memory.proposals import Asked, Proposals
from memory.records import Captured, Said
from memory.scope import Scope
from memory.sealed import UNSEALED, Sealer
from memory.service import AsyncMemory
from memory.store.index import Indexes
from memory.upkeep.runner import Upkeep
from telemetry.records import Payload
from telemetry.redact import replace_secrets

EMBEDDING_S = 10.0
_PATIENCE = Timeouts(connect_s=2, first_byte_s=EMBEDDING_S, idle_s=EMBEDDING_S, total_s=EMBEDDING_S)
_MOST_BYTES = 16 * 1024 * 1024

_payloads = msgspec.msgpack.Decoder(list[Payload])


class Memories:
    """What workers, the collector and the memory API ask of one open memory."""

    def __init__(
        self, memory: AsyncMemory, proposals: Proposals, extraction: Extraction, upkeep: Upkeep | None
    ) -> None:
        self.api = MemoryApi(memory)
        self._memory = memory
        self._proposals = proposals
        self._extraction = extraction
        self._upkeep = upkeep

    @classmethod
    async def open(
        cls,
        folder: Path,
        settings: MemorySettings,
        transport: Transport,
        model: Model | None = None,
        *,
        sealer: Sealer = UNSEALED,
        busy: Callable[[], bool] = bool,
    ) -> Memories:
        """Open or make the stores; `model` reads what is captured; `busy`: somebody waits for an answer now.

        Raises MemoryFault, OSError, sqlite3.Error.
        """
        embedder = embedder_of(settings.embedder, transport, asyncio.get_running_loop())
        memory = await AsyncMemory.open(
            folder,
            embedder,
            redact=redacted,
            indexes=indexes_of(settings),
            former=former_of(settings.embedder, transport, asyncio.get_running_loop()),
            ledger_url=settings.ledger_url,
            sealer=sealer,
        )
        manager = None
        if model is not None and model.name:
            manager = Manager(model, instructions=settings.instructions, redact=redacted)
        try:
            proposals = await Proposals.open(folder, memory, ledger_url=settings.ledger_url, sealer=sealer)
            upkeep = memory.upkeep(model, redact=redacted, busy=busy) if settings.upkeep else None
            return cls(memory, proposals, memory.extraction(manager, redact=redacted), upkeep)
        except BaseException:
            await memory.close()
            raise

    async def close(self) -> None:
        """Write everything and let go of the folder."""
        await self._proposals.close()
        await self._memory.close()

    async def read(self) -> None:
        """Read what is captured, until cancelled."""
        await self._extraction.run()

    async def tidy(self) -> None:
        """Look after what is remembered, until cancelled."""
        if self._upkeep is not None:
            await self._upkeep.run()

    async def reindexing(self) -> dict[str, Any] | None:
        """Return how far the next collection of the index is, if one is being built."""
        running = (await self._memory.upkeep_progress())["running"]
        return next((row for row in running if row["job"] == "reindex"), None)

    async def tidied(self) -> dict[str, int]:
        """Return how much each job of the upkeep has changed."""
        counts: dict[str, int] = dict((await self._memory.upkeep_progress())["counts"])
        return counts | ({"expire": self._upkeep.expired} if self._upkeep is not None else {})

    async def jobs(self) -> dict[JobState, int]:
        """Return how many conversations are to be read, and how many have been."""
        return await self._extraction.counts()

    async def worked(self, about: Span) -> Worked:
        """Return what came of the reading that a span of time brought."""
        memory = self._memory.within(about.project, about.environment)
        return await memory.worked(about.from_us, about.to_us, everybodys=about.everybodys)

    async def backlog(self) -> int:
        """Return how many memories wait to be indexed."""
        return await self._memory.backlog()

    async def recall(self, asked: Question) -> Recollection:
        """Say what to add to a prompt. Raises BadScope."""
        chain = asked.chain or bytes(DIGEST_BYTES)
        found = await self._proposals.propose(
            scope_of(asked.asker),
            Asked(
                call_id=asked.call_id,
                query=asked.query,
                window=asked.window,
                budget=asked.budget,
                thread=asked.thread,
                anchors=[chain[at : at + DIGEST_BYTES] for at in range(0, len(chain), DIGEST_BYTES)],
                profile=asked.profile,
                most=asked.most,
                seen=frozenset(asked.seen),
            ),
        )
        return msgspec.convert(found, Recollection, from_attributes=True)

    async def confirm(self, used: Used) -> int:
        """Note that a call went out as it was proposed. Raises BadScope."""
        return await self._proposals.confirm(scope_of(used.asker), used.call_id, used.ids)

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


def indexes_of(settings: MemorySettings) -> FindIndexes | None:
    """Return what reaches the index on a server, if there is one."""
    if not settings.qdrant_url:
        return None

    def reach() -> Indexes:
        # its client takes a second to import and tens of megabytes, which most houses never need
        from memory.store.qdrant import QdrantIndexes, connect  # noqa: PLC0415

        return QdrantIndexes(connect(settings.qdrant_url, settings.qdrant_api_key))

    return reach


def embedder_of(
    settings: EmbedderSettings, transport: Transport, loop: asyncio.AbstractEventLoop
) -> Callable[[Path], Embedder]:
    """Return what makes the embedder: a local model's, or an endpoint's that is asked on this loop."""
    if not settings.base_url:
        return embedder_named(settings.model, settings.folder)
    post = _endpoint(settings, transport, loop)
    return lambda _: Endpoint(post, model=settings.model, dimensions=settings.dimensions)


def former_of(
    settings: EmbedderSettings, transport: Transport, loop: asyncio.AbstractEventLoop
) -> FindFormer:
    """Return what makes an embedder that the settings named before: a local one, or another model of the same endpoint."""
    if not settings.base_url:
        return former_here
    return former_by(_endpoint(settings, transport, loop))


def _endpoint(settings: EmbedderSettings, transport: Transport, loop: asyncio.AbstractEventLoop) -> Post:
    provider = OpenAICompatible("the embedder", settings.base_url)

    async def post(body: bytes) -> bytes:
        headers = {b"content-type": b"application/json"}
        outgoing = provider.request("openai.embeddings", headers, body, secret=settings.api_key, stream=True)
        try:
            with closing(await transport.open(outgoing, _PATIENCE, stream=False)) as answer:
                found = await answer.read(_MOST_BYTES)
        except UpstreamFailed as error:
            raise EmbedderAway(f"the embedding endpoint failed: {error}") from error
        if answer.status != 200:
            raise EmbedderAway(f"the embedding endpoint answered {answer.status}")
        return found

    return over_loop(post, loop, timeout_s=EMBEDDING_S)


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
            event_id=payload.event_id,
        )
        if said is not None:
            found.append(said)
    return found
