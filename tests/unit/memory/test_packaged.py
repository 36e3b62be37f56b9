from __future__ import annotations

import hashlib

import pytest

from memory.errors import EmbedderAway
from memory.packaged import checked, installed, sha256_of


def test_a_file_is_returned_if_it_is_the_known_one(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert sha256_of(path) == digest
    assert checked(path, digest) == path
    with pytest.raises(EmbedderAway) as refused:
        checked(path, hashlib.sha256(b"others").hexdigest())
    assert refused.value.code == "embedder_changed"


def test_a_package_or_file_that_is_missing_is_said(tmp_path):
    with pytest.raises(EmbedderAway) as refused:
        installed("no_such_package_here", "x")
    assert refused.value.code == "embedder_not_installed"
    with pytest.raises(EmbedderAway) as refused:
        checked(tmp_path / "nothing", "")
    assert refused.value.code == "embedder_not_installed"


def test_a_package_is_found_without_being_imported():
    assert installed("msgspec", "py.typed").exists()
