"""Tells the workers the rules of each kind, whole, whenever the control records have changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.control.database import Database
from gateway.control.migrate import MigrationError
from gateway.control.records_thread import RecordsThread
from gateway.control.store import ControlAway
from gateway.rule_feed import rule_file

LOOK_EVERY_S = 0.5
"""The hub of another host may have changed something in a database they share."""

Read = Callable[[Database], object]
"""Returns all rules of a kind, of a type that the workers' decoder knows; called in the records' thread."""

logger = logging.getLogger(__name__)


class RulePublisher:
    """`publish` pushes a value for a topic to all workers, those to come included."""

    def __init__(self, records: RecordsThread, publish: Callable[[str, object], None], folder: Path) -> None:
        self._records = records
        self._publish = publish
        self._folder = folder
        self._kinds: dict[str, Read] = {}
        self._said: dict[str, bytes] = {}
        self._position: object = None
        self._one_at_a_time = asyncio.Lock()
        self._trouble = ""

    def add(self, topic: str, read: Read) -> None:
        """Tell the rules that `read` returns under this topic from now on."""
        self._kinds[topic] = read
        self._position = None

    async def run(self) -> None:
        """Look for changes, for ever."""
        while True:
            try:
                await self.look()
                self._trouble = ""
            except (ControlAway, MigrationError, OSError) as error:
                if (why := str(error)) != self._trouble:  # said once
                    self._trouble = why
                    logger.warning("rules_not_told", extra={"error": why})
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Tell what has changed. Raises ControlAway, MigrationError, OSError (the file)."""
        async with self._one_at_a_time:
            if not self._records.there:
                return
            position = await self._records.do(lambda store: store.position())
            if position == self._position:
                return
            for topic, read in self._kinds.items():
                document = msgspec.msgpack.encode(await self._records.query(read))
                if document != self._said.get(topic):
                    self._publish(topic, document)
                    await asyncio.to_thread(_write, rule_file(self._folder, topic), document)
                    self._said[topic] = document
            self._position = position

    async def hasten(self) -> None:
        """Tell what was just written. If that cannot be read again now, it is once it can."""
        with contextlib.suppress(ControlAway, MigrationError, OSError):
            await self.look()


def _write(path: Path, document: bytes) -> None:
    """Replace the file, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(document)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)
