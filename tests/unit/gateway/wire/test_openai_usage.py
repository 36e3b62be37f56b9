from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.openai_usage import parse_usage
from telemetry.records import Usage

counts = st.none() | st.integers(-5, 2000)


@given(
    prompt=st.integers(0, 1000),
    completion=st.integers(0, 1000),
    read=st.dictionaries(
        st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens"]), counts
    ),
    written=st.dictionaries(st.sampled_from(["reasoning_tokens", "audio_tokens"]), counts),
)
def test_buckets_add_up_to_the_totals_and_none_is_negative(prompt, completion, read, written):
    said = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": read,
        "completion_tokens_details": written,
    }

    usage = parse_usage(msgspec.json.encode(said))

    assert usage is not None
    assert usage.input_total == prompt
    assert usage.output_total == completion
    assert all(count >= 0 for count in msgspec.structs.astuple(usage))


def test_details_are_taken_out_of_their_totals():
    raw = (
        b'{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":'
        b'{"cached_tokens":40,"audio_tokens":10,"image_tokens":5,"cache_write_tokens":20},'
        b'"completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":4}}'
    )

    assert parse_usage(raw) == Usage(
        input_uncached=25,
        cache_read=40,
        cache_write_5m=20,
        input_audio=10,
        input_image=5,
        output_text=16,
        output_reasoning=30,
        output_audio=4,
    )


def test_reasoning_that_only_the_total_counts_is_added():
    raw = b'{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,"completion_tokens_details":{"reasoning_tokens":20}}'

    assert parse_usage(raw) == Usage(input_uncached=10, output_text=5, output_reasoning=20)


@pytest.mark.parametrize("field", ["prompt_cache_hit_tokens", "cached_tokens"])
def test_dialects_of_cached_tokens_are_understood(field):
    raw = b'{"prompt_tokens":10,"completion_tokens":1,"%s":4}' % field.encode()

    assert parse_usage(raw) == Usage(input_uncached=6, cache_read=4, output_text=1)


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"[]",
        b'{"prompt_tokens":"many"}',
        b"{",
        b'{"prompt_tokens":null}',
        b'{"prompt_tokens":99999999999999999999}',
    ],
)
def test_what_is_no_usage_is_none(raw):
    assert parse_usage(raw) is None


def test_responses_tell_the_same_in_other_words():
    said = b"""{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},
        "output_tokens":40,"output_tokens_details":{"reasoning_tokens":30},"total_tokens":140}"""

    assert parse_usage(said) == Usage(
        input_uncached=30, cache_read=60, cache_write_5m=10, output_text=10, output_reasoning=30
    )
    assert parse_usage(b'{"input_tokens":7}') == Usage(input_uncached=7)
    assert parse_usage(b'{"input_tokens":null,"output_tokens":null}') is None
