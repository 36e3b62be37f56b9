"""The way from the journal to the hub's memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gateway.places import Places
from gateway.processes.remembering import CAPTURE
from gateway.processes.unix_http import ask
from telemetry.capture import CaptureConsumer, HandOver
from telemetry.collector import Pipe
from telemetry.follower import Follower
from telemetry.sealed import UNSEALED, Sealer
from telemetry.store.base import StoreRefused
from telemetry.upkeep.forgetting import ForgettingMemory
from telemetry.upkeep.forgotten import Forgotten
from telemetry.upkeep.keeper import Feed
from telemetry.upkeep.messages import MEMORY

PATIENCE_S = 30.0
"""A hub that is silent for longer hangs; what it stores after all is known when it is brought again."""
_MOST_ROWS = 1000
_MOST_BYTES = 8 * 1024 * 1024


def capture_feed(
    places: Places, forgotten: Forgotten, *, now_us: Callable[[], int], sealer: Sealer = UNSEALED
) -> Feed:
    """Return the journal's second consumer, with a place in it of its own."""
    follower = Follower(MEMORY, places.journal, now_us=now_us, max_rows=_MOST_ROWS, max_bytes=_MOST_BYTES)
    heard = CaptureConsumer(to_hub(places.hub), places.journal / "dead-letters", now_us=now_us, sealer=sealer)
    consumer = ForgettingMemory(heard, forgotten)
    return Feed(Pipe(follower, consumer, now_us=now_us), consumer)


def to_hub(path: Path) -> HandOver:
    """Return how to hand requests over to the hub behind this socket."""

    def hand_over(body: bytes) -> None:
        status, _ = ask(path, "POST", CAPTURE, body, timeout_s=PATIENCE_S)
        if status == 422:
            raise StoreRefused("the memory cannot take it; the hub's log says why", name="memory_refused")
        if status != 200:
            raise OSError(f"the hub answered {status}")

    return hand_over
