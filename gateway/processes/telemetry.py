"""The telemetry process: collects the journal into the ledger, and answers questions about it.

The only process that imports chDB, and the one in which long work may hold the interpreter.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from dashboards.app import Pages
from gateway.clock import Clock, SystemClock
from gateway.places import Places
from gateway.prices.again import pricer
from gateway.prices.compile import clouds, compile_table
from gateway.prices.table import PriceTable
from gateway.processes.books import PriceBooks
from gateway.processes.capture import capture_feed, reading_of
from gateway.processes.forgetters import forgetters
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
from gateway.processes.serving import http_config, serve
from gateway.processes.unix_http import ask
from gateway.processes.without_pandas import do_without_pandas
from gateway.settings import Settings
from gateway.wire.preview import preview
from telemetry.api import add_routes, build
from telemetry.collector import Collector, Pipe, Status
from telemetry.delivery import StoreConsumer
from telemetry.follower import Follower
from telemetry.ingest import api as ingest_api
from telemetry.ingest.intake import CUT_BYTES, Intake
from telemetry.ingest.log import Reader
from telemetry.journal import Journal
from telemetry.logs import api as logs_api
from telemetry.metrics import CONTENT_TYPE, Registry, merge
from telemetry.migrate import MigrationError, migrate
from telemetry.store.base import Store, StoreError
from telemetry.store.embedded import insert_through, open_folder
from telemetry.store.opened import OpenedStore
from telemetry.store.server import open_server
from telemetry.upkeep import routes
from telemetry.upkeep.forgetting import ForgettingLedger
from telemetry.upkeep.forgotten import Forgotten
from telemetry.upkeep.keeper import Feed, Keeper
from telemetry.upkeep.messages import MEMORY, STORE
from telemetry.upkeep.retention import Keep
from telemetry.upkeep.settling import SettlingLedger
from telemetry.upkeep.verify import today

DRAIN_S = 1.0
NICE = 10
"""Workers and hub come first: nobody waits for a row."""
GRACE_S = 4.5
"""From SIGTERM to the end, at most."""

_OPENING_S = 5.0
"""How long whoever asks right after the start waits for the ledger, rather than being told to come again."""
_AGAIN_S = (1.0, 2.0, 5.0, 10.0)
_PING_S = 5.0
_AUDIT_S = 60.0
_RETAIN_S = 3600.0
_SCRAPE_S = 1.0
_MB = 1 << 20

logger = logging.getLogger(__name__)


def main(seat: Seat) -> int:
    """Be the telemetry process until SIGTERM."""
    die_with_parent(seat, grace_s=GRACE_S)
    do_without_pandas()
    log_to_stderr("telemetry")
    os.nice(NICE)
    for chatty in ("urllib3", "clickhouse_connect"):  # what they warn of reaches us as an exception as well
        logging.getLogger(chatty).setLevel(logging.ERROR)
    settings = read_settings(seat)
    insert_through(seat.places.inserts)
    _compile_prices(seat.places.prices, settings)
    ledger = Ledger(seat.places, settings, SystemClock())
    logs = Journal(
        seat.places.journal,
        writer=f"logs-{uuid.uuid4().hex}",
        fsync=settings.journal.fsync,
        segment_bytes=settings.journal.segment_mb * _MB,
        quota_bytes=settings.journal.quota_mb * _MB,
        reserve_bytes=_MB,
        cut_bytes=CUT_BYTES,
        sealer=seals_of(seat.places, settings),
    )
    uvloop.run(_live(seat, ledger, intake_of(logs, seat.places, settings), settings))
    logs.close()
    if not ledger.close():
        logger.warning("collector_did_not_stop")
        return 0  # a kill is safe at any moment; waiting for the insert is not worth it
    return 1 if ledger.broken else 0


async def _live(seat: Seat, ledger: Ledger, intake: Intake, settings: Settings) -> None:
    ledger.start()
    app = application(ledger, seat.places)
    add_routes(
        app,
        ingest_api.router(intake, max_body_bytes=settings.server.max_body_mb * _MB),
        logs_api.router(ledger.store, now_us=SystemClock().now_us),
    )
    config = http_config(app, drain_s=DRAIN_S, behind_worker=True, ws="auto", lifespan="on")
    await asyncio.to_thread(ledger.await_opening, _OPENING_S)
    await serve(config, [listener(seat.listen_fd)], on_ready=lambda: say_ready(seat))


def _compile_prices(path: Path, settings: Settings) -> None:
    """Make the table that workers load; without one calls are recorded without a cost, and say so."""
    try:
        summary = compile_table(path, settings.prices, same_as=clouds(settings))
    except (ValueError, OSError):
        logger.exception("price_table_failed")
    else:
        logger.info("price_table", extra={"version": summary.version, "written": summary.written})


def intake_of(journal: Journal, places: Places, settings: Settings) -> Intake:
    """Make what takes the logs that are sent to us."""
    books = PriceBooks(places.prices, settings.providers)
    clock = SystemClock()
    reader = Reader(books, now_us=clock.now_us, cut_bytes=CUT_BYTES, version=version("tidegate"))
    return Intake(journal, reader)


class Ledger:
    """The store, once it is open, the collector that fills it, and the one that brings the memory its part.

    The two have threads of their own: neither waits for what the other one leans on.
    """

    def __init__(self, places: Places, settings: Settings, clock: Clock) -> None:
        self._places = places
        self._settings = settings
        self._clock = clock
        self._seals = seals_of(places, settings)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._collector: Collector | None = None
        self._forgotten = Forgotten(places.forgotten, places.secrets / "forgotten")
        self._feeds: dict[str, Feed] = {}
        if settings.memory.enabled:
            self._feeds[MEMORY] = capture_feed(
                places, self._forgotten, now_us=clock.now_us, sealer=self._seals
            )
        self._beside = [feed.pipe for feed in self._feeds.values()]
        self._keeper: Keeper | None = None
        self._capture = Collector(self._beside, now_us=clock.now_us, monotonic_ns=clock.monotonic_ns)
        self._store: Store | None = None
        self._error = "opening"
        self._tried = threading.Event()
        self._seen_us = 0
        self._audit: dict[str, int] = {}
        self.broken = False
        """A thread met a bug: the process is to be started anew."""

    def start(self) -> None:
        """Begin to open the store; calls are kept in the journal until it is there."""
        self._capture.start()
        self._thread.start()

    def await_opening(self, patience_s: float) -> None:
        """Return once the store is open or could not be opened at the first try, or after so long."""
        self._tried.wait(patience_s)

    def store(self) -> Store | None:
        """Return the store as readers see it, None while it is being opened."""
        return OpenedStore(self._store, self._seals) if self._store is not None else None

    def keeper(self) -> Keeper | None:
        """Return who looks after the ledger, None while it is being opened."""
        return self._keeper

    def status(self) -> list[Status]:
        """How far the collectors have come, the store's first; it is missing while there is none."""
        return (self._collector.status() if self._collector else []) + self._capture.status()

    @property
    def audit(self) -> dict[str, int]:
        """What the last comparison of ledger and rollup found."""
        return self._audit

    def health(self) -> dict[str, Any]:
        """What `GET /health` says."""
        store = self._store
        told = msgspec.structs.asdict(store.state()) if store else {}
        store_ok = store is not None and not self._error
        statuses = {status.name: status for status in self.status()}
        status = statuses.get(STORE, Status(name=STORE, last_error="not started"))
        collector_ok = not status.last_error
        return {
            "ok": store_ok and collector_ok,
            "role": "telemetry",
            "store": {
                "ok": store_ok,
                "last_success": _iso(self._seen_us),
                "detail": {**told, "error": self._error},
            },
            "collector": {
                "ok": collector_ok,
                "last_success": _iso(status.last_success_us),
                "detail": msgspec.to_builtins(status),
            },
            "capture": msgspec.to_builtins(statuses.get(MEMORY)),
        }

    def dead_letters(self) -> int:
        """How many rows are buried, by this process and those before it."""
        return sum(1 for _ in (self._places.journal / "dead-letters").glob("*.msgpack"))

    def close(self) -> bool:
        """Stop between two rounds and close the store; False if a round did not end in time."""
        self._stop.set()
        self._capture.stop(0.5)  # it may wait for the hub, and a kill is safe at any moment
        stopped = self._collector is None or self._collector.stop(GRACE_S - DRAIN_S - 0.5)
        self._thread.join(0.5)
        if not stopped or self._thread.is_alive():
            return False
        if self._store is not None:
            self._store.close()
        return True

    def _run(self) -> None:
        try:
            self._keep()
        finally:
            if not self._stop.is_set():
                logger.critical("ledger_broken")
                self.broken = True
                os.kill(os.getpid(), signal.SIGTERM)

    def _keep(self) -> None:
        """Open the store, start the collector, and watch both until told to stop; ends early on a bug."""
        store = self._opened()
        if store is None:
            return
        journal, clickhouse = self._settings.journal, self._settings.clickhouse
        origin = own_name(self._places.journal / "origin")
        follower = Follower(STORE, self._places.journal, now_us=self._clock.now_us)
        consumer = StoreConsumer(
            store,
            self._places.journal / "dead-letters",
            origin=origin,
            now_us=self._clock.now_us,
            preview=preview,
            sealer=self._seals,
        )
        settling = SettlingLedger(consumer, store, origin, now_us=self._clock.now_us)
        clearing = ForgettingLedger(settling, self._forgotten, store)
        pipe = Pipe(follower, clearing, now_us=self._clock.now_us)
        keeper = Keeper(
            store,
            origin,
            self._places.journal,
            {STORE: Feed(pipe, clearing), **self._feeds},
            pricer=lambda: pricer(PriceTable.load(self._places.prices)),
            quota=journal.quota_mb * _MB,
            keep_consumed_s=journal.keep_consumed_s,
            correcting=settling.correcting,
            forgotten=self._forgotten,
            others=forgetters(self._places, memory=self._settings.memory.enabled),
            keep=msgspec.convert(self._settings.retention, Keep, from_attributes=True),
            clustered=clickhouse.clustered,
            now_us=self._clock.now_us,
        )
        self._collector = Collector(
            [pipe],
            beside=self._beside,
            keep_consumed_s=journal.keep_consumed_s,
            quota_bytes=journal.quota_mb * _MB,
            now_us=self._clock.now_us,
            monotonic_ns=self._clock.monotonic_ns,
        )
        self._collector.start()
        self._store, self._keeper = store, keeper
        self._tried.set()
        logger.info("ledger_open", extra={"kind": store.state().kind, "clustered": clickhouse.clustered})
        self._upkeep(keeper.repair, "repair_failed")
        self._watch(store, self._collector, keeper, origin)

    def _opened(self) -> Store | None:
        """Open and migrate the store, however long it takes; None if the process ends before."""
        tries = 0
        while not self._stop.is_set():
            try:
                return self._open()
            except (StoreError, MigrationError, OSError) as error:
                label = error.label if isinstance(error, StoreError) else type(error).__name__
                self._error = str(error) if isinstance(error, MigrationError) else label
                wait_s = _AGAIN_S[min(tries, len(_AGAIN_S) - 1)]
                self._tried.set()
                logger.warning("ledger_away", extra={"error": self._error, "wait_s": wait_s})
            tries += 1
            self._stop.wait(wait_s)
        return None

    def _open(self) -> Store:
        clickhouse, ca_file = self._settings.clickhouse, self._settings.network.ca_file
        if clickhouse.url:
            store = open_server(clickhouse.url, ca_file=ca_file)
        else:
            store = open_folder(self._places.chdb)
        try:
            migrate(store, clustered=clickhouse.clustered)
        except (StoreError, MigrationError):
            store.close()
            raise
        self._error = ""
        self._seen_us = self._clock.now_us()
        return store

    def _watch(self, store: Store, collector: Collector, keeper: Keeper, origin: str) -> None:
        """Look now and then whether all is well, and what is too old; return when the collector is not."""
        audited_ns = retained_ns = -(10**18)
        while not self._stop.wait(_PING_S):
            there = store.ping()
            self._error = "" if there else "no answer"
            if there:
                self._seen_us = self._clock.now_us()
            if there and self._clock.monotonic_ns() - audited_ns >= _AUDIT_S * 1e9:
                audited_ns = self._clock.monotonic_ns()
                self._compare(store, origin)
            if there and self._clock.monotonic_ns() - retained_ns >= _RETAIN_S * 1e9:
                retained_ns = self._clock.monotonic_ns()
                self._upkeep(keeper.retain, "retention_failed")
            if not (collector.alive and self._capture.alive):
                return

    def _compare(self, store: Store, origin: str) -> None:
        """Compare today's ledger with its rollup and its index: they must be equal between two batches."""
        day = datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC).date().isoformat()
        try:
            self._audit = today(store, origin, day)
        except StoreError as error:
            logger.warning("audit_failed", extra={"error": error.label})

    def _upkeep(self, work: Callable[[], object], event: str) -> None:
        """Do something that can wait for the next time if the store refuses it now."""
        try:
            work()
        except StoreError as error:
            logger.warning(event, extra={"error": error.label})


def application(ledger: Ledger, places: Places) -> FastAPI:
    """Make the HTTP application: the pages, the query API, and what the house needs."""
    reading = reading_of(places.hub)
    app = build(ledger.store, now_us=SystemClock().now_us, version=version("tidegate"), reading=reading)
    app.state.keeper = ledger.keeper
    add_routes(app, routes.router, routes.people)
    app.add_middleware(Pages, store=ledger.store, now_us=SystemClock().now_us, reading=reading)
    registry = metrics_of(ledger)

    @app.get("/health", include_in_schema=False)
    async def health() -> dict[str, Any]:
        return ledger.health()

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> PlainTextResponse:
        doors = {"hub": places.hub, **{path.stem: path for path in sorted(places.run.glob("worker-*.sock"))}}
        found = await asyncio.gather(*(asyncio.to_thread(scrape, path) for path in doors.values()))
        texts = {name: text for name, text in zip(doors, found, strict=True) if text is not None}
        texts["telemetry"] = registry.text()
        return PlainTextResponse(merge(texts), media_type=CONTENT_TYPE)

    return app


def metrics_of(ledger: Ledger) -> Registry:
    """Make this process's own metrics: the collector's way, and the sums that must be equal."""
    registry = Registry()
    calls = registry.gauge("tidegate_ledger_calls", "Calls since the journal began, by what became of them: opened = settled + interrupted + open.", ("state",))  # fmt: skip
    rows = registry.counter("tidegate_ledger_rows_total", "Rows brought into the store.", ("table",))
    failures = registry.counter("tidegate_collector_failures_total", "Rounds that failed.", ("consumer",))
    lag = registry.gauge("tidegate_collector_lag_bytes", "Journal not yet delivered.", ("consumer",))
    last = registry.gauge("tidegate_collector_last_success_seconds", "When, since 1970.", ("consumer",))
    dead = registry.gauge("tidegate_dead_letters", "Rows that no table would take.")
    audit = registry.gauge("tidegate_ledger_audit", "Today's sums of ledger, rollup and index.", ("sum",))
    opened = registry.gauge("tidegate_store_up", "1 while the store answers.")

    def refresh() -> None:
        for status in ledger.status():
            failures.add(status.failures - failures.value(status.name), status.name)
            lag.set(status.lag_bytes, status.name)
            last.set(status.last_success_us / 1e6, status.name)
            if status.name != STORE:
                continue
            told = msgspec.structs.asdict(status.counts)
            for state in ("opened", "settled", "interrupted", "unopened", "bad"):
                calls.set(told[state], state)
            calls.set(status.open_calls, "open")
            rows.add(status.spans - rows.value("spans"), "spans")
            rows.add(status.payloads - rows.value("span_payloads"), "span_payloads")
        dead.set(ledger.dead_letters())
        opened.set(int(ledger.health()["store"]["ok"]))
        for name, value in ledger.audit.items():
            audit.set(value, name)

    registry.before(refresh)
    return registry


def scrape(path: Path) -> str | None:
    """Fetch `/metrics` of a process of the house; None if it does not answer."""
    try:
        status, body = ask(path, "GET", "/metrics", timeout_s=_SCRAPE_S)
    except OSError:
        return None
    return body.decode(errors="replace") if status == 200 else None


def own_name(path: Path) -> str:
    """Return this installation's name in a ledger that several may share; made at the first asking."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        made = path.with_name(f"{path.name}.new")
        made.write_text(uuid.uuid4().hex[:12])
        made.replace(path)
        return path.read_text().strip()


def _iso(moment_us: int) -> str | None:
    if not moment_us:
        return None
    return datetime.fromtimestamp(moment_us / 1e6, UTC).isoformat(timespec="milliseconds")


if __name__ == "__main__":
    leave(main(take_seat(sys.argv)))
