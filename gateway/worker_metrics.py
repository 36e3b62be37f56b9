"""What a worker counts, and the private door at which the telemetry process reads it."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left

from gateway.link import LinkClient
from gateway.upstream import Upstream
from telemetry.journal import Journal
from telemetry.metrics import CONTENT_TYPE, SECONDS, Registry
from telemetry.records import Call, Outcome

ASKING_S = 5.0
OVERHEAD_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1)

_BOUNDS = [round(bound * 1e6) for bound in SECONDS]
_OVERHEAD_BOUNDS = [round(bound * 1e6) for bound in OVERHEAD_SECONDS]

Kind = tuple[str, str, str, str]
"""Surface, provider, status, why there is no price."""


class _Tally:
    """Calls of one kind since somebody last asked; times in microseconds, and how many fell into each bucket."""

    __slots__ = (
        "calls", "first", "first_us", "input", "nano_usd", "output", "overhead", "overhead_us", "took", "took_us"
    )  # fmt: skip

    def __init__(self) -> None:
        self.calls = self.input = self.output = self.nano_usd = 0
        self.took_us = self.first_us = self.overhead_us = 0
        self.took, self.first = [0] * (len(_BOUNDS) + 1), [0] * (len(_BOUNDS) + 1)
        self.overhead = [0] * (len(_OVERHEAD_BOUNDS) + 1)


class WorkerMetrics:
    """Counts calls as they end, by kind; everything else is done when somebody asks."""

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
        self._tallies: dict[Kind, _Tally] = {}
        registry.before(self._pour)
        registry.before(self._look)

    def count(self, call: Call, outcome: Outcome) -> None:
        """Count a call that is over."""
        cost = outcome.cost
        kind = (call.surface, outcome.provider, outcome.status, cost.reason)
        tally = self._tallies.get(kind) or self._tallies.setdefault(kind, _Tally())
        tally.calls += 1
        took_us, overhead_us = outcome.total_us, outcome.overhead_us
        tally.took[bisect_left(_BOUNDS, took_us)] += 1
        tally.took_us += took_us
        tally.overhead[bisect_left(_OVERHEAD_BOUNDS, overhead_us)] += 1
        tally.overhead_us += overhead_us
        if call.stream and outcome.first_byte_us:
            tally.first[bisect_left(_BOUNDS, outcome.first_byte_us)] += 1
            tally.first_us += outcome.first_byte_us
        if outcome.usage_source != "none":
            tally.input += outcome.usage.input_total
            tally.output += outcome.usage.output_total
        tally.nano_usd += cost.total_nano_usd or 0

    def refuse(self, code: str) -> None:
        """Count a request that was refused at the door."""
        self._refusals.add(1, code)

    def _pour(self) -> None:
        """Bring the tallies into the metrics, and begin new ones."""
        tallies, self._tallies = self._tallies, {}
        for (surface, provider, status, unpriced), tally in tallies.items():
            self._requests.add(tally.calls, surface, provider, status)
            self._seconds.merge(tally.took, tally.took_us / 1e6, surface)
            self._overhead.merge(tally.overhead, tally.overhead_us / 1e6)
            if any(tally.first):
                self._first.merge(tally.first, tally.first_us / 1e6, surface)
            if tally.input or tally.output:
                self._tokens.add(tally.input, provider, "input")
                self._tokens.add(tally.output, provider, "output")
            if unpriced:
                self._unpriced.add(tally.calls, provider, unpriced)
            else:
                self._cost.add(tally.nano_usd, provider)

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
