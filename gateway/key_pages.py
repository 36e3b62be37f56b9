"""How virtual keys come from the hub to the workers: in sealed pages, over the link and in a file.

A page holds the keys that changed after one revision up to another, so pages that follow each other without a gap
make a whole. One that begins after revision 0 begins anew. The file is for workers that start while there is no
hub: pages are only added to it, and whoever cuts it short or repeats a page breaks the chain there.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from gateway.principal import Memory, Scope, Store

TOPIC = "keys"
"""Pushed by the hub: a sealed page, whenever something changed and now and then."""
SINCE = "keys.since"
"""Takes a `Position`; answers with the sealed page that follows it, or None if no key was ever issued."""
PAGE_ROWS = 200
"""A worker takes so many in less than a millisecond."""

_ABOUT = b"tidegate keys 1"
_NONCE = 12
_LENGTH = struct.Struct(">I")


class BadPage(Exception):
    """Bytes that are no page of this installation."""


class KeyRow(msgspec.Struct, frozen=True, array_like=True):
    """What a worker needs to know of a key."""

    id: str
    project: str
    environment: str
    owner: str
    scopes: tuple[Scope, ...]
    models: tuple[str, ...]
    users: tuple[str, ...]
    surfaces: tuple[str, ...]
    memory: Memory
    store: Store
    serve_stale: bool
    revoked: bool
    secrets: tuple[tuple[bytes, int], ...]
    """SHA-256 of each, and when it ends in microseconds; 0: never."""
    team: str = ""


class Position(msgspec.Struct, frozen=True):
    """Up to where somebody knows the keys. The epoch tells one database from another."""

    epoch: str = ""
    revision: int = 0


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that changed after `after` up to `revision`, as the hub knew them at `issued_us`."""

    epoch: str
    after: int
    revision: int
    issued_us: int
    rows: tuple[KeyRow, ...] = ()
    more: bool = False
    """Another page follows at once; a new beginning counts when the last one is there."""


class Sealer:
    """Encrypts pages so that only this installation can read them, or make any. `secret` is its own."""

    def __init__(self, secret: bytes) -> None:
        # Not at the top: 8 MB and 8 ms that a worker without virtual keys does not spend.
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        self._bad = InvalidTag
        self._cipher = AESGCM(hashlib.blake2b(secret, person=b"key-pages", digest_size=32).digest())

    def seal(self, page: Page) -> bytes:
        """Return the page as it travels."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, msgspec.msgpack.encode(page), _ABOUT)

    def unseal(self, sealed: bytes) -> Page:
        """Read it back; raise BadPage."""
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _ABOUT)
            return _decode(plain)
        except (self._bad, ValueError, msgspec.MsgspecError) as error:
            raise BadPage("sealed by another installation, or damaged") from error


_decode = msgspec.msgpack.Decoder(Page).decode


def read_file(path: Path, sealer: Sealer) -> Iterator[Page]:
    """Yield the file's pages up to the first that is cut or foreign; none if there is no file."""
    try:
        content = path.read_bytes()
    except OSError:
        return
    start = 0
    while start + _LENGTH.size <= len(content):
        (length,) = _LENGTH.unpack_from(content, start)
        start += _LENGTH.size
        try:
            yield sealer.unseal(content[start : start + length])
        except BadPage:
            return
        start += length


class PageFile:
    """The hub's end of the file; only its owner may read it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._most = 0

    def remove(self) -> None:
        """Take it away: there are no keys any more."""
        self._path.unlink(missing_ok=True)

    @property
    def overgrown(self) -> bool:
        """Whether it is time to write it anew."""
        return self._path.stat().st_size > self._most

    def rewrite(self, pages: Iterable[bytes]) -> None:
        """Replace it by these sealed pages, whole or not at all. May raise OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            for page in pages:
                out.write(_LENGTH.pack(len(page)) + page)
            out.flush()
            os.fsync(out.fileno())
            self._most = 2 * out.tell() + _SLACK
        draft.replace(self._path)

    def append(self, page: bytes) -> None:
        """Add a sealed page, whole or not at all; it is on the disk when this returns. May raise OSError."""
        with self._path.open("r+b", buffering=0) as out:
            end = out.seek(0, os.SEEK_END)
            try:
                written = out.write(_LENGTH.pack(len(page)) + page)
                if written != _LENGTH.size + len(page):
                    raise OSError("the disk is full")
                os.fsync(out.fileno())
            except OSError:
                out.truncate(end)
                raise


_SLACK = 1 << 20
"""Bytes of pages that may be added before the file is written anew, beside its own size."""
