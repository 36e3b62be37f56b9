"""Calls, frames and segments for tests of the ledger, and a front to keep it on."""

from __future__ import annotations

import fcntl
import os
import random
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from telemetry import segments
from telemetry.migrate import migrate
from telemetry.records import (
    Answer,
    Attempt,
    Call,
    Cost,
    Frame,
    Opened,
    Outcome,
    Payload,
    Request,
    Settled,
    Usage,
)
from telemetry.store.base import Store
from telemetry.store.server import open_server

BASE_US = time.time_ns() // 1000 // 3_600_000_000 * 3_600_000_000
"""Full hour just gone: payloads far in the past would be dropped by the engine itself."""


def call(number: int, **changes: object) -> Call:
    """A call; its id sorts by `number`."""
    given = {
        "call_id": f"01900000-0000-7000-8000-{number:012d}",
        "started_at_us": BASE_US + number * 1000,
        "surface": "openai.chat",
        "operation": "chat",
        "project": "p1",
        "environment": "prod",
        "key_id": "k1",
        "user_id": f"user-{number % 3}",
        "event_id": f"event-{number % 5}",
        "thread_id": f"thread-{number % 2}",
        "tags": ("a", "b"),
        "properties": {"feature": "search"},
        "model": "gpt-4o",
        "stream": True,
    }
    return msgspec.convert({**given, **changes}, Call)


def outcome(**changes: Any) -> Outcome:
    """What became of it: 10 + 5 tokens for 12345 nano-dollars."""
    given = {
        "status": "ok",
        "http_status": 200,
        "provider": "openai",
        "deployment": "openai/gpt-4o",
        "attempts": (Attempt(deployment="openai/gpt-4o", provider="openai", model="gpt-4o-2024-08-06"),),
        "total_us": 250_000,
        "usage": Usage(input_uncached=7, cache_read=3, output_text=5),
        "usage_source": "provider",
        "raw_usage": b'{"prompt_tokens":10}',
        "cost": Cost(
            total_nano_usd=12_345,
            lines={"input_uncached": 12_000, "output_text": 345},
            price_row="openai/gpt-4o",
        ),
    }
    return Outcome(**{**given, **changes})


def settled(number: int, *, how: Outcome | None = None, **changes: Any) -> Settled:
    """The record of a call that is over."""
    return Settled(call(number, **changes), how or outcome())


def payload(number: int, body: bytes, **changes: Any) -> Payload:
    """A body of a call."""
    asked = call(number, **changes)
    return Payload(
        call_id=asked.call_id,
        project=asked.project,
        environment=asked.environment,
        started_at_us=asked.started_at_us,
        surface=asked.surface,
        content_type="application/json",
        body=body,
    )


def whole(number: int, **changes: Any) -> list[Frame]:
    """The four frames of a call that went well."""
    return [
        Opened(call(number, **changes)),
        Request(payload(number, b'{"messages":[]}', **changes)),
        settled(number, **changes),
        Answer(payload(number, b'{"choices":[]}', **changes)),
    ]


class SegmentWriter:
    """Writes segments as a worker does: one write per frame, the lock held while it lives."""

    def __init__(self, folder: Path, writer: str, *, seq: int = 1) -> None:
        self._folder = folder
        self._writer = writer
        self.seq = seq
        folder.mkdir(parents=True, exist_ok=True)
        self._handle = self._open()

    @property
    def path(self) -> Path:
        """The segment being written."""
        return self._folder / segments.name(self._writer, self.seq)

    def write(self, *frames: Frame) -> None:
        """Append frames."""
        for frame in frames:
            self.write_raw(framed(msgspec.msgpack.encode(frame)))

    def write_raw(self, data: bytes) -> None:
        """Append bytes, whatever they are."""
        os.write(self._handle, data)

    def roll(self) -> None:
        """Go on in the next segment."""
        old = self._handle
        self.seq += 1
        self._handle = self._open()
        os.close(old)

    def die(self) -> None:
        """Let go of the lock."""
        os.close(self._handle)

    def _open(self) -> int:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.write(handle, segments.header(self._writer, self.seq, BASE_US))
        return handle


def framed(data: bytes) -> bytes:
    """Length, crc32 and payload."""
    return segments.PREFIX.pack(len(data), zlib.crc32(data)) + data


def random_body(source: random.Random, size: int) -> bytes:
    """JSON of words, about as compressible as what people say."""
    words = [f"word{source.randrange(3000)}" for _ in range(size // 8)]
    return msgspec.json.encode({"messages": [{"role": "user", "content": " ".join(words)}]})


def start_front(folder: Path, port: int = 0) -> tuple[subprocess.Popen[str], int]:
    """Start a ClickHouse of its own process over `folder`; return it and its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.clickhouse_front", str(folder), str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the front did not start"
    process.stdout.close()
    return process, int(line)


@contextmanager
def front(folder: Path) -> Iterator[str]:
    """Run a ClickHouse over `folder` until the block ends; give the URL of its database."""
    process, port = start_front(folder)
    try:
        yield f"http://127.0.0.1:{port}/tidegate"
    finally:
        process.kill()
        process.wait()


@contextmanager
def served(folder: Path) -> Iterator[Store]:
    """Give a ledger with its tables on such a server."""
    with front(folder) as url, closing(open_server(url)) as store:
        migrate(store)
        yield store
