"""Sealed pages, and the file they are kept in."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.key_pages import BadPage, PageFile, Sealer, read_file
from tests.fakes.keys import SEAL, page, row

PAGES = [
    page(0, 1, row("k1", "a"), more=True),
    page(1, 2, row("k2", "b")),
    page(2, 3, row("k1", "a", revoked=True)),
]


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(SEAL)


@pytest.fixture
def path(tmp_path: Path, sealer: Sealer) -> Path:
    file = PageFile(tmp_path / "keys.sealed")
    file.rewrite([sealer.seal(PAGES[0]), sealer.seal(PAGES[1])])
    file.append(sealer.seal(PAGES[2]))
    return tmp_path / "keys.sealed"


def test_what_was_sealed_is_read_back_and_says_nothing_to_others(sealer: Sealer) -> None:
    sealed = sealer.seal(PAGES[1])

    assert sealer.unseal(sealed) == PAGES[1]
    assert b"k2" not in sealed
    assert sealer.seal(PAGES[1]) != sealed


def test_foreign_damaged_and_cut_pages_are_refused(sealer: Sealer) -> None:
    sealed = sealer.seal(PAGES[0])
    for bad in (
        Sealer(b"t" * 32).seal(PAGES[0]),
        sealed[:-1],
        sealed[:20] + b"x" + sealed[21:],
        b"",
        sealed[:12],
    ):
        with pytest.raises(BadPage):
            sealer.unseal(bad)


def test_the_file_holds_pages_in_their_order_for_its_owner_only(path: Path, sealer: Sealer) -> None:
    assert list(read_file(path, sealer)) == PAGES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_cut_anywhere_yields_the_pages_before(path: Path, sealer: Sealer) -> None:
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        found = list(read_file(path, sealer))
        assert found == PAGES[: len(found)]
        assert len(found) < len(PAGES)


def test_there_need_not_be_a_file(tmp_path: Path, sealer: Sealer) -> None:
    assert list(read_file(tmp_path / "none", sealer)) == []


def test_a_file_that_grew_much_beyond_its_beginning_is_overgrown(tmp_path: Path) -> None:
    file = PageFile(tmp_path / "keys.sealed")
    file.rewrite([b"x"])
    overgrown = [file.overgrown]
    file.append(b"x" * ((1 << 20) + 10))
    overgrown.append(file.overgrown)
    file.rewrite([b"x"])
    assert [*overgrown, file.overgrown] == [False, True, False]


def test_what_cannot_be_added_leaves_the_file_as_it_was(path: Path, sealer: Sealer) -> None:
    before = path.read_bytes()
    path.rename(path.with_suffix(".away"))
    with pytest.raises(OSError, match="No such file"):
        PageFile(path).append(sealer.seal(PAGES[0]))
    assert path.with_suffix(".away").read_bytes() == before
