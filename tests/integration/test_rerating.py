"""A re-rating that is killed again and again, with the real engine."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.fakes.rerating_child import CALLS, NEW_NANO_USD, PAGE


def child(folder: Path, at: int, delay_ms: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.rerating_child", str(folder), str(at), str(delay_ms)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_killed_in_the_middle_and_repeated_it_corrects_every_call_once(tmp_path: Path) -> None:
    source = random.Random(20261121)
    for at in (1, 3, 2, 2):
        doomed = child(tmp_path / "clickhouse", at, source.random() * 20)
        _, trouble = doomed.communicate(timeout=60)
        assert doomed.returncode == -signal.SIGKILL, trouble.decode()
    last = child(tmp_path / "clickhouse", 0, 0)
    printed, trouble = last.communicate(timeout=60)
    assert last.returncode == 0, trouble.decode()
    found = msgspec.json.decode(printed)
    assert 0 < found["done"]["changed"] < CALLS - PAGE + 1
    assert found["corrections"] == CALLS
    assert found["ledger"] == CALLS * 12_345
    assert found["corrected"] == CALLS * (NEW_NANO_USD - 12_345)
    assert found["rollup"] == CALLS * NEW_NANO_USD
    assert found["wrong"] == []
