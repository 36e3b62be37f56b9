"""Tokens are counted with the vocabularies that are installed, and never fetched."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.budgets import tokenizer
from gateway.budgets.tokenizer import MOST_BYTES, Tokenizer, load, name_of


async def counted(one: Tokenizer, model: str, text: bytes) -> int:
    """Return the count as soon as there is one."""
    async with asyncio.timeout(30):
        while (found := await one.count(model, text)) is None:  # noqa: ASYNC110 - a thread reads it
            await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("claude-sonnet-4-5", ""),
    ],
)
def test_a_model_has_the_vocabulary_of_its_family(model: str, vocabulary: str) -> None:
    assert name_of(model) == vocabulary


async def test_short_and_long_texts_are_counted_once_the_vocabulary_is_read() -> None:
    one = Tokenizer()
    assert await one.count("gpt-4o", b"hello world") is None

    assert await counted(one, "gpt-4o", b"hello world") == 2
    assert await counted(one, "gpt-4o", b"hello world" + b" again" * 4000) == 4002
    assert await counted(one, "gpt-4o", b"<|endoftext|>") > 1


async def test_nobody_counts_what_is_of_another_family_or_far_too_long() -> None:
    one = Tokenizer()
    assert await one.count("claude-sonnet-4-5", b"x") is None
    assert await one.count("gpt-4o", b"x" * (MOST_BYTES + 1)) is None


def test_a_missing_vocabulary_is_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tokenizer, "_folder", lambda: tmp_path)
    assert load("o200k_base") is None
    monkeypatch.setattr(tokenizer, "_folder", lambda: None)
    assert load("o200k_base") is None
