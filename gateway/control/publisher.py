"""Tells the workers which keys there are: over the link, and in the file for when there is no hub."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator

import msgspec

from gateway.clock import Clock
from gateway.control.migrate import MigrationError
from gateway.control.records import Key
from gateway.control.records_thread import RecordsThread
from gateway.control.store import ControlAway, ControlStore
from gateway.key_pages import PAGE_ROWS, TOPIC, KeyRow, Page, PageFile, Position, Sealer
from gateway.link import CallFailed

LOOK_EVERY_S = 0.5
"""The hub of another host may have changed something in a database they share."""
STAMP_EVERY_S = 30.0

logger = logging.getLogger(__name__)


class Publisher:
    """Owns the file. `publish` pushes a value for a topic to all workers; `secret` is asked for once."""

    def __init__(
        self,
        records: RecordsThread,
        file: PageFile,
        secret: Callable[[], bytes],
        publish: Callable[[str, object], None],
        clock: Clock,
        *,
        stamp_every_s: float = STAMP_EVERY_S,
    ) -> None:
        self._records = records
        self._file = file
        self._secret = secret
        self._publish = publish
        self._clock = clock
        self._stamp_every_us = int(stamp_every_s * 1_000_000)
        self._made: Sealer | None = None
        self._position = Position()
        self._stamped_us = 0
        self._filed = False
        """The file holds all pages up to the position."""
        self._one_at_a_time = asyncio.Lock()
        self._trouble = ""

    async def run(self) -> None:
        """Look for changes, for ever."""
        while True:
            try:
                await self.look()
            except (ControlAway, MigrationError) as error:
                if (why := str(error)) != self._trouble:  # said once
                    logger.warning("control_away", extra={"error": why})
                    self._trouble = why
            else:
                self._trouble = ""
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Publish what has changed; when this returns it is in the file. Raises ControlAway, MigrationError."""
        async with self._one_at_a_time:
            if not self._records.there:
                self._file.remove()
                return
            while True:
                page = await self._next(self._position)
                if Position(epoch=page.epoch, revision=page.after) != self._position:
                    await self._begin()
                elif page.rows or page.issued_us >= self._stamped_us + self._stamp_every_us:
                    await self._send(page)
                else:
                    return

    async def hasten(self) -> None:
        """Publish what was just written. If that cannot be read again now, it is once it can."""
        with contextlib.suppress(ControlAway, MigrationError):
            await self.look()

    async def since(self, params: object) -> bytes | None:
        """Answer a worker that asks for the page after its position; raise CallFailed."""
        if not self._records.there:
            return None
        try:
            page = await self._next(msgspec.convert(params, Position))
        except (ControlAway, MigrationError, msgspec.ValidationError) as error:
            raise CallFailed("control_away", str(error)) from error
        return self._sealer().seal(page)

    async def _begin(self) -> None:
        """Take the records as they are: workers that know less will ask."""
        self._filed = False
        self._position = at = await self._records.do(lambda store: store.position())
        await self._send(
            Page(epoch=at.epoch, after=at.revision, revision=at.revision, issued_us=self._clock.now_us())
        )

    async def _next(self, known: Position) -> Page:
        now_us = self._clock.now_us()
        return await self._records.do(lambda store: page_after(store, known, now_us))

    async def _send(self, page: Page) -> None:
        self._position = Position(epoch=page.epoch, revision=page.revision)
        self._stamped_us = page.issued_us
        sealed = self._sealer().seal(page)
        self._publish(TOPIC, sealed)
        try:
            if self._filed and not self._file.overgrown:
                await asyncio.to_thread(self._file.append, sealed)
            else:
                await self._write_file()
        except OSError as error:
            self._filed = False  # it lacks this page: the next one writes it anew
            logger.warning("key_file_not_written", extra={"error": str(error)})

    async def _write_file(self) -> None:
        now_us = self._clock.now_us()
        self._filed = False
        # if a change came in between it is not at the position: the page with that change writes it anew
        self._filed = await self._records.do(lambda store: self._rewrite(store, now_us)) == self._position

    def _rewrite(self, store: ControlStore, now_us: int) -> Position:
        """Write all there is, and return up to where."""
        at = Position()

        def pages() -> Iterator[bytes]:
            nonlocal at
            more = True
            while more:
                page = page_after(store, at, now_us)
                at, more = Position(epoch=page.epoch, revision=page.revision), page.more
                yield self._sealer().seal(page)

        self._file.rewrite(pages())
        return at

    def _sealer(self) -> Sealer:
        if self._made is None:
            self._made = Sealer(self._secret())
        return self._made


def page_after(store: ControlStore, known: Position, now_us: int) -> Page:
    """Return the page that follows; the first one if that position is none of this database."""
    at = store.position()  # before the keys: what is written in between comes with the next page
    after = known.revision if known.epoch == at.epoch and known.revision <= at.revision else 0
    keys = store.changed(after, PAGE_ROWS)
    more = len(keys) == PAGE_ROWS
    revision = keys[-1].revision if more else max(at.revision, *(key.revision for key in keys), after)
    return Page(
        epoch=at.epoch,
        after=after,
        revision=revision,
        issued_us=now_us,
        rows=tuple(row_of(key) for key in keys),
        more=more,
    )


def row_of(key: Key) -> KeyRow:
    """Return what workers need to know of a key."""
    rules = key.rules
    return KeyRow(
        id=key.id,
        project=key.project,
        environment=key.environment,
        owner=key.owner,
        team=key.team,
        scopes=rules.scopes,
        models=rules.models,
        users=rules.users,
        surfaces=rules.surfaces,
        memory=rules.memory,
        store=rules.store,
        serve_stale=rules.when_stale == "serve",
        revoked=key.revoked_us > 0,
        secrets=tuple(
            (bytes.fromhex(secret.digest), sooner(secret.ends_us, key.expires_us)) for secret in key.secrets
        ),
    )


def sooner(one_us: int, other_us: int) -> int:
    """Return the earlier of two ends; 0 is never."""
    return min(one_us, other_us) if one_us and other_us else one_us or other_us
