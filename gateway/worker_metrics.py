"""What a worker counts, and the private door at which the telemetry process reads it."""

from __future__ import annotations

import asyncio
import contextlib

from gateway.link import LinkClient
from gateway.upstream import Upstream
from telemetry.journal import Journal
from telemetry.metrics import CONTENT_TYPE, Registry
from telemetry.records import Call, Outcome

ASKING_S = 5.0


class WorkerMetrics:
    """Counts calls as they end; everything else is looked up when somebody asks."""

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
            (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1),
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
        registry.before(self._look)

    def count(self, call: Call, outcome: Outcome) -> None:
        """Count a call that is over."""
        provider, surface = outcome.provider, call.surface
        self._requests.add(1, surface, provider, outcome.status)
        self._seconds.observe(outcome.total_us / 1e6, surface)
        self._overhead.observe(outcome.overhead_us / 1e6)
        if call.stream and outcome.first_byte_us:
            self._first.observe(outcome.first_byte_us / 1e6, surface)
        if outcome.usage_source != "none":
            self._tokens.add(outcome.usage.input_total, provider, "input")
            self._tokens.add(outcome.usage.output_total, provider, "output")
        if outcome.cost.total_nano_usd is None:
            self._unpriced.add(1, provider, outcome.cost.reason)
        else:
            self._cost.add(outcome.cost.total_nano_usd, provider)

    def refuse(self, code: str) -> None:
        """Count a request that was refused at the door."""
        self._refusals.add(1, code)

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
