"""What a row costs on its way from the journal into the ledger, step by step."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.wire.preview import preview
from telemetry import segments
from telemetry.records import Answer, Frame, Payload, Request, Settled
from telemetry.rows import PAYLOADS, SPANS, Row, row_of
from telemetry.store.base import Store
from tests.bench import journal as a_call
from tests.fakes.ledger import SegmentWriter, random_body

FULL_PER_S = 5_000
METADATA_PER_S = 15_000
"""Rows that a second of CPU should bring in; a full row is a call with its request and its answer."""
ROWS = 40_000
BATCH = {"full": 3_333, "metadata": 10_000}
"""Calls in a batch of 10,000 frames."""

T = TypeVar("T")


class Steps:
    """CPU seconds by step."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = {}
        self.wall = 0.0

    def run(self, name: str, work: Callable[[], T]) -> T:
        """Do one step; CPU of all threads counts."""
        wall, cpu = time.perf_counter(), time.process_time()
        done = work()
        self.cpu[name] = self.cpu.get(name, 0.0) + time.process_time() - cpu
        self.wall += time.perf_counter() - wall
        return done

    def table(self, rows: int) -> str:
        """Return the microseconds per row."""
        return "".join(f"{name} {cpu * 1e6 / rows:.1f}, " for name, cpu in self.cpu.items())


def ingest(store: Store, folder: Path, say: Callable[[str], None], await_merges: Callable[[], None]) -> None:
    """Bring in calls with and without what was said in them, and print what it took."""
    say("\nmicroseconds of CPU per row, by step (merges: what the engine tidies up afterwards)")
    for kind, target in (("metadata", METADATA_PER_S), ("full", FULL_PER_S)):
        source = random.Random(kind)
        steps = Steps()
        rows = ROWS if kind == "metadata" else ROWS // 4
        for number, start in enumerate(range(0, rows, BATCH[kind])):
            writer = SegmentWriter(folder, f"{kind}{number}")
            writer.write(
                *(frame for turn in range(BATCH[kind]) for frame in _frames(kind, start + turn, source))
            )
            writer.die()
            _bring(store, writer.path, steps)
            writer.path.unlink()
        done = -(-rows // BATCH[kind]) * BATCH[kind]
        steps.run("merges", await_merges)
        cpu = sum(steps.cpu.values())
        verdict = "ok" if done / cpu >= target else "MISSED"
        say(
            f"{kind:9s}{done:7d} rows: {steps.table(done)}all {cpu * 1e6 / done:.1f}"
            f" = {done / cpu:,.0f} rows per CPU-second (target {target:,d}: {verdict}), {steps.wall * 1e6 / done:.1f} wall"
        )


def _bring(store: Store, path: Path, steps: Steps) -> None:
    found = steps.run("decode", lambda: segments.read(path, 0, limit_bytes=1 << 30))
    assert not found.bad

    def made() -> tuple[list[Row], list[Row]]:
        rows = [row_of(frame, origin="bench", preview=preview) for _, frame in found.frames]
        known = [row for row in rows if row is not None]
        return [row for row in known if row.table == "spans"], [row for row in known if row.table != "spans"]

    spans, bodies = steps.run("rows", made)
    _insert(store, SPANS.name, spans, steps)
    if bodies:
        _insert(store, PAYLOADS.name, bodies, steps)


def _insert(store: Store, table: str, rows: Sequence[Row], steps: Steps) -> None:
    made = SPANS if table == SPANS.name else PAYLOADS
    block = steps.run("arrow", lambda: made.block(rows))
    steps.run(f"insert {table}", lambda: store.insert(table, block, token=f"{rows[0].call_id}:{table}"))


def _frames(kind: str, number: int, source: random.Random) -> list[Frame]:
    call, outcome = a_call.record(number)
    call = msgspec.structs.replace(
        call,
        call_id=f"0199a6c0-0000-7000-{'8' if kind == 'full' else '9'}000-{source.randrange(16**12):012x}",
        started_at_us=time.time_ns() // 1000 + number,
        user_id=f"user-{source.randrange(20_000)}",
        event_id=f"event-{kind}-{number // 3}",
        thread_id=f"thread-{kind}-{number // 10}",
        properties={"feature": f"f{number % 30}"},
        tags=(f"tag-{number % 20}",),
    )
    settled = Settled(call, outcome)
    if kind == "metadata":
        return [settled]

    def said(size: int) -> Payload:
        body = random_body(source, size)
        return Payload(
            call.call_id,
            call.project,
            call.environment,
            call.started_at_us,
            call.surface,
            "application/json",
            body,
            len(body),
        )

    return [Request(said(3_200)), settled, Answer(said(1_800))]
