from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.gemini_usage import parse_usage, service_tier
from telemetry.records import Usage


def parse(**said: object) -> Usage | None:
    return parse_usage(msgspec.json.encode(said))


def modes(**counts: int) -> list[dict[str, object]]:
    return [{"modality": name, "tokenCount": count} for name, count in counts.items()]


def test_cached_tokens_are_inside_the_prompt_and_thoughts_beside_the_candidates():
    usage = parse(
        promptTokenCount=30,
        cachedContentTokenCount=20,
        candidatesTokenCount=5,
        thoughtsTokenCount=40,
        totalTokenCount=75,
    )

    assert usage == Usage(input_uncached=10, cache_read=20, output_text=5, output_reasoning=40)


def test_results_of_tools_are_read_beside_the_prompt():
    usage = parse(
        promptTokenCount=151,
        candidatesTokenCount=1089,
        toolUsePromptTokenCount=18329,
        thoughtsTokenCount=1120,
        totalTokenCount=20689,
        toolUsePromptTokensDetails=modes(TEXT=18000, IMAGE=329),
    )

    assert usage is not None
    assert (usage.input_uncached, usage.input_image) == (18151, 329)
    assert usage.input_total + usage.output_total == 20689


def test_a_total_without_the_thoughts_means_that_candidates_include_them():
    usage = parse(promptTokenCount=10, candidatesTokenCount=50, thoughtsTokenCount=30, totalTokenCount=60)

    assert usage == Usage(input_uncached=10, output_text=20, output_reasoning=30)


def test_modalities_have_buckets_of_their_own():
    usage = parse(
        promptTokenCount=100,
        promptTokensDetails=modes(TEXT=10, AUDIO=20, IMAGE=30, DOCUMENT=15, VIDEO=25),
        candidatesTokenCount=60,
        candidatesTokensDetails=modes(TEXT=10, AUDIO=20, IMAGE=30),
    )

    assert usage == Usage(
        input_uncached=35, input_audio=20, input_image=45, output_text=10, output_audio=20, output_image=30
    )


def test_what_was_cached_of_a_modality_is_not_counted_twice():
    usage = parse(
        promptTokenCount=100,
        cachedContentTokenCount=60,
        promptTokensDetails=modes(TEXT=40, AUDIO=60),
        cacheTokensDetails=modes(TEXT=10, AUDIO=50),
        candidatesTokenCount=1,
    )

    assert usage == Usage(input_uncached=30, cache_read=60, input_audio=10, output_text=1)


def test_numbers_stand_for_modalities_too():
    details = [{"modality": 2, "tokenCount": 516}, {"modality": 1, "tokenCount": 5}]

    usage = parse(promptTokenCount=521, promptTokensDetails=details, candidatesTokenCount=5)

    assert usage == Usage(input_uncached=5, input_image=516, output_text=5)


def test_embeddings_count_what_they_read():
    usage = parse(promptTokenCount=9, promptTokenDetails=modes(TEXT=4, IMAGE=5))

    assert usage == Usage(input_uncached=4, input_image=5)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b'{"trafficType": "ON_DEMAND"}', b'{"promptTokenCount": {}}', b'{"a": "\xff"}']
)
def test_what_says_nothing_of_tokens_is_none(raw):
    assert parse_usage(raw) is None


def test_nulls_and_numbers_in_strings_are_read():
    usage = parse(promptTokenCount="7", candidatesTokenCount=None, promptTokensDetails=None)

    assert usage == Usage(input_uncached=7)


@given(
    st.fixed_dictionaries(
        {"promptTokenCount": st.integers(0, 99)},
        optional={
            "candidatesTokenCount": st.integers(-5, 99) | st.none(),
            "thoughtsTokenCount": st.integers(-5, 99) | st.none(),
            "cachedContentTokenCount": st.integers(-5, 200) | st.none(),
            "toolUsePromptTokenCount": st.integers(-5, 99) | st.none(),
            **dict.fromkeys(
                ("promptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails"),
                st.lists(
                    st.fixed_dictionaries(
                        {
                            "modality": st.sampled_from(["TEXT", "AUDIO", "IMAGE", "NEW", 4, None, ["x"]]),
                            "tokenCount": st.integers(-5, 200) | st.none(),
                        }
                    ),
                    max_size=3,
                ),
            ),
        },
    )
)
def test_buckets_never_count_more_or_less_than_the_provider(said):
    usage = parse(**said)

    def told(name: str) -> int:
        return max(said.get(name) or 0, 0)

    assert usage is not None
    assert all(tokens >= 0 for tokens in msgspec.structs.astuple(usage))
    assert usage.input_total == told("promptTokenCount") + told("toolUsePromptTokenCount")
    assert usage.output_total == told("candidatesTokenCount") + told("thoughtsTokenCount")


@pytest.mark.parametrize(
    ("said", "tier"),
    [
        (b'{"serviceTier": "standard"}', ""),
        (b'{"serviceTier":"unspecified"}', ""),
        (b'{"serviceTier" : "flex"}', "flex"),
        (b'{"serviceTier":"PRIORITY"}', "priority"),
        (b'{"trafficType": "ON_DEMAND"}', ""),
        (b'{"trafficType":"TRAFFIC_TYPE_UNSPECIFIED"}', ""),
        (b'{"trafficType": 1}', ""),
        (b'{"trafficType":"ON_DEMAND_FLEX"}', "flex"),
        (b'{"trafficType":"ON_DEMAND_PRIORITY"}', "priority"),
        (b'{"trafficType":"PROVISIONED_THROUGHPUT"}', "provisioned_throughput"),
        (b"", ""),
    ],
)
def test_an_unusual_way_to_be_served_is_named(said, tier):
    assert service_tier(said) == tier
