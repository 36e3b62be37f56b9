"""What recorded calls of real providers cost, from their bytes to the nano-dollar, worked out by hand.

The recordings lie beside the repository and are not part of it; without them these tests are skipped. The rates are
those of the price lists in `prices.toml` on the day of the recording, in nano-dollars per token.
"""

from __future__ import annotations

import gzip
import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.prices.compile import compile_table
from gateway.prices.cost import price
from gateway.prices.table import PriceTable
from gateway.wire.anthropic_messages import AnthropicMessages
from gateway.wire.base import Finding, Wire
from gateway.wire.gemini_generate import GeminiGenerate
from gateway.wire.openai_chat import OpenAIChat
from gateway.wire.openai_embeddings import OpenAIEmbeddings
from gateway.wire.openai_responses import OpenAIResponses

CASSETTES = Path(__file__).parents[3] / "shared" / "conformance" / "cassettes"
CHAT, EMBED, RESPONSES = OpenAIChat(), OpenAIEmbeddings(), OpenAIResponses()
CLAUDE, GEMINI, GEMINI_SSE = AnthropicMessages(), GeminiGenerate(), GeminiGenerate(stream=True)
GEMINI_ARRAY = GeminiGenerate(stream=True, array=True)

LLM, TRACES, CONTRIB = (
    "llm-anthropic/test_anthropic",
    "openllmetry/opentelemetry-instrumentation",
    "opentelemetry-python-contrib",
)
GENAI = f"{CONTRIB}/opentelemetry-instrumentation-google-genai/generate_content"
OPENAI = f"{CONTRIB}/opentelemetry-instrumentation-openai-v2"

CALLS: list[tuple[str, int, Wire, str, int]] = [
    (f"{LLM}/test_async_prompt", 0, CLAUDE, "anthropic", 17 * 3000 + 10 * 15000),
    (f"{LLM}/test_fixed_version_tool_chain_with_thinking_display_regression", 0, CLAUDE, "anthropic",
     598 * 1000 + (39 + 53) * 5000),
    (f"{LLM}/test_opus_46_adaptive_thinking", 0, CLAUDE, "anthropic", 34 * 5000 + 44 * 25000),
    (f"{LLM}/test_sonnet_46_effort_without_thinking", 0, CLAUDE, "anthropic", 17 * 3000 + 12 * 15000),
    (f"{TRACES}-anthropic/test_thinking/test_anthropic_thinking_legacy", 0, CLAUDE, "anthropic",
     52 * 3000 + 215 * 15000),
    (f"{TRACES}-langchain/test_tool_calls/test_tool_calls_anthropic_text_block", 0, CLAUDE, "anthropic",
     374 * 800 + 82 * 4000),
    (f"{TRACES}-langchain/test_llms/test_anthropic", 0, CLAUDE, "anthropic", 19 * 8000 + 22 * 24000),
    ("llm-gemini/test_gemini/test_nested_model_deep_composition", 0, GEMINI_ARRAY, "gemini",
     16 * 750 + (54 + 552) * 3750),
    ("llm-gemini/test_gemini/test_tools", 0, GEMINI_ARRAY, "gemini", 32 * 300 + (12 + 42) * 2500),
    ("llm-gemini/test_gemini/test_tools_with_gemini_3_thought_signatures", 0, GEMINI_ARRAY, "gemini",
     60 * 500 + (16 + 32) * 3000),
    (f"{GENAI}/test_non_streaming[excludecontent-gemini-2.5-flash-vertexaiapi-async-default]", 0, GEMINI, "gemini",
     8 * 300 + (404 + 1546) * 2500),
    (f"{GENAI}/test_streaming[excludecontent-gemini-2.5-flash-vertexaiapi-async-default]", 0, GEMINI_SSE, "gemini",
     8 * 300 + (437 + 2027) * 2500),
    (f"{CONTRIB}/opentelemetry-instrumentation-vertexai/test_function_call_choice", 0, GEMINI, "gemini",
     74 * 1250 + (16 + 200) * 10000),
    (f"{OPENAI}/test_async_chat_completion_extra_params", 0, CHAT, "openai", 12 * 150 + 12 * 600),
    (f"{OPENAI}/test_async_chat_completion_multiple_choices_streaming", 0, CHAT, "openai", 26 * 150 + 133 * 600),
    (f"{OPENAI}/test_async_chat_completion_streaming", 0, CHAT, "openai", 12 * 30000 + 5 * 60000),
    (f"{OPENAI}/test_async_embeddings_no_content", 0, EMBED, "openai", 7 * 20),
    (f"{OPENAI}/test_responses_create_instrumentation_error_swallowed[content_mode0]", 0, RESPONSES, "openai",
     22 * 150 + 6 * 600),
    (f"{TRACES}-openai/traces/test_azure/test_chat", 1, CHAT, "openai", 16 * 400 + 22 * 1600),
    (f"{TRACES}-openai/traces/test_azure/test_chat_reasoning", 0, CHAT, "openai", 11 * 50 + (11 + 192) * 400),
    (f"{TRACES}-openai/traces/test_embeddings/test_azure_openai_embeddings", 0, EMBED, "openai", 8 * 130),
    (f"{TRACES}-openai/traces/test_vision/test_vision", 0, CHAT, "openai", 438 * 10000 + 16 * 30000),
    (f"{TRACES}-openai/metrics/test_openai_metrics/test_chat_streaming_metrics", 0, CHAT, "deepseek",
     32 * 270 + 324 * 1100),
    (f"{TRACES}-groq/traces/test_chat_tracing/test_async_chat_legacy", 0, CHAT, "groq", 18 * 50 + 70 * 80),
    (f"{TRACES}-groq/traces/test_chat_tracing/test_chat_streaming_legacy", 0, CHAT, "groq", 18 * 50 + 73 * 80),
    (f"{TRACES}-mistralai/test_embeddings/test_mistral_async_embeddings_legacy", 0, EMBED, "mistral", 21 * 100),
]  # fmt: skip
"""Cassette, number of the call in it, format, provider, nano-dollars."""

pytestmark = pytest.mark.skipif(not CASSETTES.is_dir(), reason="no recordings beside the repository")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> PriceTable:
    path = tmp_path_factory.mktemp("prices") / "prices.msgpack"
    compile_table(path, {})
    return PriceTable.load(path)


def recorded(cassette: str, number: int) -> dict[str, Any]:
    path = next(
        CASSETTES / f"{cassette}{end}"
        for end in (".yaml", ".yaml.gz")
        if (CASSETTES / f"{cassette}{end}").exists()
    )
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    call: dict[str, Any] = yaml.load(data, Loader=yaml.CSafeLoader)["interactions"][number]
    return call


def read(call: dict[str, Any], wire: Wire) -> Finding:
    said = call["response"]["body"]["string"]
    sent = said if isinstance(said, bytes) else said.encode()
    body = zlib.decompress(sent, wbits=47) if sent.startswith(b"\x1f\x8b") else sent
    reading = wire.reading(stream=body.startswith((b"event:", b"data:", b"[")), strip_usage=False)
    reading.feed(body)
    reading.end()
    return reading.finding()


def asked_at(call: dict[str, Any]) -> datetime:
    headers = {name.lower(): value for name, value in call["response"]["headers"].items()}
    said = headers.get("date", ["Wed, 01 Oct 2025 12:00:00 GMT"])
    return parsedate_to_datetime(said if isinstance(said, str) else said[0]).astimezone(UTC)


@pytest.mark.parametrize(
    ("cassette", "number", "wire", "provider", "nano_usd"),
    CALLS,
    ids=[c[0].rpartition("/")[2] for c in CALLS],
)
def test_a_recorded_call_costs_what_the_price_list_of_its_day_says(
    cassette, number, wire, provider, nano_usd, table
):
    call = recorded(cassette, number)

    finding = read(call, wire)
    row = table.find(provider, finding.response_model, int(asked_at(call).timestamp() * 1_000_000))
    cost = price(row, finding.usage, version=table.version, tier=finding.service_tier)

    assert cost.reason == ""
    assert cost.total_nano_usd == nano_usd
    assert sum(cost.lines.values()) == nano_usd
