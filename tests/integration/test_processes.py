"""The supervisor and real child processes: nobody is left behind, nobody is turned away without need."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from gateway.places import Places
from gateway.processes.children import ChildState
from gateway.processes.doors import is_answered, run_folder
from gateway.processes.supervisor import HouseState, read_state
from gateway.settings import Server, Settings
from tests.fakes.waiting import until


class House:
    """A supervisor in a process of its own."""

    def __init__(self, data: Path, process: asyncio.subprocess.Process, log: Path) -> None:
        self.places = Places(data=data, run=run_folder(data))
        self.process = process
        self._log = log
        self.seen: set[int] = {process.pid}

    @property
    def log(self) -> str:
        """What it and its children wrote."""
        return self._log.read_text()

    @property
    def state(self) -> HouseState:
        """What it says of itself."""
        state = read_state(self.places)
        assert state is not None
        self.seen |= {child.pid for child in state.children if child.pid}
        return state

    def child(self, role: str) -> ChildState:
        """The first child of that role."""
        return next(child for child in self.state.children if child.role == role)

    def send(self, number: signal.Signals) -> None:
        """Send the supervisor a signal; remember its children first."""
        with contextlib.suppress(AssertionError):
            _ = self.state
        self.process.send_signal(number)

    async def ask(self, path: str = "/", *, at: Path | None = None) -> str:
        """GET from the public port, or from a unix socket; return the whole answer's body lines."""
        return (await self.begin(path, at=at))[1]

    async def begin(self, path: str, *, at: Path | None = None) -> tuple[str, str]:
        """Return head and body of the answer; the body ends with the connection or its last chunk."""
        reader, writer = await self.connect(at)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        head, _, body = answer.partition("\r\n\r\n")
        return head, body

    async def connect(self, at: Path | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the public port, or to a unix socket."""
        if at is not None:
            return await asyncio.open_unix_connection(str(at))
        return await asyncio.open_connection("127.0.0.1", self.state.port)

    async def gone_after(self, number: signal.Signals) -> float:
        """Send the signal; return the seconds until neither the supervisor nor a child is left."""
        self.send(number)
        started = time.monotonic()
        await self.process.wait()
        await until(lambda: not any(map(_alive, self.seen)))
        return time.monotonic() - started


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


Open = Callable[..., Awaitable[House]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Open]:
    houses: list[House] = []

    async def starting(
        *,
        workers: int = 1,
        drain_s: float = 5,
        port: int = 0,
        role: str = "",
        data: Path | None = None,
        wait: bool = True,
    ) -> House:
        data = data or tmp_path / "data"
        data.mkdir(exist_ok=True)
        settings = Settings(server=Server(port=port, workers=workers, drain_s=drain_s))
        log = tmp_path / f"log-{len(houses)}"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.fakes.house",
                str(data),
                msgspec.json.encode(settings).decode(),
                role,
                stdout=out,
                stderr=out,
            )
        house = House(data, process, log)
        houses.append(house)
        if wait:
            await until(lambda: "listens on" in house.log)
        return house

    yield starting
    for house in houses:
        if house.process.returncode is None:
            await house.gone_after(signal.SIGKILL)


async def test_it_starts_everything_and_says_where(start: Open) -> None:
    house = await start(workers=2)
    state = house.state
    assert [(child.role, child.slot, child.restarts) for child in state.children] == [
        ("hub", 0, 0),
        ("telemetry", 0, 0),
        ("worker", 0, 0),
        ("worker", 1, 0),
        ("litellm", 0, 0),
    ]
    *started, litellm = state.children
    assert all(_alive(child.pid) and child.started_at_us for child in started)
    assert litellm.pid == 0
    assert f"http://127.0.0.1:{state.port}/v1" in house.log
    assert "a note from the caller" in house.log
    assert "worker" in await house.ask()
    assert "hub 0" in await house.ask(at=house.places.hub)
    assert "telemetry 0" in await house.ask(at=house.places.telemetry)
    assert "worker 1" in await house.ask(at=house.places.worker(1))
    for path in (house.places.hub, house.places.link, house.places.worker(0)):
        assert path.stat().st_mode & 0o777 == 0o600
    assert house.places.run.stat().st_mode & 0o777 == 0o700


async def test_a_killed_supervisor_leaves_no_child_and_can_be_started_again_at_once(start: Open) -> None:
    house = await start(workers=2)
    port = house.state.port
    streaming = asyncio.get_running_loop().create_task(house.ask("/stream/200"))
    await asyncio.sleep(0)
    house.send(signal.SIGKILL)
    again = await start(workers=2, port=port, data=house.places.data)
    assert not any(map(_alive, house.seen))
    assert "worker" in await again.ask()
    with contextlib.suppress(OSError):
        await streaming


async def test_after_kill_9_everybody_is_gone_within_a_second(start: Open) -> None:
    house = await start(workers=2)
    assert await house.gone_after(signal.SIGKILL) < 1.2
    assert len(house.seen) == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_one_signal_ends_everybody_cleanly(start: Open, number: signal.Signals) -> None:
    house = await start(workers=2)
    assert await house.gone_after(number) < 3
    assert house.process.returncode == 0
    assert len(house.seen) == 5
    assert list(house.places.run.iterdir()) == []
    assert not house.places.state.exists()
    assert "Traceback" not in house.log
    assert "child_ended" not in house.log


async def test_a_second_signal_ends_everybody_at_once(start: Open) -> None:
    house = await start(drain_s=60)
    reader, writer = await house.connect()
    writer.write(b"GET /stream/1000 HTTP/1.1\r\nhost: x\r\n\r\n")
    await reader.readuntil(b"0\n")
    house.send(signal.SIGINT)
    await until(lambda: house.state.stopping or "stopping" in house.log)
    assert await house.gone_after(signal.SIGINT) < 2
    assert house.process.returncode == 0
    writer.close()


async def test_while_streams_drain_new_connections_are_refused(start: Open) -> None:
    house = await start(drain_s=10)
    reader, writer = await house.connect()
    port = house.state.port
    writer.write(b"GET /stream/20 HTTP/1.1\r\nhost: x\r\n\r\n")
    await reader.readuntil(b"0\n")
    house.send(signal.SIGTERM)
    await until(lambda: _refused(port), timeout_s=0.5)
    rest = (await reader.read()).decode()
    assert "19\n" in rest
    assert "worker 0" in rest
    assert rest.endswith("0\r\n\r\n")
    await house.process.wait()
    assert house.process.returncode == 0
    writer.close()


def _refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def test_a_stream_longer_than_the_drain_is_cut(start: Open) -> None:
    house = await start(drain_s=1)
    reader, writer = await house.connect()
    writer.write(b"GET /stream/1000 HTTP/1.1\r\nhost: x\r\n\r\n")
    await reader.readuntil(b"0\n")
    assert await house.gone_after(signal.SIGTERM) < 4
    rest = b""
    with contextlib.suppress(ConnectionResetError):
        rest = await reader.read()
    assert not rest.endswith(b"0\r\n\r\n")
    assert house.process.returncode == 0
    writer.close()


@pytest.mark.parametrize("role", ["hub", "telemetry", "worker"])
async def test_requests_wait_while_a_killed_child_is_replaced(start: Open, role: str) -> None:
    house = await start()
    at = {"hub": house.places.hub, "telemetry": house.places.telemetry, "worker": None}[role]
    first = house.child(role)
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: not _alive(first.pid))
    answers = await asyncio.gather(*(house.ask(at=at) for _ in range(10)))
    second = house.child(role)
    assert second.pid != first.pid
    assert second.restarts == 1
    assert all(f"{role} 0 {second.pid}" in answer for answer in answers)


async def test_a_worker_that_keeps_crashing_is_tried_less_and_less_and_holds_no_connection(
    start: Open,
) -> None:
    house = await start()
    port = house.state.port
    crash = house.places.data / "crash-worker"
    crash.touch()
    os.kill(house.child("worker").pid, signal.SIGKILL)
    # 0, 0.25, 0.5, 1, 2 s, a fifth more or less: the fifth wait closes the door
    await until(lambda: len(_waits(house.log)) >= 5)
    assert _refused(port)
    for wait, nominal in zip(_waits(house.log), [0, 0.25, 0.5, 1, 2], strict=False):
        assert nominal * 0.79 <= wait <= nominal * 1.21
    assert len({child.pid for child in house.state.children if child.role in ("hub", "telemetry")}) == 2
    crash.unlink()
    await until(lambda: not _refused(port))
    assert "worker 0" in await house.ask()


async def test_a_process_on_demand_starts_when_somebody_knocks_and_again_after_its_death(start: Open) -> None:
    house = await start()
    assert house.child("litellm").pid == 0
    assert "litellm 0" in await house.ask(at=house.places.litellm)
    first = house.child("litellm").pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: house.child("litellm").restarts == 1)
    assert house.child("litellm").pid == 0
    assert "litellm 0" in await house.ask(at=house.places.litellm)
    assert house.child("litellm").pid not in (0, first)
    await house.gone_after(signal.SIGTERM)
    assert not house.places.litellm.exists()


async def test_a_process_on_demand_that_cannot_start_keeps_nobody_waiting(start: Open) -> None:
    house = await start()
    crash = house.places.data / "crash-litellm"
    crash.touch()
    reader, writer = await house.connect(house.places.litellm)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    assert not is_answered(house.places.litellm)
    assert len(_waits(house.log, "litellm")) >= 4
    crash.unlink()
    await until(lambda: is_answered(house.places.litellm))
    assert "litellm 0" in await house.ask(at=house.places.litellm)


def _waits(log: str, child: str = "worker-0") -> list[float]:
    return [float(wait) for wait in re.findall(rf"child_ended child={child} .*again_in_s=([\d.]+)", log)]


async def test_workers_start_when_prices_exist_even_if_telemetry_is_not_ready(
    start: Open, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "mute-telemetry").touch()
    house = await start(wait=False)
    await until(lambda: read_state(house.places) is not None and house.child("telemetry").pid > 0)
    assert "telemetry 0" in await house.ask(at=house.places.telemetry)
    assert house.child("worker").pid == 0
    house.places.prices.touch()
    await until(lambda: house.child("worker").pid > 0)


async def test_a_second_house_in_the_same_folder_is_refused_and_harms_nothing(start: Open) -> None:
    house = await start()
    second = await start(wait=False)
    assert await second.process.wait() == 2
    assert f"already runs on {house.places.data} (pid {house.process.pid})" in second.log
    assert "--data-dir" in second.log
    assert "hub 0" in await house.ask(at=house.places.hub)


@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
async def test_a_port_in_use_is_named_with_the_remedy(start: Open, option: int) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, option, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        house = await start(port=port, wait=False)
        assert await house.process.wait() == 2
        assert f"Port {port} on 127.0.0.1 is in use" in house.log
        assert "--port" in house.log
        assert "Traceback" not in house.log


@pytest.mark.parametrize("role", ["hub", "telemetry", "worker", "litellm"])
async def test_a_role_runs_alone(start: Open, role: str) -> None:
    house = await start(role=role, wait=False)
    places = house.places
    at = places.worker(0) if role == "worker" else places.run / f"{role}.sock"
    await until(lambda: is_answered(at))
    assert f"{role} 0 {house.process.pid}" in await house.ask(at=at)
    if role == "worker":
        another = await start(role=role, wait=False)
        await until(lambda: is_answered(places.worker(1)))
        assert f"worker 1 {another.process.pid}" in await house.ask(at=places.worker(1))
    else:
        another = await start(role=role, wait=False)
        assert await another.process.wait() == 2
        assert f"Another {role}" in another.log
    assert await house.gone_after(signal.SIGTERM) < 3
    assert house.process.returncode == 0
