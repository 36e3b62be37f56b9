"""`tidegate journal` and `tidegate prices` beside a running house, and without one."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.words import dollars
from tests.fakes.ledger import SegmentWriter, whole
from tests.fakes.tidegate import Tidegate, eventually

PRICE = 7 * 2500 + 3 * 1250 + 5 * 10_000
"""Nano-dollars for the fake ledger's tokens at the prices of gpt-4o."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    made = Tidegate(tmp_path_factory.mktemp("house")).start()
    yield made
    made.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def writer(house: Tidegate) -> SegmentWriter:
    """Calls that were billed too little."""
    made = SegmentWriter(house.data / "journal", "elsewhere")
    made.write(*whole(1, event_id="one", project="default"), *whole(2, event_id="two", project="default"))
    house.await_calls(1, event_id="two")
    return made


def tidegate(house: Tidegate, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *words, "--config", str(house.config)],
        cwd=house.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_beside_the_house_then_without_it(house: Tidegate, writer: SegmentWriter, tmp_path: Path) -> None:
    assert house.chat("hello", event="hello").status == 200
    house.await_calls(1, event_id="hello")
    code, told = tidegate(house, "journal", "status")
    assert code == 0, told
    assert "elsewhere-00000001.seg" in told
    assert "0 dead letters" in told
    code, told = tidegate(house, "journal", "verify")
    assert code == 0, told
    assert "opened = settled + interrupted + open" in told
    assert "rollup = ledger" in told

    day = eventually(lambda: house.calls(event_id="one"), what="the call")[0]["started_at"][:10]
    rerate = ("prices", "rerate", "--from", day, "--to", day, "--reason", "billed too little")
    code, told = tidegate(house, *rerate, "--dry-run")
    assert code == 0, told
    assert "2 would be corrected" in told
    code, told = tidegate(house, *rerate)
    assert f"2 were corrected by +{dollars(2 * (PRICE - 12_345))} in all" in told
    assert "0 were corrected" in tidegate(house, *rerate)[1]
    user = house.get("/api/users/user-1/cost").json()
    assert user["total"]["cost_nano_usd"] == PRICE
    code, told = tidegate(house, "journal", "verify")
    assert code == 0, told

    code, told = tidegate(house, "journal", "replay", "elsewhere-00000001.seg")
    assert code == 0, told
    assert "2 calls and 4 payloads" in told
    assert len(house.calls(event_id="one")) == 1
    assert tidegate(house, "journal", "replay", "--dead-letters")[0] == 0
    code, told = tidegate(house, "journal", "replay", "nobody-00000001.seg")
    assert (code, "there is no segment" in told) == (1, True)

    for method, path in (  # which nobody reaches over the public port
        ("GET", "/api/journal"),
        ("GET", "/api/journal/verify"),
        ("POST", "/api/journal/replay"),
        ("POST", "/api/prices/rerate"),
        ("POST", "/api/users/lift"),
    ):
        reply = house.request(method, path, {} if method == "POST" else None, {"x-tidegate-principal": ""})
        assert (reply.status, reply.json()["error"]["code"]) == (404, "unknown_url"), path

    house.stop()
    code, told = tidegate(house, "journal", "status")
    assert (code, "elsewhere-00000001.seg" in told) == (0, True), told
    code, told = tidegate(house, "journal", "verify")
    assert (code, "not compared with the ledger" in told) == (0, True), told
    with writer.path.open("r+b") as file:
        file.seek(200)
        file.write(b"\xff\xfe\xfd")
    code, told = tidegate(house, "journal", "verify")
    assert (code, "crc32" in told) == (1, True), told
    code, told = tidegate(house, *rerate)
    assert (code, "The house is down" in told) == (1, True), told


def test_a_command_says_what_it_cannot_understand(tmp_path: Path) -> None:
    (tmp_path / "tidegate.yaml").write_text("{}")

    def say(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *words, "--data-dir", str(tmp_path / "data")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        return done.stderr

    reason = ("--reason", "x")
    assert "is not a day" in say("prices", "rerate", "--from", "yesterday", "--to", "2026-11-01", *reason)
    assert "swap them" in say("prices", "rerate", "--from", "2026-11-02", "--to", "2026-11-01", *reason)
    assert "Name segments" in say("journal", "replay")
