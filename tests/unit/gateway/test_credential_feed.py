"""Keys of providers as a worker opens them."""

from __future__ import annotations

import logging

import pytest

from gateway.credential_feed import PURPOSE, opened
from gateway.master_key import BadMasterKey, derive
from gateway.sealing import Seal
from gateway.settings import ProviderSettings

MASTER = b"m" * 32
KNOWN = {"openai": ProviderSettings(base_url="https://x.example", api_key="old", prefixes=("gpt-",))}


def seal(provider: str, secret: str) -> str:
    return Seal(derive(MASTER, PURPOSE)).seal(secret.encode(), provider.encode()).hex()


def none() -> bytes:
    raise BadMasterKey("there is none")


def test_a_key_that_was_set_wins_and_the_rest_stays() -> None:
    found = opened({"openai": seal("openai", "new"), "groq": seal("groq", "other")}, KNOWN, lambda: MASTER)

    assert (found["openai"].api_key, found["openai"].base_url) == ("new", "https://x.example")
    assert found["groq"] == ProviderSettings(api_key="other")
    assert KNOWN["openai"].api_key == "old"


def test_without_any_the_master_key_is_not_asked_for() -> None:
    assert opened({}, KNOWN, none) is KNOWN


@pytest.mark.parametrize("sealed", [{"openai": "zz"}, {"openai": seal("groq", "x")}, {"openai": ""}])
def test_what_cannot_be_opened_changes_nothing_and_is_said(
    sealed: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert opened(sealed, KNOWN, lambda: MASTER) == KNOWN
        assert opened(sealed, KNOWN, none) == KNOWN
    assert [record.message for record in caplog.records] == ["credential_refused", "credentials_sealed"]
