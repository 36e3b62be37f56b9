"""The way from the journal to the hub's memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.places import Places
from gateway.processes.remembering import CAPTURE, WORKED
from gateway.processes.unix_http import ask
from gateway.recollection import Span
from memory.jobs import Worked
from telemetry.capture import CaptureConsumer, HandOver
from telemetry.collector import Pipe
from telemetry.figures import Percentiles, percentiles, share
from telemetry.follower import Follower
from telemetry.memory_figures import Reading
from telemetry.questions import Range, Scope
from telemetry.questions.memory import AskReading
from telemetry.sealed import UNSEALED, Sealer
from telemetry.store.base import StoreRefused
from telemetry.upkeep.forgetting import ForgettingMemory
from telemetry.upkeep.forgotten import Forgotten
from telemetry.upkeep.keeper import Feed
from telemetry.upkeep.messages import MEMORY

PATIENCE_S = 30.0
"""A hub that is silent for longer hangs; what it stores after all is known when it is brought again."""
_KNOWN = ("NONE", "MERGE")
_ANSWER_S = 2.0
"""So long a page waits for the memory's own figures."""
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


def reading_of(path: Path) -> AskReading:
    """Return how to ask the hub behind this socket what came of what it was handed; None: it does not say."""

    def worked(who: Scope, within: Range) -> Reading | None:
        span = Span(
            project=who.project,
            environment=who.environment,
            everybodys=who.open,
            from_us=within.from_us,
            to_us=within.to_us,
        )
        try:
            status, found = ask(path, "POST", WORKED, msgspec.json.encode(span), timeout_s=_ANSWER_S)
        except OSError:
            return None
        return reading(msgspec.json.decode(found, type=Worked)) if status == 200 else None

    return worked


def reading(worked: Worked) -> Reading:
    """Return the figures of jobs as the query API tells them."""
    done, dead = worked.states.get("done", 0), worked.states.get("dead", 0)
    facts = sum(worked.events.values())
    known = sum(worked.events.get(event, 0) for event in _KNOWN)
    extracted = worked.outcomes.get("extracted", 0)
    return Reading(
        jobs=worked.jobs,
        done=done,
        open=worked.jobs - done - dead,
        failing=worked.failing,
        dead=dead,
        failure_rate=share(dead, done + dead),
        outcomes=worked.outcomes,
        events=worked.events,
        facts=facts,
        duplicates=known,
        dedup_rate=share(known, facts),
        refused=worked.refused,
        valid_rate=share(extracted, extracted + worked.refused),
        proposed=worked.proposed,
        grounded_rate=share(worked.grounded, worked.proposed),
        write_us=percentiles(worked.took_us) if worked.took_us else Percentiles(),
    )
