"""Which models each provider has: asked in the background, kept until a newer answer comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import closing

import msgspec

from gateway.errors import UpstreamFailed
from gateway.providers.base import Outgoing
from gateway.settings import Timeouts
from gateway.tasks import spawn
from gateway.transport import Transport

logger = logging.getLogger(__name__)

EVERY_S = 600.0
_AT_MOST = 4 * 1024 * 1024
"""Bytes of one list; OpenRouter's, the longest known, has about 0.5 MB (2026)."""
_PATIENCE = Timeouts(connect_s=5, first_byte_s=20, idle_s=20, total_s=30)

Models = dict[str, list[str]]
"""Model ids by provider, in the provider's own order."""


class ListingSource(msgspec.Struct, frozen=True):
    """A provider that can be asked, and the request that asks it."""

    name: str
    outgoing: Outgoing


class _Model(msgspec.Struct, frozen=True):
    id: str


class _Named(msgspec.Struct, frozen=True):
    name: str


class _List(msgspec.Struct, frozen=True):
    """The shape of OpenAI's and Anthropic's `GET /v1/models` (`data`), or of Gemini's (`models`)."""

    data: list[_Model] | None = None
    models: list[_Named] | None = None

    def ids(self) -> list[str]:
        """Return the models as calls name them; raise ValidationError if this is no list."""
        if self.data is not None:
            return [model.id for model in self.data]
        if self.models is None:
            raise msgspec.ValidationError("neither `data` nor `models`")
        return [model.name.removeprefix("models/") for model in self.models]


class ModelLists:
    """Knows the models of every source that ever answered."""

    def __init__(
        self,
        sources: Sequence[ListingSource],
        transport: Transport,
        changed: Callable[[Models], None],
    ) -> None:
        self._sources = sources
        self._transport = transport
        self._changed = changed
        self.models: Models = {}

    async def run(self, *, every_s: float = EVERY_S) -> None:
        """Ask now and every ten minutes, for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(every_s)

    async def refresh(self) -> None:
        """Ask every source at once; one that fails keeps the list it had."""
        asked = [spawn(self._ask(source), name=f"models of {source.name}") for source in self._sources]
        fresh = dict(self.models)
        try:
            for source, task in zip(self._sources, asked, strict=True):
                models = await task
                if models is not None:
                    fresh[source.name] = models
        finally:
            for task in asked:
                task.cancel()
        if fresh != self.models:
            self.models = fresh
            self._changed(fresh)

    async def _ask(self, source: ListingSource) -> list[str] | None:
        try:
            with closing(await self._transport.open(source.outgoing, _PATIENCE, stream=False)) as answer:
                body = await answer.read(_AT_MOST + 1)
                if answer.status != 200:
                    raise UpstreamFailed(f"status {answer.status}")
            if len(body) > _AT_MOST:
                raise UpstreamFailed(f"over {_AT_MOST} bytes")
            return msgspec.json.decode(body, type=_List).ids()
        except (UpstreamFailed, msgspec.DecodeError) as error:
            logger.debug("models_not_listed", extra={"provider": source.name, "error": str(error)})
            return None
