"""A worker: answers the hot paths in one asyncio loop, and stays small."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import uuid
from importlib.metadata import version
from pathlib import Path

import msgspec
import uvloop

from gateway import surfaces
from gateway.access import ADMIN_PATHS, matches, need
from gateway.budgets.book import BudgetBook
from gateway.budgets.records import TOPIC as BUDGETS
from gateway.budgets.records import Budget, configured
from gateway.budgets.teller import Teller
from gateway.clock import Clock, SystemClock
from gateway.config import environment
from gateway.credential_feed import DECODER, Providers, opened
from gateway.credential_feed import TOPIC as CREDENTIALS
from gateway.endpoints import App, principal_header
from gateway.errors import BadRequest, GatewayError, UnknownModel
from gateway.guardrails.rules import Rules
from gateway.health import Health
from gateway.here import HereTransport
from gateway.http1.server import Connection, close_slow, connection_class
from gateway.internal import token_of
from gateway.key_feed import KeyFeed
from gateway.keyring import Keyring
from gateway.limits.authority import limiter_of
from gateway.limits.rules import TOPIC as LIMITS
from gateway.limits.rules import LimitRule, RuleBook
from gateway.limits.rules import configured as configured_limits
from gateway.link import LinkClient
from gateway.master_key import master_key
from gateway.pipeline import Pipeline
from gateway.prices.ceiling import ceiling
from gateway.prices.cost import price
from gateway.prices.table import PriceTable
from gateway.principal import Principal
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
from gateway.processes.serving import http_config, serve
from gateway.providers.base import Headers
from gateway.providers.catalog import Catalog, Known, build
from gateway.recollection import MEMORY_API
from gateway.relay import Relay as ColdRelay
from gateway.routing.board import TELL, Board, report, unwell
from gateway.routing.resolve import Listed, Resolver
from gateway.rule_feed import RuleFeed
from gateway.sandbox import SandboxTransport
from gateway.settings import Settings
from gateway.sign_in import SignIn
from gateway.sockets import Sockets
from gateway.splice import splice_to
from gateway.stages.auth import Auth, static_keys
from gateway.stages.budget import BudgetStage
from gateway.stages.cache import AnswerCache
from gateway.stages.guardrails import Guardrails
from gateway.stages.kept import KeptStage
from gateway.stages.limits import LimitStage
from gateway.stages.memory import MemoryStage
from gateway.stages.meter import Meter
from gateway.stages.owned import OwnedStage
from gateway.stages.passing import Passing
from gateway.stages.record import Recorder
from gateway.stages.relay import Relay
from gateway.stages.route import Router
from gateway.tasks import spawn
from gateway.tokens import Tokens
from gateway.transport import Transport
from gateway.upstream import Upstream
from gateway.wire import anthropic_models, gemini_models
from gateway.wire.base import Wire
from gateway.wire.openai_models import Model, model_list
from gateway.wire.openai_models import model as one_model
from gateway.worker_metrics import WorkerMetrics
from telemetry.journal import Journal
from telemetry.records import Usage

logger = logging.getLogger(__name__)

KB = 1 << 10
MB = 1 << 20
PRICES_EVERY_S = 5.0
LINK_WAIT_S = 0.3
"""For a hub that is there: the first callers find their responses and memories."""
KEYS_WAIT_S = 5.0
"""Longest wait for the first word of the hub, where there are keys; then calls get 503 until it comes."""
SLOW_EVERY_S = 1.0
CLOSINGS_S = 2.0
"""At the end: as long may the hub be away before what calls cost counts as what was put aside for them."""
ROUTES_API = "/api/routes"
MODELS = ("/models", "/v1/models", "/v1/v1/models", "/anthropic/models", "/anthropic/v1/models")
PROVIDERS_SOCKETS = (
    b"/v1",
    b"/realtime",
    b"/responses",
    b"/ws/google",
    b"/gemini/",
    b"/api/google/",
    b"/openai/",
)
GEMINI_MODELS = tuple(
    f"{home}/{version}/models"
    for home in ("", "/gemini", "/api/google/gemini")
    for version in ("v1beta", "v1alpha", "v1")
)


def main(seat: Seat) -> None:
    """Serve until told to stop."""
    settings = read_settings(seat)
    die_with_parent(seat, grace_s=settings.server.drain_s + 1)
    log_to_stderr(f"worker-{seat.slot}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(seat, settings))


async def _run(seat: Seat, settings: Settings) -> None:
    worker = Worker(seat, settings, SystemClock())
    background = [
        spawn(worker.follow_prices(), name="prices"),
        spawn(worker.close_slow(), name="slow clients"),
        spawn(worker.budgets.teller.run(), name="budget lease"),
    ]
    try:
        await worker.serve()
    finally:
        for task in background:
            task.cancel()
        await worker.close()


class Worker:
    """Everything a worker is made of."""

    def __init__(self, seat: Seat, settings: Settings, clock: Clock) -> None:
        self._seat, self._settings, self._clock = seat, settings, clock
        places = seat.places
        self._places = places
        self._models: dict[str, list[str]] = {}
        self._upstream = Upstream(clock, settings.network)
        self._journal = Journal(
            places.journal,
            writer=uuid.uuid4().hex,
            fsync=settings.journal.fsync,
            segment_bytes=settings.journal.segment_mb * MB,
            quota_bytes=settings.journal.quota_mb * MB,
            reserve_bytes=settings.journal.reserve_mb * MB,
            when_full=settings.journal.when_full,
            sealer=seals_of(places, settings),
        )
        self._link = LinkClient(str(places.link), clock=clock)
        self._link.subscribe("models", self._learn_models)
        self._board = Board(clock, self._link.notify)
        self._link.subscribe(TELL, self._board.hear)
        self._link.when_up(self._board.tell_again)
        self._resolver = Resolver(
            settings,
            self._build(settings.providers),
            self._price,
            self._ceiling,
            self._window,
        )
        self._keyring = Keyring(
            static_keys(settings),
            clock,
            max_stale_s=settings.control.max_stale_s,
            certain=not settings.control.url and not places.control.exists(),
        )
        self._keys = KeyFeed(
            self._link, self._keyring, lambda: own_secret(places.secrets / "keys"), places.keys
        )
        self._credentials = RuleFeed(self._link, CREDENTIALS, DECODER, self._learn_credentials, places.rules)
        self._auth = Auth(
            settings,
            fingerprint_secret=own_secret(places.secrets / "fingerprint"),
            keyring=self._keyring,
            internal=token_of(own_secret(places.secrets / "internal")),
        )
        self._sign_in = SignIn(
            self._auth,
            clock,
            secret=own_secret(places.secrets / "sign-in"),
            silence_s=settings.server.body_timeout_s,
            hub=self._link,
            issuer=bool(settings.sign_in.oidc.issuer),
        )
        self._meter = Meter()
        self._metrics = WorkerMetrics(self._journal, self._upstream, self._link)
        teller = Teller(self._link, uuid.uuid4().hex)
        self.budgets = BudgetStage(
            BudgetBook(configured(settings.budgets)), teller, lambda: self._meter.table, settings.routes
        )
        self._limits = LimitStage(
            RuleBook(configured_limits(settings.limits)), limiter_of(settings, self._link, clock)
        )
        self._limit_feed = RuleFeed(
            self._link,
            LIMITS,
            msgspec.msgpack.Decoder(tuple[LimitRule, ...]),
            self._limits.book.take,
            places.rules,
        )
        self._budget_feed = RuleFeed(
            self._link,
            BUDGETS,
            msgspec.msgpack.Decoder(tuple[Budget, ...]),
            self.budgets.book.take,
            places.rules,
        )
        self._sockets = Sockets(self._upstream.dialer, clock)
        transports: dict[str, Transport] = {
            "ws": self._sockets,
            "wss": self._sockets,
            "http": self._upstream,
            "https": self._upstream,
            "unix": self._upstream,
            "sandbox": SandboxTransport(clock),
            "here": HereTransport(clock),
        }
        self._pipeline = Pipeline(
            kept=KeptStage(self._link),
            passing=Passing(self._resolver),
            owned=OwnedStage(self._link),
            limits=self._limits,
            guardrails=Guardrails(Rules(settings.guardrails, transports), clock),
            cache=AnswerCache(settings.cache, self._link, clock),
            memory=MemoryStage(self._link, settings.memory, clock),
            budgets=self.budgets,
            router=Router(
                self._resolver,
                transports,
                Relay(clock),
                clock,
                self._board,
                Tokens(self._upstream, clock),
                drain_s=settings.server.drain_s,
            ),
            meter=self._meter,
            recorder=Recorder(
                self._journal,
                clock,
                version=version("tidegate"),
                count=self._metrics.count,
                refused=self._metrics.refuse,
            ),
        )
        health = Health(
            self._journal.status,
            self._link,
            self._upstream,
            places.telemetry,
            places.state,
            clock,
            lambda: unwell(settings.routes, self._board, clock.monotonic_ns()),
        )
        self._app = App(
            auth=self._auth,
            sign_in=self._sign_in,
            pipeline=self._pipeline,
            public={"/health/live": health.live, "/health/ready": health.ready},
            protected={
                **dict.fromkeys(MODELS + GEMINI_MODELS, self._list_models),
                ROUTES_API: self._list_routes,
            },
            one_of=dict.fromkeys((f"{path}/" for path in MODELS + GEMINI_MODELS), self._one_model),
            refused=self._metrics.refuse,
            cold={
                **dict.fromkeys((MEMORY_API, *ADMIN_PATHS), ColdRelay(self._upstream, places.hub, "hub")),
                "": ColdRelay(self._upstream, places.telemetry, "telemetry"),
            },
            max_body_bytes=settings.server.max_body_mb * MB,
            body_timeout_s=settings.server.body_timeout_s,
            clock=clock,
        )
        self._splice = splice_to(places.telemetry, self._allow)
        self._connections: type[Connection] = connection_class(
            max_header_bytes=settings.server.max_header_kb * KB,
            render=self._refuse,
            upgrades=surfaces.is_socket,
        )

    async def serve(self) -> None:
        """Answer until SIGTERM."""
        self._load_prices()
        self._keys.read_file()
        self._credentials.read_file()
        self._budget_feed.read_file()
        self._limit_feed.read_file()
        self._limits.limiter.start()
        self._link.start()
        await self._link.wait_connected(LINK_WAIT_S)
        await self._keys.wait_certain(KEYS_WAIT_S)
        if self._settings.control.url or self._places.control.exists():
            await self._budget_feed.wait_heard(KEYS_WAIT_S)
            await self._limit_feed.wait_heard(KEYS_WAIT_S)
        if not self._limits.book.empty:
            await self._limits.limiter.wait_up(KEYS_WAIT_S)
        server = self._settings.server
        config = http_config(
            self._app,
            drain_s=server.drain_s,
            http=self._connections,
            ws=self._splice,
            keep_alive_s=server.keep_alive_s,
        )
        doors = [listener(fd) for fd in (self._seat.listen_fd,) if fd >= 0]
        private = await asyncio.start_unix_server(self._metrics.answer, sock=listener(self._seat.private_fd))
        async with private:
            await serve(config, doors, on_ready=self._ready)

    async def close(self) -> None:
        """Write what is left and let go of everything."""
        self._pipeline.account()
        await self.budgets.teller.finish(CLOSINGS_S)
        await self._limits.limiter.close()
        await self._link.close()
        await self._upstream.close()
        self._journal.close()

    def _ready(self) -> None:
        gc.collect()
        gc.freeze()
        # Measured on a prototype, November 2026: p99 at 64 connections fell from some 60 to 15 ms.
        gc.set_threshold(100_000, 50, 1000)
        say_ready(self._seat)

    def _allow(self, headers: Headers, path: bytes) -> Headers | None:
        if path.startswith(PROVIDERS_SOCKETS):
            error = BadRequest(
                "this WebSocket to a provider is not passed on: open it at the provider itself",
                code="websocket_not_supported",
            )
            error.status = 501
            raise error
        known = dict(headers)
        try:
            self._auth.admit(known)
            principal = self._sign_in.identify(known)
            need(principal, "costs")
        except GatewayError:
            return None
        return [principal_header(principal)]

    def _build(self, providers: Providers) -> dict[str, Known]:
        return build(providers, Catalog.load(), self._clock.now_us, litellm=os.fspath(self._places.litellm))

    def _learn_credentials(self, sealed: dict[str, str]) -> None:
        providers = opened(
            sealed, self._settings.providers, lambda: master_key(self._places.secrets, environment())
        )
        try:
            self._resolver.learn(self._build(providers))
        except ValueError as error:
            logger.warning("credentials_refused", extra={"error": str(error)})

    def _learn_models(self, models: dict[str, list[str]]) -> None:
        self._models = models

    def _listed(self, principal: Principal) -> list[Listed]:
        listed = self._resolver.names(self._models)
        return [one for one in listed if matches(principal.models, one.id)] if principal.models else listed

    async def _list_models(self, wire: Wire, principal: Principal) -> tuple[int, bytes]:
        listed = self._listed(principal)
        if wire is surfaces.GEMINI["generateContent"]:
            return 200, gemini_models.model_list(entry.id for entry in listed)
        if wire is not surfaces.DEFAULT:
            return 200, anthropic_models.model_list(entry.id for entry in listed)
        return 200, model_list(Model(id=entry.id, owned_by=entry.owned_by) for entry in listed)

    def _refuse(self, error: GatewayError) -> bytes:
        """Count what was not even a request; return what is said to it."""
        self._metrics.refuse(error.code)
        return surfaces.DEFAULT.error(error)

    async def _one_model(self, wire: Wire, principal: Principal, name: str) -> tuple[int, bytes]:
        for entry in self._listed(principal):
            if entry.id == name:
                if wire is surfaces.GEMINI["generateContent"]:
                    return 200, gemini_models.model(name)
                if wire is not surfaces.DEFAULT:
                    return 200, anthropic_models.model(name)
                return 200, one_model(Model(id=entry.id, owned_by=entry.owned_by))
        raise UnknownModel(f"The model `{name}` is not listed: GET /v1/models says what is.", param="model")

    async def _list_routes(self, _: Wire, principal: Principal) -> tuple[int, bytes]:
        """Say how every deployment does, as this worker sees it."""
        need(principal, "view")
        lines = report(self._settings.routes, self._board, self._clock.monotonic_ns())
        return 200, msgspec.json.encode({"slot": self._seat.slot, "routes": lines})

    def _price(self, provider: str, model: str) -> int | None:
        """Return what a thousand tokens in and a thousand out cost now, for comparison only."""
        table = self._meter.table
        if table is None:
            return None
        row = table.find(provider, model, self._clock.now_us())
        return price(row, Usage(input_uncached=1000, output_text=1000)).total_nano_usd

    def _ceiling(self, provider: str, model: str) -> tuple[int, int, int] | None:
        """Return the highest rates that hold for the model from now on."""
        table = self._meter.table
        return None if table is None else ceiling(table.rows(provider, model), self._clock.now_us())

    def _window(self, provider: str, model: str) -> int:
        """Return how many tokens the model can read, or 0."""
        table = self._meter.table
        return 0 if table is None else table.window(provider, model)

    def _load_prices(self) -> None:
        try:
            self._meter.table = PriceTable.load(self._places.prices)
        except (OSError, msgspec.MsgspecError) as error:
            logger.warning("price_table_missing", extra={"error": str(error)})

    async def follow_prices(self) -> None:
        """Load the price table again whenever the telemetry process has compiled a newer one."""
        seen = _changed_ns(self._places.prices)
        while True:
            await asyncio.sleep(PRICES_EVERY_S)
            if (now := _changed_ns(self._places.prices)) != seen:
                seen = now
                await asyncio.to_thread(self._load_prices)
                self._resolver.price_anew()

    async def close_slow(self) -> None:
        """Close connections whose headers do not arrive, and pages of who was locked out since."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SLOW_EVERY_S)
            limit_s = self._settings.server.header_timeout_s
            close_slow(self._connections.everyone, now=loop.time(), limit_s=limit_s)
            self._splice.check_again()
            self._sockets.check_again(self._auth.identify)


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


if __name__ == "__main__":
    main(take_seat(sys.argv))
    leave(0)
