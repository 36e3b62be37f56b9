"""Says whether this worker is alive, and whether what it writes gets where it should."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gateway.clock import Clock
from gateway.errors import UpstreamFailed
from gateway.link import LinkClient
from gateway.providers.base import Origin, Outgoing
from gateway.settings import Timeouts
from gateway.transport import Transport

ASK = Timeouts(connect_s=0.5, first_byte_s=1, idle_s=1, total_s=1)


class Sink(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that this gateway writes to or leans on."""

    name: str
    ok: bool
    last_success: str | None = None
    """ISO 8601, UTC."""
    detail: dict[str, object] = {}


class Ready(msgspec.Struct, frozen=True):
    """`ready`: calls are answered. `degraded`: they are, but something behind them is away."""

    status: str
    sinks: list[Sink]


class _Journal(msgspec.Struct, frozen=True):
    """What readiness needs of the journal's status."""

    last_success_us: int
    blocked: bool
    backlog_bytes: int
    lost: int


class Health:
    """Answers `/health/live` and `/health/ready`."""

    def __init__(
        self,
        journal: Callable[[], object],
        link: LinkClient,
        transport: Transport,
        telemetry: Path,
        house: Path,
        clock: Clock,
        unwell: Callable[[], Mapping[str, str]],
    ) -> None:
        self._journal = journal
        self._link = link
        self._transport = transport
        self._telemetry = telemetry
        self._house = house
        """What the supervisor says of its children."""
        self._clock = clock
        self._unwell = unwell
        """Deployments of routes that are left alone, and why."""
        self._behind = [Sink("store", ok=False), Sink("collector", ok=False)]
        """What the telemetry process last said of what is behind it."""

    async def live(self) -> tuple[int, bytes]:
        """Say that the loop turns."""
        return 200, b'{"status":"live"}'

    async def ready(self) -> tuple[int, bytes]:
        """Say what works: 200, or 503 if calls are refused because they could not be accounted for."""
        sinks = [
            self._journal_sink(),
            await self._hub_sink(),
            self._routes_sink(),
            *self._litellm_sinks(),
            *await self._telemetry_sinks(),
        ]
        blocked = not sinks[0].ok
        status = "blocked" if blocked else "ready" if all(sink.ok for sink in sinks) else "degraded"
        return 503 if blocked else 200, msgspec.json.encode(Ready(status, sinks))

    def _journal_sink(self) -> Sink:
        status = msgspec.convert(self._journal(), _Journal, from_attributes=True)
        detail: dict[str, object] = {"backlog_bytes": status.backlog_bytes, "lost": status.lost}
        return Sink("journal", not status.blocked, iso(status.last_success_us), detail)

    async def _hub_sink(self) -> Sink:
        return Sink("hub", self._link.connected, iso(self._link.last_success_us))

    def _routes_sink(self) -> Sink:
        unwell = self._unwell()
        # a used-up limit is nothing unusual, and half open is as open as nobody asks
        return Sink("routes", "open" not in unwell.values(), detail=dict(unwell))

    def _litellm_sinks(self) -> list[Sink]:
        """Say whether litellm's process was needed; nothing on a host without a supervisor."""
        pid = litellm_pid(self._house)
        if pid is None:
            return []
        return [Sink("litellm", ok=True, detail={"state": "up" if pid else "not started"})]

    async def _telemetry_sinks(self) -> list[Sink]:
        outgoing = Outgoing(
            "GET", Origin("unix", str(self._telemetry), 0), "/health", [(b"host", b"telemetry")], b""
        )
        try:
            with closing(await self._transport.open(outgoing, ASK, stream=False)) as answer:
                report = msgspec.json.decode(await answer.read(), type=_Report)
        except (UpstreamFailed, msgspec.MsgspecError) as error:
            unknown = [Sink(sink.name, ok=False, last_success=sink.last_success) for sink in self._behind]
            return [Sink("telemetry", ok=False, detail={"error": str(error)}), *unknown]
        self._behind = [
            Sink("store", report.store.ok, report.store.last_success, report.store.detail),
            Sink("collector", report.collector.ok, report.collector.last_success, report.collector.detail),
        ]
        return [Sink("telemetry", report.ok), *self._behind]


class _Part(msgspec.Struct, frozen=True):
    ok: bool = False
    last_success: str | None = None
    detail: dict[str, object] = {}


class _Child(msgspec.Struct, frozen=True):
    role: str
    pid: int


class _House(msgspec.Struct, frozen=True):
    """What is needed of the supervisor's state."""

    children: tuple[_Child, ...] = ()


class _Report(msgspec.Struct, frozen=True):
    """`GET /health` of the telemetry process."""

    ok: bool = False
    store: _Part = _Part()
    collector: _Part = _Part()


def litellm_pid(house: Path) -> int | None:
    """Return litellm's process by what the supervisor says, 0 if it is not up, None if nothing is said.

    Asking at its socket would start it.
    """
    try:
        children = msgspec.json.decode(house.read_bytes(), type=_House).children
    except (OSError, msgspec.DecodeError):
        return None
    return next((child.pid for child in children if child.role == "litellm"), None)


def iso(moment_us: int) -> str | None:
    """Return a moment as ISO 8601, or None for never."""
    if not moment_us:
        return None
    return datetime.fromtimestamp(moment_us / 1e6, UTC).isoformat(timespec="milliseconds")
