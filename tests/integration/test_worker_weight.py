"""What a worker weighs: memory after work, processor time to start, and the libraries it holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.callers import Callers
from tests.fakes.provider import Provider, openai
from tests.fakes.tidegate import Tidegate, eventually

MOST_RSS_MB = 90
MOST_START_S = 1.5
FOREIGN = ("chdb", "qdrant", "onnxruntime", "litellm", "pydantic", "pyarrow", "numpy", "clickhouse_connect")
"""Parts of the paths of libraries that have no place in a worker."""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(openai).in_thread() as started:
        yield started


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    config = {"providers": {"fake": {"base_url": provider.base_url, "api_key": "x"}}}
    with Tidegate(tmp_path_factory.mktemp("weight"), config) as house:
        yield house


def rss_mb(pid: int) -> float:
    """Resident memory now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def cpu_s(pid: int) -> float:
    """Processor time since its start, in user and kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_worker_that_serves_has_mapped_no_library_of_others(gateway: Tidegate) -> None:
    assert gateway.chat().status == 200
    (worker,), (telemetry,) = gateway.pids("worker"), gateway.pids("telemetry")

    maps = Path(f"/proc/{worker}/maps").read_text()

    assert [name for name in FOREIGN if f"/{name}" in maps] == []
    assert "/httptools" in maps
    eventually(
        lambda: "/chdb" in Path(f"/proc/{telemetry}/maps").read_text(), what="telemetry, who does hold chDB"
    )


def test_after_five_hundred_calls_a_worker_is_still_small(gateway: Tidegate) -> None:
    (worker,) = gateway.pids("worker")
    with Callers(gateway) as callers:
        callers.await_more(500)

    assert gateway.pids("worker") == [worker]
    assert rss_mb(worker) <= MOST_RSS_MB


def test_a_worker_starts_in_little_processor_time(gateway: Tidegate) -> None:
    # The second start: the first one may have had to compile bytecode.
    first = gateway.kill("worker")

    second = eventually(
        lambda: [pid for pid in gateway.pids("worker") if pid != first], what="another worker"
    )[0]
    eventually(lambda: gateway.get("/health/live").status == 200, what="it to answer")

    assert cpu_s(second) <= MOST_START_S
