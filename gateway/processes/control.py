"""The control records as the hub holds them: written through the API, told to the workers."""

from __future__ import annotations

from typing import get_args

from gateway import surfaces
from gateway.clock import Clock
from gateway.config import new_key
from gateway.control.api import ControlApi
from gateway.control.keys import Keys
from gateway.control.publisher import STAMP_EVERY_S, Publisher
from gateway.control.records_thread import RecordsThread
from gateway.key_pages import SINCE, PageFile
from gateway.link_server import LinkServer
from gateway.places import Places
from gateway.processes.own_secret import own_secret
from gateway.settings import Control as Settings
from gateway.wire.passthrough_paths import Family

_STAMPS_IN_TIME = 4
"""How often the hub is heard at least before what it said is stale."""


class Control:
    """Knows how the parts hang together. Nothing is opened or made before it is needed."""

    def __init__(self, places: Places, settings: Settings, link: LinkServer, clock: Clock) -> None:
        self._records = RecordsThread(places.control, settings.url, clock)
        self.publisher = Publisher(
            self._records,
            PageFile(places.keys),
            lambda: own_secret(places.secrets / "keys"),
            link.publish,
            clock,
            stamp_every_s=min(STAMP_EVERY_S, settings.max_stale_s / _STAMPS_IN_TIME),
        )
        link.handlers[SINCE] = self.publisher.since
        self.api = ControlApi(
            Keys(
                self._records,
                self.publisher.hasten,
                clock,
                surfaces=names_of_surfaces(),
                new_secret=new_key,
            )
        )

    async def close(self) -> None:
        """Let go of the records."""
        await self._records.close()


def names_of_surfaces() -> frozenset[str]:
    """Return what calls are filed under, by the format in which they come."""
    kinds = (surfaces.OPENAI, surfaces.ANTHROPIC, surfaces.GEMINI)
    return frozenset(
        {wire.surface for kind in kinds for wire in kind.values()}
        | {f"{family}.passthrough" for family in get_args(Family)}
    )
