"""The hub: what workers ask for and must have quickly. Nothing here may hold the interpreter for long."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import uvloop

from gateway.clock import SystemClock
from gateway.control.api import ControlApi
from gateway.control.api import owns as administers
from gateway.internal import token_of
from gateway.limits.hub import HubCounters
from gateway.link_server import LinkServer
from gateway.listing import ListingSource, ModelLists
from gateway.processes.answer_store import AnswerStore
from gateway.processes.budgets import HubBudgets
from gateway.processes.control import Control
from gateway.processes.house_model import HouseModel
from gateway.processes.lifeline import (
    Seat,
    die_with_parent,
    leave,
    listener,
    read_settings,
    say_ready,
    take_seat,
)
from gateway.processes.log import log_to_stderr
from gateway.processes.own_seals import seals_of
from gateway.processes.own_secret import own_secret
from gateway.processes.owned_store import OwnedStore
from gateway.processes.remembering import CAPTURE, WORKED, Remembering, owns
from gateway.processes.response_store import ResponseStore
from gateway.processes.serving import http_config, serve
from gateway.providers.anthropic import Anthropic
from gateway.providers.azure import AzureOpenAI
from gateway.providers.catalog import Catalog, Known, build
from gateway.providers.gemini import Gemini
from gateway.providers.openai import OpenAICompatible
from gateway.providers.vertex import VertexGemini
from gateway.routing.board import TELL, Ward
from gateway.tasks import spawn
from gateway.upstream import Upstream
from telemetry.metrics import CONTENT_TYPE, Registry
from telemetry.upkeep.forgotten import Forgotten

DRAIN_S = 1.0
SWITCH_S = 0.0005
"""How long a thread may hold the interpreter while another wants it: a recall need not wait for a capture."""


class HubApp:
    """The hub's HTTP: `/health`, `/metrics`, keys, the memory API, and what the collector brings for the memory."""

    def __init__(
        self, link: LinkServer, lists: ModelLists, remembering: Remembering | None, control: ControlApi
    ) -> None:
        self._link = link
        self._control = control
        self._remembering = remembering
        self._metrics = metrics_of(link, lists)
        if remembering is not None:
            remembering.measure(self._metrics)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401
        """Answer one request."""
        path = scope["path"]
        if owns(path) or path in {CAPTURE, WORKED}:
            await self._memory(scope, receive, send)
            return
        if administers(path):
            await self._control(scope, receive, send)
            return
        if self._remembering is not None:
            await self._remembering.look()
        match path:
            case "/health":
                await _answer(send, 200, self._health())
            case "/metrics":
                await _answer(send, 200, self._metrics.text().encode(), CONTENT_TYPE.encode())
            case _:
                await _answer(send, 404, _error(f"nothing lives at {path}", "unknown_url"))

    async def _memory(self, scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401
        remembering = self._remembering
        if remembering is None:
            await _answer(send, 404, _error("memory.enabled is false", "memory_disabled"))
        elif scope["path"] in {CAPTURE, WORKED}:
            body = await _whole(receive) if _is_from_the_house(scope) else None
            if body is None:
                await _answer(send, 404, b"{}")
            elif scope["path"] == CAPTURE:
                await _answer(send, await remembering.capture(body), b"{}")
            else:
                await _answer(send, *await remembering.worked(body))
        elif (api := remembering.api) is None:
            await _answer(send, 503, _error("the memory is being opened", "memory_away", "server_error"))
        else:
            await api(scope, receive, send)

    def _health(self) -> bytes:
        moment_us = self._link.counters.last_success_us
        last = (
            datetime.fromtimestamp(moment_us / 1e6, UTC).isoformat(timespec="milliseconds")
            if moment_us
            else None
        )
        report = {"ok": True, "role": "hub", "last_success": last, "workers": self._link.guests}
        if self._remembering is not None:
            report["memory"] = self._remembering.health()
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


def _is_from_the_house(scope: Mapping[str, Any]) -> bool:
    """Whether no worker relayed this: it would have said for whom."""
    return not any(name == b"x-tidegate-principal" for name, _ in scope["headers"])


async def _whole(receive: Callable[[], Awaitable[dict[str, Any]]]) -> bytes | None:
    """Return the body; None if whoever sent it has left."""
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _answer(send: Any, status: int, body: bytes, kind: bytes = b"application/json") -> None:  # noqa: ANN401
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _error(message: str, code: str, kind: str = "invalid_request_error") -> bytes:
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def listing_sources(providers: Mapping[str, Known]) -> list[ListingSource]:
    """Return how to ask each provider for its models, if calls to it can be paid for."""
    return [
        ListingSource(name, known.provider.models(secret=known.secret))
        for name, known in providers.items()
        if known.usable
        and isinstance(known.provider, OpenAICompatible | Anthropic | Gemini)
        and not isinstance(known.provider, AzureOpenAI | VertexGemini)  # who list what they do not serve
    ]


async def _live(seat: Seat) -> None:
    settings = read_settings(seat)
    clock = SystemClock()
    upstream = Upstream(clock, settings.network)
    seals = seals_of(seat.places, settings)
    remembering = None
    if settings.memory.enabled:
        token = token_of(own_secret(seat.places.secrets / "internal"))
        model = HouseModel(settings.memory, settings.server, clock, token=token)
        remembering = Remembering(seat.places.memory, settings.memory, upstream, clock, model, sealer=seals)
    responses = ResponseStore(seat.places.responses, clock, sealer=seals)
    answers = AnswerStore(
        seat.places.cache,
        clock,
        max_bytes=settings.cache.max_mb << 20,
        sealer=seals,
        forgotten=Forgotten(seat.places.forgotten, seat.places.secrets / "forgotten").names,
    )
    link = LinkServer({**responses.handlers, **(remembering.handlers if remembering else {})}, clock=clock)
    owned = OwnedStore(seat.places.owned)
    link.handlers.update({**answers.handlers, **owned.handlers})
    link.handlers[TELL] = Ward(clock, link.publish).take
    budgets = HubBudgets(seat.places, settings.control.url, settings.budgets, upstream, clock)
    link.handlers.update(budgets.handlers)
    link.handlers.update(HubCounters(clock).handlers)
    control = Control(seat.places, settings, link, clock, upstream)
    lists = ModelLists(
        listing_sources(build(settings.providers, Catalog.load())),
        upstream,
        lambda models: link.publish("models", models),
    )
    await link.listen(listener(seat.private_fd))
    background = [spawn(lists.run(), name="model lists"), spawn(control.publisher.run(), name="keys")]
    background.append(spawn(control.rules.run(), name="rules"))
    background.append(spawn(control.make_first_owner(), name="first owner"))
    budgets.start()
    if remembering is not None:
        background.append(spawn(remembering.open(), name="memory"))
    try:
        await serve(
            http_config(HubApp(link, lists, remembering, control.api), drain_s=DRAIN_S, behind_worker=True),
            [listener(seat.listen_fd)],
            on_ready=lambda: say_ready(seat),
        )
    finally:
        for task in background:
            task.cancel()
        await link.close()
        await upstream.close()
        await asyncio.gather(responses.close(), owned.close(), answers.close())
        await budgets.close()
        await control.close()
        if remembering is not None:
            await remembering.close()


def main(seat: Seat) -> int:
    """Be the hub until SIGTERM."""
    die_with_parent(seat)
    log_to_stderr("hub")
    sys.setswitchinterval(SWITCH_S)
    uvloop.run(_live(seat))
    return 0


if __name__ == "__main__":
    leave(main(take_seat(sys.argv)))
