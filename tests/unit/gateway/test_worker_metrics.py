"""What a worker's page says of calls that ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.link import LinkClient
from gateway.upstream import Upstream
from gateway.worker_metrics import WorkerMetrics
from telemetry.journal import Journal
from telemetry.records import Call, Cost, Outcome, Usage

CALL = Call(call_id="c", started_at_us=1, surface="openai.chat")
STREAM = Call(call_id="c", started_at_us=1, surface="openai.chat", stream=True)
PRICED = Outcome(
    status="ok",
    provider="acme",
    total_us=5000,
    overhead_us=50,
    first_byte_us=4000,
    usage=Usage(input_uncached=7, cache_read=3, output_text=2),
    usage_source="provider",
    cost=Cost(total_nano_usd=40),
)
FAILED = Outcome(
    status="error", provider="acme", total_us=70_000_000, overhead_us=60, cost=Cost(reason="no_answer")
)


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[WorkerMetrics]:
    journal = Journal(tmp_path, writer="w", reserve_bytes=1 << 20)
    upstream = cast("Upstream", SimpleNamespace(open_now=1, opened=2, reused=3, retried=4))
    yield WorkerMetrics(journal, upstream, cast("LinkClient", SimpleNamespace(connected=True)))
    journal.close()


async def page(metrics: WorkerMetrics, tmp_path: Path) -> dict[str, float]:
    """Ask at the door; return each sample by its name and the values of its labels."""
    door = str(tmp_path / "door")
    async with await asyncio.start_unix_server(metrics.answer, path=door):
        reader, writer = await asyncio.open_unix_connection(door)
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        text = (await reader.read()).decode().split("\r\n\r\n", 1)[1]
        writer.close()
    return {
        " ".join((sample.name.removeprefix("tidegate_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_calls_are_counted_by_kind_with_tokens_money_and_time(
    metrics: WorkerMetrics, tmp_path: Path
) -> None:
    metrics.count(CALL, PRICED)
    metrics.count(STREAM, PRICED)
    metrics.count(CALL, FAILED)

    found = await page(metrics, tmp_path)

    assert found["requests_total openai.chat acme ok"] == 2
    assert found["requests_total openai.chat acme error"] == 1
    assert found["tokens_total acme input"] == 20
    assert found["tokens_total acme output"] == 4
    assert found["cost_nano_usd_total acme"] == 80
    assert found["unpriced_total acme no_answer"] == 1
    assert found["request_seconds_bucket openai.chat 0.005"] == 2
    assert found["request_seconds_bucket openai.chat 60"] == 2
    assert found["request_seconds_bucket openai.chat +Inf"] == 3
    assert found["request_seconds_sum openai.chat"] == pytest.approx(70.01)
    assert found["first_byte_seconds_count openai.chat"] == 1
    assert found["overhead_seconds_bucket 5e-05"] == 2
    assert found["overhead_seconds_bucket 0.0001"] == 3


async def test_asking_twice_counts_nothing_twice_and_loses_nothing(
    metrics: WorkerMetrics, tmp_path: Path
) -> None:
    metrics.count(CALL, PRICED)
    first = await page(metrics, tmp_path)
    assert await page(metrics, tmp_path) == first

    metrics.count(CALL, PRICED)
    metrics.refuse("too_large")
    found = await page(metrics, tmp_path)
    assert found["requests_total openai.chat acme ok"] == 2
    assert found["request_seconds_count openai.chat"] == 2
    assert found["refused_total too_large"] == 1


async def test_of_many_calls_none_is_missing_and_the_bounds_belong_to_their_buckets(
    metrics: WorkerMetrics, tmp_path: Path
) -> None:
    for took_us in (4999, 5000, 5001) * 333:
        metrics.count(CALL, msgspec.structs.replace(PRICED, total_us=took_us))
        metrics.count(CALL, FAILED)

    found = await page(metrics, tmp_path)

    assert (
        found["requests_total openai.chat acme ok"] == found["requests_total openai.chat acme error"] == 999
    )
    assert found["request_seconds_bucket openai.chat 0.005"] == 666
    assert found["request_seconds_bucket openai.chat 0.01"] == 999
    assert found["request_seconds_count openai.chat"] == found["overhead_seconds_count"] == 1998
    assert found["tokens_total acme output"] == 1998
    assert found["cost_nano_usd_total acme"] == 999 * 40
    assert found["unpriced_total acme no_answer"] == 999
