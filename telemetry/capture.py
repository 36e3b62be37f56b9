"""Hands what users said to whoever remembers it: at least once, named by call.

A request is handed over whatever became of its answer, since its user has said it all the same. What the gateway
refused itself never became a frame.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from telemetry.delivery import DeadLetter, Delivered, bury
from telemetry.follower import Item, Work
from telemetry.records import Payload, Request
from telemetry.sealed import UNSEALED, Sealer, open_payload
from telemetry.store.base import StoreRefused

SURFACES = frozenset({"openai.chat", "openai.responses", "anthropic.messages", "gemini.generate"})
"""Formats in which the other side finds the user's words."""
MOST_CALLS = 64
MOST_BYTES = 1 << 20
"""Of bodies handed over at once; a single one may be longer."""

logger = logging.getLogger(__name__)

HandOver = Callable[[bytes], None]
"""Takes a msgpack list of `Payload`, safe when it returns. Raises OSError while nobody takes it, StoreRefused for what nobody ever will."""


class CaptureConsumer:
    """A consumer of the journal. Refused calls become files in `dead_letters`; only they are left out."""

    def __init__(
        self,
        hand_over: HandOver,
        dead_letters: Path,
        *,
        now_us: Callable[[], int],
        sealer: Sealer = UNSEALED,
    ) -> None:
        self._hand_over = hand_over
        self._dead_letters = dead_letters
        self._now_us = now_us
        self._sealer = sealer

    def deliver(self, work: Work) -> Delivered:
        """Hand the batch over in pieces. Raises OSError; what was taken by then is offered again."""
        said = [
            item for item in work.items if isinstance(item.frame, Request) and _counts(item.frame.payload)
        ]
        dead = sum(self._offer(piece) for piece in pieces(said))
        return Delivered(payloads=len(said) - dead, dead=dead)

    def _offer(self, items: list[Item]) -> int:
        """Hand over; halve what is refused until the call that is to blame stands alone. Return the refused."""
        try:
            said = [open_payload(self._sealer, _payload(item)) for item in items]
            self._hand_over(msgspec.msgpack.encode(said))
        except StoreRefused as error:
            if len(items) > 1:
                middle = len(items) // 2
                return self._offer(items[:middle]) + self._offer(items[middle:])
            self._bury(items[0], error)
            return 1
        return 0

    def _bury(self, item: Item, error: StoreRefused) -> None:
        call_id = _payload(item).call_id
        logger.error("dead_letter", extra={"table": "memory", "call_id": call_id, "error": error.label})
        bury(
            self._dead_letters,
            f"memory-{item.writer}-{item.seq:08d}-{item.end}-{call_id}",
            DeadLetter(
                reason=f"memory: {error.label}: {error}",
                at_us=self._now_us(),
                writer=item.writer,
                seq=item.seq,
                offset=item.end,
                frame=item.frame,
            ),
        )


def pieces(items: list[Item]) -> Iterator[list[Item]]:
    """Yield the items in order, few enough at once."""
    piece: list[Item] = []
    room = MOST_BYTES
    for item in items:
        size = len(_payload(item).body)
        if piece and (len(piece) >= MOST_CALLS or size > room):
            yield piece
            piece, room = [], MOST_BYTES
        piece.append(item)
        room -= size
    if piece:
        yield piece


def _counts(payload: Payload) -> bool:
    return payload.remember and payload.surface in SURFACES


def _payload(item: Item) -> Payload:
    assert isinstance(item.frame, Request)
    return item.frame.payload
