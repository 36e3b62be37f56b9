"""The key under which everything that is sealed at rest lies: whoever loses it loses that.

It comes from the environment, or else is made once and kept in the data folder, readable by its owner only. Nobody
seals with it itself: each purpose has a key derived from it (HKDF with SHA-256, RFC 5869, May 2010).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import os
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "TIDEGATE_MASTER_KEY"
FILE = "master-key"
KEY_BYTES = 32

_SALT = b"tidegate master key 1"
_SHAPE = "32 random bytes as 64 hex digits or as base64 (`openssl rand -hex 32`)"


class BadMasterKey(Exception):
    """There is no master key that could be used; the message says what to do, and never holds the key."""


def master_key(folder: Path, environment: Mapping[str, str]) -> bytes:
    """Return the installation's 32 bytes: the variable's, else those of the file in `folder`, made if there is none.

    Raises BadMasterKey. Never a key that is not kept: what it sealed could not be opened again.
    """
    if said := environment.get(VARIABLE, "").strip():
        return read_key(said, VARIABLE)
    path = folder / FILE
    try:
        if not path.exists():
            _make(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise BadMasterKey(f"{path} can be read by others; `chmod 600` it, or set {VARIABLE}")
        return read_key(path.read_text("ascii", errors="replace").strip(), str(path))
    except OSError as error:
        raise BadMasterKey(f"{path} cannot be read or made: {error.strerror}; set {VARIABLE}") from error


def derive(master: bytes, purpose: str, *, about: str = "") -> bytes:
    """Return the 32 bytes for one purpose, and for one project or the like if `about` says which."""
    extracted = hmac.digest(_SALT, master, "sha256")
    return hmac.digest(extracted, f"{purpose}\0{about}".encode() + b"\1", "sha256")


def read_key(text: str, place: str) -> bytes:
    """Return the key that is written there; raise BadMasterKey."""
    with contextlib.suppress(ValueError, binascii.Error):
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
        if len(key) == KEY_BYTES:
            return key
    raise BadMasterKey(f"{place} does not hold a master key; give {_SHAPE}")


def _make(path: Path) -> None:
    """Put a fresh key there, whole or not at all; of several processes the first one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(os.urandom(KEY_BYTES).hex() + "\n")
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
