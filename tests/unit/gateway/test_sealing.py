"""Seals: what is inside, and for what, cannot be changed unseen."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sealing import BadSeal, Seal

SEAL = Seal(b"k" * 32)


@settings(max_examples=50)
@given(st.binary(max_size=200), st.binary(max_size=20))
def test_what_was_sealed_comes_out_again(plain: bytes, about: bytes) -> None:
    sealed = SEAL.seal(plain, about)
    assert SEAL.open(sealed, about) == plain
    assert len(sealed) == len(plain) + 29


def test_the_same_words_never_look_the_same() -> None:
    assert SEAL.seal(b"words") != SEAL.seal(b"words")


@pytest.mark.parametrize("place", [0, 1, 13, 20, -1])
def test_no_byte_can_be_changed(place: int) -> None:
    sealed = bytearray(SEAL.seal(b"some words"))
    sealed[place] ^= 1
    with pytest.raises(BadSeal):
        SEAL.open(bytes(sealed))


def test_it_opens_for_its_own_key_and_place_only() -> None:
    sealed = SEAL.seal(b"words", b"here")
    for seal, about in ((SEAL, b"there"), (Seal(os.urandom(32)), b"here")):
        with pytest.raises(BadSeal):
            seal.open(sealed, about)
    for short in (b"", b"\x01", sealed[:10]):
        with pytest.raises(BadSeal):
            SEAL.open(short, b"here")
