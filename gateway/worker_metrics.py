"""What a worker counts, and the private door at which the telemetry process reads it."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec.structs import astuple

from gateway.link import LinkClient
from gateway.upstream import Upstream
from telemetry.journal import Journal
from telemetry.metrics import CONTENT_TYPE, SECONDS, Registry
from telemetry.records import Call, Outcome, Usage

ASKING_S = 5.0
OVERHEAD_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1)

_BOUNDS = [round(bound * 1e6) for bound in SECONDS]
_OVERHEAD_BOUNDS = [round(bound * 1e6) for bound in OVERHEAD_SECONDS]

Kind = tuple[str, str, str, str]
"""Surface, provider, status, why there is no price."""
Ended = tuple[int, int, int, Usage, int]
"""How long a call took, the gateway's own part of it, and the first byte of a stream (else 0), in microseconds; what it
used, and cost."""

_MOST_GATHERED = 128
"""Calls of one kind that wait to be counted together, which takes 50 us."""


class WorkerMetrics:
    """Gathers calls as they end, by kind; they are counted when there are many, or when somebody asks."""

    def __init__(self, journal: Journal, upstream: Upstream, link: LinkClient) -> None:
        self._journal, self._upstream, self._link = journal, upstream, link
        registry = self._registry = Registry()
        self._requests = registry.counter(
            "tidegate_requests_total", "Calls that ended.", ("surface", "provider", "status")
        )
        self._tokens = registry.counter("tidegate_tokens_total", "Tokens.", ("provider", "direction"))
        self._cost = registry.counter("tidegate_cost_nano_usd_total", "Cost of priced calls.", ("provider",))
        self._unpriced = registry.counter(
            "tidegate_unpriced_total", "Calls without a price.", ("provider", "reason")
        )
        self._refusals = registry.counter(
            "tidegate_refused_total", "Requests that never became a call, by error code.", ("code",)
        )
        self._seconds = registry.histogram(
            "tidegate_request_seconds", "From the last byte of the request to the end.", labels=("surface",)
        )
        self._first = registry.histogram(
            "tidegate_first_byte_seconds",
            "Streams: from the last byte of the request to the first of the answer.",
            labels=("surface",),
        )
        self._overhead = registry.histogram(
            "tidegate_overhead_seconds",
            "The gateway's own part of it.",
            OVERHEAD_SECONDS,
        )
        self._blocked = registry.gauge("tidegate_journal_blocked", "1 while the journal has no room.")
        self._bytes = registry.gauge("tidegate_journal_bytes", "Size of all segments.")
        self._backlog = registry.gauge("tidegate_journal_backlog_bytes", "Bodies waiting to be written.")
        self._lost = registry.gauge("tidegate_journal_lost", "Settlements that could not be written.")
        self._dropped = registry.gauge("tidegate_journal_dropped_payloads", "Bodies that were not kept.")
        self._connections = registry.gauge("tidegate_upstream_connections", "Open connections to providers.")
        self._opened = registry.gauge("tidegate_upstream_opened", "Connections made so far.")
        self._reused = registry.gauge("tidegate_upstream_reused", "Requests on a kept connection.")
        self._retried = registry.gauge(
            "tidegate_upstream_retried", "Requests sent again on a fresh connection."
        )
        self._linked = registry.gauge("tidegate_hub_connected", "1 while the link to the hub is up.")
        self._ended: dict[Kind, list[Ended]] = {}
        registry.before(self._pour_all)
        registry.before(self._look)

    def count(self, call: Call, outcome: Outcome) -> None:
        """Count a call that is over."""
        cost = outcome.cost
        kind = (call.surface, outcome.provider, outcome.status, cost.reason)
        ended = self._ended.get(kind)
        if ended is None:
            ended = self._ended[kind] = []
        ended.append(
            (
                outcome.total_us,
                outcome.overhead_us,
                outcome.first_byte_us if call.stream else 0,
                outcome.usage,
                cost.total_nano_usd or 0,
            )
        )
        if len(ended) == _MOST_GATHERED:
            self._pour(kind)

    def refuse(self, code: str) -> None:
        """Count a request that was refused at the door."""
        self._refusals.add(1, code)

    def _pour_all(self) -> None:
        for kind in list(self._ended):
            self._pour(kind)

    def _pour(self, kind: Kind) -> None:
        """Bring what was gathered of a kind into the metrics."""
        surface, provider, status, unpriced = kind
        ended = self._ended.pop(kind)
        took, overhead, first, usages, nano_usd = zip(*ended, strict=True)
        self._requests.add(len(ended), surface, provider, status)
        self._seconds.merge(_buckets(_BOUNDS, took), sum(took) / 1e6, surface)
        self._overhead.merge(_buckets(_OVERHEAD_BOUNDS, overhead), sum(overhead) / 1e6)
        if began := list(filter(None, first)):
            self._first.merge(_buckets(_BOUNDS, began), sum(began) / 1e6, surface)
        sums = map(sum, zip(*map(astuple, usages), strict=True))  # of each bucket
        used = Usage(**dict(zip(Usage.__struct_fields__, sums, strict=True)))
        read, wrote = used.input_total, used.output_total
        if read or wrote:
            self._tokens.add(read, provider, "input")
            self._tokens.add(wrote, provider, "output")
        if unpriced:
            self._unpriced.add(len(ended), provider, unpriced)
        else:
            self._cost.add(sum(nano_usd), provider)

    def _look(self) -> None:
        journal = self._journal.status()
        self._blocked.set(int(journal.blocked))
        self._bytes.set(journal.folder_bytes)
        self._backlog.set(journal.backlog_bytes)
        self._lost.set(journal.lost)
        self._dropped.set(journal.dropped_payloads)
        self._connections.set(self._upstream.open_now)
        self._opened.set(self._upstream.opened)
        self._reused.set(self._upstream.reused)
        self._retried.set(self._upstream.retried)
        self._linked.set(int(self._link.connected))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer whatever is asked at the private door with the metrics, once a connection."""
        with contextlib.suppress(
            OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError
        ):
            async with asyncio.timeout(ASKING_S):
                await reader.readuntil(b"\r\n\r\n")
                body = self._registry.text().encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                    % (CONTENT_TYPE.encode(), len(body), body)
                )
                await writer.drain()
        writer.close()


def _buckets(bounds: Sequence[int], values: Iterable[int]) -> list[int]:
    """Return how many of the values fall into each bucket."""
    ordered = sorted(values)
    below = [0, *(bisect_right(ordered, bound) for bound in bounds), len(ordered)]
    return [more - less for less, more in pairwise(below)]
