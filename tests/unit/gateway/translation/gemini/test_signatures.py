from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translation.gemini import signatures


@given(st.text(min_size=1), st.sampled_from(["anthropic", "openai", "bedrock"]))
def test_a_foreign_signature_survives_a_client_that_writes_base64_in_either_alphabet(signature, family):
    written = signatures.write(signature, family)

    assert written is not None
    data = base64.b64decode(written, validate=True)
    for again in (written, base64.urlsafe_b64encode(data).decode(), written.rstrip("=")):
        assert signatures.read(again) == (signature, family)


@pytest.mark.parametrize("said", ["CgYKAQ==", "dGc6", "dGc6bm9ib2R5OnNpZw==", "dGc6!"])
def test_what_nobody_sealed_is_geminis_own_and_stays_as_it_is(said):
    assert signatures.read(said) == (said, "gemini")
    assert signatures.write(said, "gemini") == said


@pytest.mark.parametrize(
    "said", [None, "", signatures.UNCHECKED, base64.b64encode(signatures.UNCHECKED.encode()).decode()]
)
def test_what_stands_for_a_missing_signature_is_none(said):
    assert signatures.read(said) == ("", "")


def test_a_signature_of_nobody_is_not_written():
    assert signatures.write("c2ln", "") is None
