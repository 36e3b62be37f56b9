"""What one call costs in the journal: CPU of the loop's thread and of the journal's own thread.

    python -m tests.bench.journal [calls] [folder]

A call is `open` with a request of about 1 KB, and `settle` with an answer of about 0.6 KB. Calls come in
bursts, as a loop makes them, with a pause between, in which the journal's thread gathers and writes.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

import msgspec

from telemetry import segments
from telemetry.journal import Journal
from telemetry.payloads import Body
from telemetry.records import Attempt, Call, Cost, Outcome, Usage

BURST = 20
REQUEST = msgspec.json.encode(
    {
        "model": "gpt-4.1-mini",
        "temperature": 0.2,
        "messages": [
            {
                "role": "system",
                "content": "You are a careful assistant; answer in at most two sentences. " * 4,
            },
            {
                "role": "user",
                "content": "What did we decide about the tide gate on Tuesday, and who asked? " * 10,
            },
        ],
    }
)
ANSWER = msgspec.json.encode(
    {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "gpt-4.1-mini-2025-04-14",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It opens at six. " * 10, "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 190,
            "completion_tokens": 40,
            "total_tokens": 230,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "service_tier": "default",
    }
)


def record(number: int) -> tuple[Call, Outcome]:
    """Return a call as the gateway would describe it."""
    call = Call(
        call_id=f"0199a6c0-0000-7000-8000-{number:012d}",
        started_at_us=1_795_276_741_384_998,
        surface="openai.chat",
        operation="chat",
        project="default",
        environment="prod",
        key_id="key_3f9c1e",
        user_id="user-42",
        event_id="order-77",
        thread_id="thread-1",
        model="gpt-4.1-mini",
        route="openai/gpt-4.1-mini",
        parameters={"temperature": 0.2},
        request_bytes=len(REQUEST),
        gateway="0.1.0",
    )
    attempt = Attempt(
        deployment="openai/gpt-4.1-mini",
        provider="openai",
        model="gpt-4.1-mini",
        started_us=210,
        connected_us=230,
        first_byte_us=412_000,
        ended_us=413_500,
        reused=True,
        http_status=200,
        request_id="req_7f1d",
        sent_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )
    outcome = Outcome(
        status="ok",
        http_status=200,
        provider="openai",
        deployment="openai/gpt-4.1-mini",
        response_model="gpt-4.1-mini-2025-04-14",
        response_id="chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        finish_reason="stop",
        attempts=(attempt,),
        first_byte_us=412_000,
        first_token_us=412_000,
        total_us=413_700,
        overhead_us=200,
        usage=Usage(input_uncached=190, output_text=40),
        usage_source="provider",
        raw_usage=b'{"prompt_tokens":190,"completion_tokens":40,"total_tokens":230}',
        cost=Cost(total_nano_usd=140_000, lines={"input_uncached": 76_000, "output_text": 64_000}),
        response_bytes=len(ANSWER),
    )
    return call, outcome


def main(calls: int, folder: Path) -> None:
    """Print the microseconds per call."""
    journal = Journal(folder, writer=uuid.uuid4().hex, reserve_bytes=1024 * 1024)
    records = [record(number) for number in range(calls)]
    slowest: list[float] = []
    time.sleep(0.2)
    process, thread = time.process_time_ns(), time.thread_time_ns()
    paused = 0
    for number, (call, outcome) in enumerate(records):
        began = time.perf_counter_ns()
        journal.open(call, Body("application/json", [REQUEST], len(REQUEST)))
        slowest.append((time.perf_counter_ns() - began) / 1000)
        journal.settle(call, outcome, Body("application/json", [ANSWER], len(ANSWER)))
        if number % BURST == BURST - 1:
            before = time.thread_time_ns()
            time.sleep(0.01)
            paused += time.thread_time_ns() - before
    loop = time.thread_time_ns() - thread - paused
    journal.flush()
    everything = time.process_time_ns() - process - paused
    journal.close()
    found = segments.writers(folder)
    size = sum(segment.size for own in found.values() for segment in own)
    quantiles = statistics.quantiles(slowest, n=1000)
    print(  # noqa: T201 -- a measuring script
        f"{calls} calls, {size / calls:.0f} bytes each; CPU per call: loop {loop / calls / 1000:.1f} us,"
        f" journal's thread {(everything - loop) / calls / 1000:.1f} us;"
        f" open() wall p50 {quantiles[499]:.1f} p99 {quantiles[989]:.1f} p99.9 {quantiles[998]:.1f} us"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else 20_000,
            Path(sys.argv[2] if len(sys.argv) > 2 else made),
        )
