"""Keeps a worker's rules of one kind level with the hub's; `gateway.control.rule_publisher` is the other end.

Rules are few, so each change brings all of them: one msgpack document, pushed under a topic and kept in a file
for workers that start while there is no hub.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from gateway.link import LinkClient

R = TypeVar("R")

logger = logging.getLogger(__name__)


class RuleFeed(Generic[R]):
    """Calls `take` with the rules as they are and whenever they change; in `folder` is what the last hub said."""

    def __init__(
        self,
        link: LinkClient,
        topic: str,
        decoder: msgspec.msgpack.Decoder[R],
        take: Callable[[R], None],
        folder: Path,
    ) -> None:
        self._topic = topic
        self._decode = decoder.decode
        self._take = take
        self._file = rule_file(folder, topic)
        self._heard = asyncio.Event()
        link.subscribe(topic, self._hear)

    def read_file(self) -> None:
        """Begin with what the last hub said. Blocks; call it before serving."""
        with contextlib.suppress(FileNotFoundError):
            self._hear(self._file.read_bytes())

    async def wait_heard(self, patience_s: float) -> None:
        """Wait for the hub's first word unless the file had it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._heard.wait()

    def _hear(self, document: bytes) -> None:
        try:
            rules = self._decode(document)
        except msgspec.MsgspecError as error:  # of another version: what is known goes on to count
            logger.warning("rules_refused", extra={"topic": self._topic, "error": str(error)})
            return
        self._take(rules)
        self._heard.set()


def rule_file(folder: Path, topic: str) -> Path:
    """Return where the rules of this kind are kept."""
    return folder / f"{topic}.msgpack"
