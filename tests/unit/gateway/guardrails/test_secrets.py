"""Secrets in plain text."""

from __future__ import annotations

from gateway.guardrails.secrets import Secrets

KEY = "sk-proj-" + "Ab1" * 12


def test_a_secret_is_found_where_it_stands_between_any_letters() -> None:
    text = f"\u00fcber {KEY} \u2026"
    (match,) = Secrets().find(text)
    assert (text[match.start : match.end], match.kind) == (KEY, "secret:api_key")


def test_a_word_that_may_become_a_secret_is_held_with_the_word_before() -> None:
    text = f"the key is Bearer {KEY[:12]}"
    assert text[Secrets().open_from(text) :] == f"Bearer {KEY[:12]}"


def test_a_private_key_is_held_from_its_first_line_to_its_last() -> None:
    text = "look:\n-----BEGIN PRIVATE KEY-----\nMIIE AAAA BBBB\nCCCC"
    assert text[Secrets().open_from(text) :].startswith("-----BEGIN")
    whole = f"{text}\n-----END PRIVATE KEY-----\nand on we go"
    assert "BEGIN" not in whole[Secrets().open_from(whole) :]
