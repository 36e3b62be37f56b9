"""Whose words are sealed, and that whoever reads them need not know."""

from __future__ import annotations

import pytest

from gateway.master_key import BadMasterKey
from gateway.seals import Seals
from gateway.settings import Encryption
from telemetry.sealed import PREFIX

KEY = b"m" * 32


def seals(*projects: str, key: bytes = KEY) -> Seals:
    return Seals(Encryption(projects=projects), lambda: key)


def test_words_of_the_named_projects_are_sealed_and_no_others() -> None:
    some = seals("red", "blue-*")
    for project in ("red", "blue-1"):
        sealed = some.seal(project, b"words")
        assert sealed.startswith(PREFIX)
        assert sealed.isascii()
        assert b"words" not in sealed
        assert some.open(sealed) == b"words"
    assert some.seal("green", b"words") == b"words"


def test_what_was_sealed_can_be_read_after_its_project_is_no_longer_named() -> None:
    sealed = seals("red").seal("red", b"words")
    assert seals().open(sealed) == b"words"


@pytest.mark.parametrize(
    "said",
    [b"plain", b"", PREFIX, PREFIX + b"x", PREFIX + b"cmVk:AAAA", PREFIX + b"%%:%%", PREFIX + b"/w==:AAAA"],
)
def test_what_cannot_be_opened_stays_as_it_is(said: bytes) -> None:
    assert seals("red").open(said) == said


def test_another_master_key_or_project_opens_nothing() -> None:
    sealed = seals("red").seal("red", b"words")
    assert seals("red", key=b"n" * 32).open(sealed) == sealed
    moved = sealed.replace(b"cmVk:", b"Ymx1ZQ==:")
    assert moved != sealed
    assert seals("red").open(moved) == moved


def test_nothing_is_asked_of_the_master_key_before_it_is_needed() -> None:
    def gone() -> bytes:
        raise BadMasterKey("gone")

    none = Seals(Encryption(), gone)
    assert none.seal("red", b"words") == none.open(b"words") == b"words"
    sealed = seals("red").seal("red", b"words")
    assert none.open(sealed) == sealed
    with pytest.raises(BadMasterKey):
        Seals(Encryption(projects=("red",)), gone).seal("red", b"words")


def test_a_sealed_name_is_found_again_by_whoever_has_the_key() -> None:
    digest = seals("red").digest("red", b"rex")
    assert digest == seals().digest("red", b"rex"), "sealed or not, what was noted before is found"
    assert len({digest, seals().digest("red", b"max"), seals().digest("blue", b"rex")}) == 3
    assert digest != seals(key=b"n" * 32).digest("red", b"rex")


def test_sealed_words_that_somebody_copied_into_an_open_project_stay_sealed() -> None:
    some = seals("red")
    stolen = some.seal("red", b"words")
    kept = some.seal("green", stolen)
    assert kept == b" " + stolen
    assert some.open(kept) == kept
