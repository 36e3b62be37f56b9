"""The telemetry process as the supervisor starts it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typing_extensions import override

from gateway.places import Places
from gateway.processes.lifeline import Seat, settings_file
from gateway.settings import ClickHouse, Memory, Settings
from telemetry.records import Opened, Request
from tests.fakes.ledger import SegmentWriter, call, payload, settled, start_front, whole

PRINCIPAL = {"x-tidegate-principal": '{"project":"p1","environment":"prod","open":false}'}


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


class House:
    """A telemetry process and the folders around it."""

    def __init__(self, folder: Path, run: Path, settings: Settings) -> None:
        self.places = Places(data=folder, run=run)
        run.mkdir(exist_ok=True)
        door = socket.socket(socket.AF_UNIX)
        door.bind(str(self.places.telemetry))
        door.listen(64)
        read_end, self._write_end = os.pipe()
        settings_fd = settings_file(settings)
        seat = Seat(
            role="telemetry",
            supervisor_pid=os.getpid(),
            life_fd=read_end,
            settings_fd=settings_fd,
            listen_fd=door.fileno(),
            data_dir=str(folder),
            run_dir=str(run),
        )
        with (folder.parent / "telemetry.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway.processes.telemetry", seat.argument()],
                pass_fds=(read_end, settings_fd, door.fileno()),
                stderr=log,
            )
        os.close(read_end)
        os.close(settings_fd)
        door.close()

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        connection = UnixConnection(self.places.telemetry)
        try:
            connection.request("GET", path, headers=PRINCIPAL)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, msgspec.json.decode(body) if is_json else {"text": body.decode()}

    def until(
        self, path: str, want: Callable[[dict[str, Any]], object], deadline_s: float = 20
    ) -> dict[str, Any]:
        deadline = time.monotonic() + deadline_s
        while True:
            status, body = self.get(path)
            if status == 200 and want(body):
                return body
            assert time.monotonic() < deadline, (status, body)
            time.sleep(0.02)

    def stop(self) -> float:
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1
        return time.monotonic() - started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def house(folder: Path, run: Path) -> Iterator[House]:
    made = House(folder, run, Settings())
    yield made
    made.stop()


def test_calls_written_before_and_after_it_starts_are_found(house: House) -> None:
    writer = SegmentWriter(house.places.journal, "w1")
    writer.write(*whole(1, event_id="early"))
    house.until("/api/events/early", lambda body: len(body["calls"]) == 1)
    writer.write(*whole(2, event_id="late"))
    house.until("/api/events/late", lambda body: len(body["calls"]) == 1)
    # the rows are there a moment before the collector has noted it
    health = house.until("/health", lambda body: body["ok"] and body["collector"]["detail"]["spans"] == 2)
    assert health["role"] == "telemetry"
    assert health["store"]["detail"]["kind"] == "chdb"
    assert health["collector"]["last_success"]
    assert house.places.prices.exists()
    assert house.stop() < 5
    assert house.process.returncode == 0


def test_whoever_asks_at_once_waits_until_the_ledger_is_open(house: House) -> None:
    assert house.get("/api/calls") == (200, {"calls": [], "next_cursor": None})


def test_it_answers_while_the_ledger_is_away_and_catches_up_when_it_is_there(
    folder: Path, run: Path, tmp_path: Path
) -> None:
    front, port = start_front(tmp_path / "clickhouse")
    front.kill()
    front.wait()
    made = House(folder, run, Settings(clickhouse=ClickHouse(url=f"http://127.0.0.1:{port}/tidegate")))
    try:
        SegmentWriter(made.places.journal, "w1").write(*whole(1, event_id="waiting"))
        made.until("/health", lambda body: body["store"]["detail"]["error"] not in {"", "opening"})
        status, body = made.get("/api/calls")
        assert (status, body["error"]["code"]) == (503, "store_opening")
        front, _ = start_front(tmp_path / "clickhouse", port)
        body = made.until("/api/events/waiting", lambda body: body["calls"])
        assert body["calls"][0]["call_id"] == call(1).call_id
        assert made.stop() < 5
    finally:
        made.stop()
        front.kill()
        front.wait()


def test_metrics_of_the_house_are_one_page(house: House) -> None:
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(house.places.worker(0)))
    door.listen()

    def answer() -> None:
        connection, _ = door.accept()
        connection.recv(4096)
        body = b"# TYPE tidegate_requests_total counter\ntidegate_requests_total 7\n"
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        connection.close()

    house.until("/health", lambda body: body["ok"])
    thread = threading.Thread(target=answer)
    thread.start()
    _, page = house.get("/metrics")
    thread.join()
    door.close()
    assert 'tidegate_requests_total{process="worker-0"} 7' in page["text"]
    assert 'tidegate_store_up{process="telemetry"} 1' in page["text"]
    none = 'tidegate_collector_lag_bytes{process="telemetry",consumer="store"} 0'
    house.until("/metrics", lambda body: none in body["text"])


def test_it_does_not_outlive_its_supervisor(house: House) -> None:
    house.until("/health", lambda body: body["ok"])
    os.close(house._write_end)
    house._write_end = -1
    house.process.wait(10)


def test_without_a_hub_the_ledger_is_filled_and_what_was_said_waits(house: House) -> None:
    writer = SegmentWriter(house.places.journal, "w1")
    said = msgspec.structs.replace(payload(1, b"{}"), remember=True)
    writer.write(Opened(call(1, event_id="alone")), Request(said), settled(1, event_id="alone"))
    house.until("/api/events/alone", lambda body: len(body["calls"]) == 1)
    waiting = house.until("/health", lambda body: body["capture"]["last_error"])
    assert waiting["ok"]
    assert waiting["capture"]["lag_bytes"] > 0


def test_with_the_memory_off_nobody_follows_the_journal_for_it(folder: Path, run: Path) -> None:
    house = House(folder, run, Settings(memory=Memory(enabled=False)))
    try:
        house.until("/health", lambda body: body["ok"] and body["capture"] is None)
        assert not list(house.places.journal.glob("memory.*"))
    finally:
        house.stop()
