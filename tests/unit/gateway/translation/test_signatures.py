"""Signatures of others in a field of one's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translation.conversation import Family
from gateway.translation.signatures import seal, seal_call, unseal


@given(st.text(min_size=1).filter(lambda text: not text.startswith(("tg:", "call:"))), st.booleans())
def test_what_was_sealed_comes_back(signature, foreign):
    origin: Family = "gemini" if foreign else "anthropic"

    assert unseal(seal(signature, origin, "anthropic"), "anthropic") == (signature, origin, False)


def test_the_own_family_sees_its_signature_unchanged():
    assert seal("EuYB:x==", "anthropic", "anthropic") == "EuYB:x=="


def test_a_calls_signature_is_told_from_a_thoughts():
    assert unseal(seal_call("c2ln", "gemini"), "anthropic") == ("c2ln", "gemini", True)


@pytest.mark.parametrize("odd", ["tg:", "tg:nobody:x", "tg:x", "tg::x"])
def test_what_only_looks_sealed_is_an_own_signature(odd):
    assert unseal(odd, "anthropic") == (odd, "anthropic", False)


def test_nothing_is_nobodys():
    assert unseal("", "anthropic") == ("", "", False)
    assert seal("", "openai", "anthropic") == ""
