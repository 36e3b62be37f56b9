"""The key of all keys: kept once, read by nobody else, never guessed."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from gateway.master_key import FILE, VARIABLE, BadMasterKey, derive, master_key

KEY = bytes(range(32))


def test_a_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made = master_key(folder, {})
    assert len(made) == 32
    assert master_key(folder, {}) == made
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [FILE]


@pytest.mark.parametrize("said", [KEY.hex(), f" {KEY.hex()}\n", base64.b64encode(KEY).decode()])
def test_the_variable_wins_and_leaves_no_file(tmp_path: Path, said: str) -> None:
    assert master_key(tmp_path, {VARIABLE: said}) == KEY
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", ["short", KEY.hex()[:-2], "z" * 64, "hunter2" * 6])
def test_what_is_no_key_is_refused_without_being_repeated(tmp_path: Path, said: str) -> None:
    with pytest.raises(BadMasterKey) as refused:
        master_key(tmp_path, {VARIABLE: said})
    assert said not in str(refused.value)
    (tmp_path / FILE).write_text(said)
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(BadMasterKey):
        master_key(tmp_path, {})


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    master_key(tmp_path, {})
    (tmp_path / FILE).chmod(0o644)
    with pytest.raises(BadMasterKey, match="chmod 600"):
        master_key(tmp_path, {})


def test_without_a_place_to_keep_it_there_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadMasterKey, match=VARIABLE):
        master_key(tmp_path / "file" / "folder", {})


def test_every_purpose_and_project_has_a_key_of_its_own() -> None:
    keys = {
        derive(KEY, "a"),
        derive(KEY, "b"),
        derive(KEY, "a", about="p"),
        derive(KEY, "a", about="q"),
        derive(os.urandom(32), "a"),
    }
    assert len(keys) == 5
    assert {len(key) for key in keys} == {32}
    assert derive(KEY, "a", about="p") == derive(KEY, "a", about="p")
