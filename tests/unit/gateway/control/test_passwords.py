"""Passwords as they are kept."""

from __future__ import annotations

import pytest

from gateway.control.passwords import LEAST, MOST, Passwords
from gateway.errors import BadRequest


async def test_a_password_is_hashed_with_argon2id_and_fits_itself_only() -> None:
    passwords = Passwords()
    kept = await passwords.hash("correct horse battery")

    assert kept.startswith("$argon2id$")
    assert await passwords.fits("correct horse battery", kept)
    assert not await passwords.fits("correct horse batterY", kept)
    assert not await passwords.fits("correct horse battery", "damaged")


async def test_who_has_none_cannot_get_in_with_any() -> None:
    passwords = Passwords()

    for guess in ("", "nobody", "x" * (MOST + 1)):
        assert not await passwords.fits(guess, "")


@pytest.mark.parametrize("length", [0, LEAST - 1, MOST + 1])
async def test_a_password_has_a_sensible_length(length: int) -> None:
    with pytest.raises(BadRequest):
        await Passwords().hash("x" * length)
