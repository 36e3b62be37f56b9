"""A provider that keeps its own bill, senders of flat logs that keep theirs, and what a ledger holds to compare."""

from __future__ import annotations

import random
import threading
from collections import Counter
from types import TracebackType
from typing import Self

import msgspec

from telemetry.store.base import Row, Store
from tests.fakes.provider import Received, Script, chat, chat_stream
from tests.fakes.tidegate import PATIENCE_S, Tidegate, eventually

PRICES = {"fake/m": {"input": "0.137", "cache_read": "0.019", "output": "1.009"}}
"""Dollars per million tokens, as the house has them ..."""
INPUT, CACHED, OUTPUT = 137, 19, 1009
"""... and what the provider asks for one, in nano-dollars."""
MOST_OUT = 60

_LOGS_AT_ONCE = 5


class Billing:
    """What a provider does with a call: bill it, by tokens that only the event decides, and answer."""

    def __init__(self) -> None:
        self.bill: Counter[str] = Counter()
        """Nano-dollars by event."""

    def __call__(self, request: Received) -> Script:
        """Answer as asked; streams take a moment, so that whatever happens finds some under way."""
        if request.method != "POST":
            return chat()
        asked = request.json()
        event = asked["messages"][0]["content"]
        source = random.Random(event)
        bytes_in = len(msgspec.json.encode(asked["messages"]))  # no more tokens than bytes
        tokens_in, tokens_out = source.randrange(1, bytes_in + 1), source.randrange(1, MOST_OUT + 1)
        cached = source.choice((0, source.randrange(tokens_in)))
        self.bill[event] += (tokens_in - cached) * INPUT + cached * CACHED + tokens_out * OUTPUT
        usage = {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        return _stream(usage) if asked.get("stream") else _whole(usage)


def _whole(usage: dict[str, object]) -> Script:
    said = chat()
    assert isinstance(said.body, bytes)
    answer = msgspec.json.decode(said.body, type=dict[str, object])
    return msgspec.structs.replace(said, body=msgspec.json.encode(answer | {"usage": usage}))


def _stream(usage: dict[str, object]) -> Script:
    said = chat_stream(["tide"] * 4, usage=False, done=False, pause_s=0.01)
    assert isinstance(said.body, tuple)
    last = msgspec.json.encode({"object": "chat.completion.chunk", "choices": [], "usage": usage})
    return msgspec.structs.replace(said, body=(*said.body, b"data: " + last + b"\n\ndata: [DONE]\n\n"))


class Senders:
    """A thread that posts logs, each until it is taken, and some of them once more."""

    def __init__(self, house: Tidegate, seed: int) -> None:
        self.bill: dict[str, int] = {}
        """Nano-dollars by the id of a log, of those that were taken."""
        self._house = house
        self._source = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, name="sender of logs")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "a log was not taken"

    def _send(self) -> None:
        batch: dict[str, int] = {}
        while not self._stop.is_set():
            if not batch or self._source.random() < 0.8:
                first = len(self.bill)
                numbers = range(first, first + _LOGS_AT_ONCE)
                batch = {f"log-{number}": self._source.randrange(10**6) for number in numbers}
            eventually(lambda logs=batch: self._taken(logs), what="a 202")  # type: ignore[misc]
            self.bill |= batch
            self._stop.wait(0.02)

    def _taken(self, batch: dict[str, int]) -> bool:
        logs = [
            {"unique_id": name, "cost": f"{nano / 1e9:.9f}", "prompt_tokens": 3, "output": "tide"}
            for name, nano in batch.items()
        ]
        try:
            return self._house.request("POST", "/api/request-logs/", logs).status == 202
        except OSError:
            return False


class Books(msgspec.Struct):
    """What a ledger holds."""

    spans: list[Row]
    index: Counter[tuple[str, str, str]]
    """Call id, key and value."""
    rollup: Row


_SPANS = """SELECT call_id, toString(kind) AS kind, event_id, log_id, toString(status) AS status,
    cost_nano_usd, cost_lower_nano_usd, cost_upper_nano_usd FROM spans"""
_INDEX = "SELECT call_id, toString(key) AS key, value FROM span_index WHERE key IN ('event_id', 'log_id')"
_ROLLUP = """SELECT sum(calls) AS calls, sum(cost_nano_usd) AS cost, sum(interrupted) AS interrupted
    FROM usage_daily"""


def books_of(store: Store) -> Books:
    """Read it all."""
    (rollup,) = store.lookup(_ROLLUP, {})
    index = Counter((row["call_id"], row["key"], row["value"]) for row in store.lookup(_INDEX, {}))
    return Books(store.lookup(_SPANS, {}), index, rollup)
