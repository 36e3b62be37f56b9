from __future__ import annotations

import msgspec
from hypothesis import given

from gateway.translation.gemini import counting
from gateway.wire.gemini_usage import parse_usage, service_tier
from telemetry.records import Usage
from tests.fakes.conversations import usages


@given(
    usages(
        "input_uncached", "cache_read", "input_audio", "input_image",
        "output_text", "output_reasoning", "output_audio", "output_image",
    )
)  # fmt: skip
def test_usage_is_read_as_it_was_written(usage):
    assert parse_usage(bytes(counting.write(usage, ""))) == usage


def test_what_went_into_a_cache_is_counted_with_the_prompt_and_the_sum_is_right():
    raw = counting.write(
        Usage(input_uncached=1, cache_write_5m=20, cache_write_1h=300, output_text=4), "flex"
    )

    assert msgspec.json.decode(raw) == {
        "promptTokenCount": 321,
        "candidatesTokenCount": 4,
        "totalTokenCount": 325,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 321}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 4}],
        "serviceTier": "flex",
    }
    assert service_tier(bytes(raw)) == "flex"
