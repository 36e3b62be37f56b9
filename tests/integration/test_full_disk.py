"""A full disk: calls that could not be accounted for are refused, the rest goes on, nothing is half-written."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry import segments
from tests.fakes.callers import Callers, Heard, call
from tests.fakes.tidegate import Reply, Tidegate, eventually

DISK_MB = 256


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of our own, small enough to fill."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tidegate-test", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting needs root and a kernel that lets us: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def gateway(disk: Path, tmp_path: Path) -> Iterator[Tidegate]:
    config = {
        "data_dir": str(disk / "data"),
        "journal": {"reserve_mb": 2, "segment_mb": 4},
        "server": {"drain_s": 5},
    }
    with Tidegate(tmp_path / "house", config) as house:
        yield house


class Filler:
    """A file that takes all the room there is."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "filler"

    def fill(self) -> None:
        """Take what is free now, to the last page."""
        with self._path.open("ab") as file, contextlib.suppress(OSError):
            while True:
                for step in (1 << 20, 4096):
                    with contextlib.suppress(OSError):
                        while True:
                            os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, step)
                raise OSError

    def free(self) -> None:
        """Give it back."""
        self._path.unlink()


def everybody(gateway: Tidegate) -> list[int]:
    return sorted(pid for role in ("worker", "hub", "telemetry") for pid in gateway.pids(role))


def ready(gateway: Tidegate) -> tuple[int, str]:
    reply: Reply = gateway.get("/health/ready")
    return reply.status, reply.json()["status"]


def metric(gateway: Tidegate, name: str, label: str = "") -> float:
    """Return a metric of the house, all processes together."""
    lines = gateway.get("/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith(name) and label in line]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def test_on_a_full_disk_calls_are_refused_and_taken_again_when_there_is_room(
    gateway: Tidegate, disk: Path
) -> None:
    heard: list[Heard] = [call(gateway, "sandbox/echo", event="before")]
    gateway.await_calls(1, event_id="before")
    processes = everybody(gateway)
    filler = Filler(disk)

    def fill() -> None:
        filler.fill()

    # This one was admitted while there was room: it must be settled although there is none.
    heard.append(
        call(
            gateway,
            "sandbox/pace-20",
            event="meanwhile",
            stream=True,
            on_first=fill,
            sandbox={"text": "tide " * 20},
        )
    )

    def refusal() -> Heard | None:
        filler.fill()
        heard.append(call(gateway, "sandbox/echo", event=f"full-{len(heard)}"))
        return heard[-1] if heard[-1].status == 503 else None

    no = eventually(refusal, what="a refusal")
    assert no.json()["error"]["code"] == "journal_full"
    assert int(no.headers["retry-after"]) >= 1
    assert "data folder" in no.json()["error"]["message"]
    assert heard[1].answered
    assert ready(gateway) == (503, "blocked")
    assert gateway.get("/health/live").status == 200
    assert everybody(gateway) == processes
    refusals = sum(one.status == 503 for one in heard)
    assert metric(gateway, "tidegate_refused_total", 'code="journal_full"') == refusals
    assert metric(gateway, "tidegate_journal_blocked") >= 1
    assert metric(gateway, "tidegate_journal_lost") == 0

    filler.free()

    def taken_again() -> Heard | None:
        heard.append(call(gateway, "sandbox/echo", event=f"again-{len(heard)}"))
        return heard[-1] if heard[-1].answered else None

    eventually(taken_again, what="calls to be taken again")
    assert everybody(gateway) == processes
    eventually(lambda: ready(gateway) == (200, "ready"), what="readiness")
    agree(gateway, heard)


def test_if_bodies_may_be_dropped_calls_go_on_and_their_rows_say_so(disk: Path, tmp_path: Path) -> None:
    journal = {"reserve_mb": 32, "segment_mb": 4, "when_full": "drop_payloads"}
    with Tidegate(tmp_path / "house", {"data_dir": str(disk / "data"), "journal": journal}) as gateway:
        call(gateway, "sandbox/echo", event="before")
        gateway.await_calls(1, event_id="before")
        filler = Filler(disk)

        def dropped() -> bool:
            filler.fill()
            assert call(gateway, "sandbox/echo", event="full").answered
            return metric(gateway, "tidegate_journal_dropped_payloads") > 0

        eventually(dropped, what="a body to be dropped")
        assert metric(gateway, "tidegate_journal_blocked") == 0
        for number in range(20):
            assert call(gateway, "sandbox/echo", event=f"full-{number}").answered

        filler.free()
        for number in range(20):
            (row,) = gateway.await_calls(1, event_id=f"full-{number}")
            assert (row["status"], row["capture"]) == ("ok", "lost")
        assert metric(gateway, "tidegate_journal_lost") == 0
        eventually(lambda: ready(gateway) == (200, "ready"), what="readiness")


def agree(gateway: Tidegate, heard: list[Heard]) -> None:
    """Answered calls are in the ledger once, refused ones not at all, and no frame is half there."""
    answered = {one.event for one in heard if one.answered}
    assert {one.status for one in heard} == {200, 503}
    try:
        eventually(
            lambda: answered <= {row["event_id"] for row in gateway.calls()}, what="every answered call"
        )
    except AssertionError:
        missing = answered - {row["event_id"] for row in gateway.calls()}
        raise AssertionError(
            f"{len(missing)} of {len(answered)} missing: {missing}\n{gateway.log()}"
        ) from None
    rows = Counter(row["event_id"] for row in gateway.calls())
    assert rows == dict.fromkeys(answered, 1)
    assert {row["status"] for row in gateway.calls()} == {"ok"}
    for files in segments.writers(gateway.data / "journal").values():
        for file in files:
            assert segments.read(file.path, 0, limit_bytes=1 << 30).bad == []


def test_a_worker_that_starts_on_a_full_disk_refuses_calls_until_there_is_room(
    gateway: Tidegate, disk: Path
) -> None:
    heard = [call(gateway, "sandbox/echo", event="before")]
    gateway.await_calls(1, event_id="before")
    filler = Filler(disk)
    filler.fill()
    first = gateway.kill("worker")
    filler.fill()
    eventually(lambda: gateway.pids("worker") not in ([], [first]), what="another worker")

    heard.append(call(gateway, "sandbox/echo", event="full"))

    assert heard[-1].status == 503
    assert heard[-1].json()["error"]["code"] == "journal_full"
    assert gateway.get("/health/live").status == 200
    assert ready(gateway) == (503, "blocked")
    filler.free()
    eventually(lambda: ready(gateway) == (200, "ready"), what="readiness")
    heard.append(call(gateway, "sandbox/echo", event="again"))
    agree(gateway, heard)
    assert "Traceback" not in gateway.log()


def test_many_callers_on_a_disk_that_is_full_now_and_then(gateway: Tidegate, disk: Path) -> None:
    filler = Filler(disk)
    with Callers(gateway, "sandbox/echo") as callers:
        for _ in range(3):
            callers.await_more(20)
            filler.fill()
            await_a_refusal(callers)
            filler.free()
    heard = [one for one in callers.tried.values() if one]

    agree(gateway, heard)
    assert {one.json()["error"]["code"] for one in refused(callers)} == {"journal_full"}


def refused(callers: Callers) -> list[Heard]:
    return [one for one in callers.tried.values() if one and one.status == 503]


def await_a_refusal(callers: Callers) -> None:
    before = len(refused(callers))
    eventually(lambda: len(refused(callers)) > before, what="a refusal")


def test_what_a_full_disk_left_of_a_new_table_does_not_keep_the_ledger_shut(tmp_path: Path) -> None:
    house = Tidegate(tmp_path)
    with house:
        house.await_calls(1, event_id=call(house, "sandbox/echo", event="before").event)
    spans = next(house.data.glob("**/store/*/*/spans.sql"))
    left = spans.with_name("left_by_a_failed_create.sql")
    left.touch()

    with house:
        call(house, "sandbox/echo", event="after")
        assert len(house.await_calls(2)) == 2
    assert not left.exists()
