"""Keeps a worker's keys level with the hub's, and lets it begin from the file while there is none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.key_pages import SINCE, TOPIC, BadPage, Sealer, read_file
from gateway.keyring import Keyring
from gateway.link import CallFailed, LinkClient, LinkDown
from gateway.tasks import spawn

HUB_S = 5.0
_PAUSE_S = 0.05

logger = logging.getLogger(__name__)


class KeyFeed:
    """Listens on the link. `secret` returns what pages are sealed with; asked only if there are any."""

    def __init__(self, link: LinkClient, keyring: Keyring, secret: Callable[[], bytes], file: Path) -> None:
        self._link = link
        self._keyring = keyring
        self._secret = secret
        self._file = file
        self._made: Sealer | None = None
        self._pulling: asyncio.Task[None] | None = None
        self._level = asyncio.Event()
        """Once this worker has known what the hub knows."""
        link.subscribe(TOPIC, self._hear)
        link.when_up(self._pull)

    def read_file(self) -> None:
        """Take what the last hub left. Blocks; call it before serving."""
        if self._file.exists():
            for page in read_file(self._file, self._sealer()):
                if not self._keyring.take(page):
                    break

    async def wait_certain(self, patience_s: float) -> None:
        """Wait for the hub's first word if there are keys that this worker does not know."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                if not self._keyring.certain:
                    await self._level.wait()

    def _sealer(self) -> Sealer:
        if self._made is None:
            self._made = Sealer(self._secret())
        return self._made

    def _hear(self, sealed: bytes) -> None:
        try:
            follows = self._keyring.take(self._sealer().unseal(sealed))
        except BadPage as error:
            logger.warning("key_page_refused", extra={"error": str(error)})
            return
        if not follows:
            self._pull()

    def _pull(self) -> None:
        if self._pulling is None or self._pulling.done():
            self._pulling = spawn(self._catch_up(), name="keys")

    async def _catch_up(self) -> None:
        """Ask for page after page until this worker knows what the hub knows."""
        try:
            while True:
                sealed = await self._link.call(SINCE, self._keyring.position, timeout_s=HUB_S)
                if sealed is None:
                    self._keyring.take_none()
                    break
                page = self._sealer().unseal(msgspec.convert(sealed, bytes))
                if not self._keyring.take(page):
                    await asyncio.sleep(_PAUSE_S)  # another page came in between: ask from there
                elif not page.more:
                    break
            self._level.set()
        except (LinkDown, CallFailed, TimeoutError, BadPage, msgspec.ValidationError) as error:
            # the next page that is pushed, or the link's return, begins again
            logger.warning("keys_not_read", extra={"error": str(error)})
