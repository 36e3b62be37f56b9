from __future__ import annotations

import pytest

from gateway.translation.bedrock.makers import caches, like_claude, maker_of


@pytest.mark.parametrize(
    ("model", "maker"),
    [
        ("anthropic.claude-sonnet-4-20250514-v1:0", "anthropic"),
        ("us.anthropic.claude-sonnet-5", "anthropic"),
        ("global.amazon.nova-2-lite-v1:0", "amazon"),
        ("us-gov.anthropic.claude-3-7-sonnet-20250219-v1:0", "anthropic"),
        ("openai.gpt-oss-120b-1:0", "openai"),
        ("mistral.mistral-large-2402-v1:0", "mistral"),
        ("arn:aws:bedrock:us-east-1::foundation-model/meta.llama3-8b-instruct-v1:0", "meta"),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0", "amazon"),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6", ""),
        ("my-model", ""),
    ],
)
def test_the_maker_is_read_from_the_id(model, maker):
    assert maker_of(model) == maker


def test_an_unknown_maker_is_taken_for_the_one_whose_thoughts_would_be_missed():
    assert like_claude("")
    assert caches("")
    assert not like_claude("amazon")
    assert not caches("meta")
