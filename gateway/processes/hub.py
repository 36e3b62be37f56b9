"""The hub: what workers ask for and must have quickly. Nothing here may hold the interpreter for long."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import uvloop

from gateway.clock import SystemClock
from gateway.link_server import LinkServer
from gateway.listing import ListingSource, ModelLists
from gateway.processes.lifeline import Seat, die_with_parent, listener, read_settings, say_ready, take_seat
from gateway.processes.log import log_to_stderr
from gateway.processes.serving import http_config, serve
from gateway.providers.catalog import Catalog, Known, build
from gateway.providers.openai import OpenAICompatible
from gateway.tasks import spawn
from gateway.upstream import Upstream
from telemetry.metrics import CONTENT_TYPE, Registry

DRAIN_S = 1.0


class HubApp:
    """The hub's few HTTP answers: `/health` and `/metrics`."""

    def __init__(self, link: LinkServer, lists: ModelLists) -> None:
        self._link = link
        self._metrics = metrics_of(link, lists)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401, ARG002
        """Answer one request."""
        match scope["path"]:
            case "/health":
                status, kind, body = 200, b"application/json", self._health()
            case "/metrics":
                status, kind, body = 200, CONTENT_TYPE.encode(), self._metrics.text().encode()
            case _:
                status, kind, body = 404, b"application/json", _not_found(scope["path"])
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _health(self) -> bytes:
        moment_us = self._link.counters.last_success_us
        last = (
            datetime.fromtimestamp(moment_us / 1e6, UTC).isoformat(timespec="milliseconds")
            if moment_us
            else None
        )
        report = {"ok": True, "role": "hub", "last_success": last, "workers": self._link.guests}
        return msgspec.json.encode(report)


def metrics_of(link: LinkServer, lists: ModelLists) -> Registry:
    """Make the hub's own metrics: what workers asked for, and whose models are known."""
    registry = Registry()
    workers = registry.gauge("tidegate_hub_link_workers", "Workers connected to the hub.")
    calls = registry.counter("tidegate_hub_link_calls_total", "Calls of workers.")
    failures = registry.counter("tidegate_hub_link_failures_total", "Calls answered with an error.")
    cancelled = registry.counter("tidegate_hub_link_cancelled_total", "Calls whose worker stopped waiting.")
    pushes = registry.counter("tidegate_hub_link_pushes_total", "Values pushed to the workers.")
    listed = registry.gauge("tidegate_hub_listed_providers", "Providers whose models are known.")

    def refresh() -> None:
        workers.set(link.guests)
        listed.set(len(lists.models))
        counted = link.counters
        calls.add(counted.calls - calls.value())
        failures.add(counted.failures - failures.value())
        cancelled.add(counted.cancelled - cancelled.value())
        pushes.add(counted.pushes - pushes.value())

    registry.before(refresh)
    return registry


def _not_found(path: str) -> bytes:
    error = {"message": f"nothing lives at {path}", "type": "invalid_request_error", "param": None}
    return msgspec.json.encode({"error": {**error, "code": "unknown_url"}})


def listing_sources(providers: Mapping[str, Known]) -> list[ListingSource]:
    """Return how to ask each provider for its models, if calls to it can be paid for."""
    return [
        ListingSource(name, known.provider.models(secret=known.secret))
        for name, known in providers.items()
        if known.usable and isinstance(known.provider, OpenAICompatible)
    ]


async def _live(seat: Seat) -> None:
    settings = read_settings(seat)
    clock = SystemClock()
    upstream = Upstream(clock, settings.network)
    link = LinkServer({}, clock=clock)
    lists = ModelLists(
        listing_sources(build(settings.providers, Catalog.load())),
        upstream,
        lambda models: link.publish("models", models),
    )
    await link.listen(listener(seat.private_fd))
    asking = spawn(lists.run(), name="model lists")
    try:
        await serve(
            http_config(HubApp(link, lists), drain_s=DRAIN_S, behind_worker=True),
            [listener(seat.listen_fd)],
            on_ready=lambda: say_ready(seat),
        )
    finally:
        asking.cancel()
        await link.close()
        await upstream.close()


def main(seat: Seat) -> int:
    """Be the hub until SIGTERM."""
    die_with_parent(seat)
    log_to_stderr("hub")
    uvloop.run(_live(seat))
    return 0


if __name__ == "__main__":
    sys.exit(main(take_seat(sys.argv)))
