"""Seals bytes so that only who has the key can read them, and nobody can change or move them unseen."""

from __future__ import annotations

import os

_FORM = b"\x01"
"""Of AES-256-GCM with a nonce of 12 bytes before and a tag of 16 behind."""
_NONCE = 12


class BadSeal(Exception):
    """Bytes that were not sealed with this key, for this place."""


class Seal:
    """One key of 32 bytes, as `master_key.derive` makes them.

    `about` is not stored: it says what the bytes are for, and must be the same when they are opened.
    """

    def __init__(self, key: bytes) -> None:
        # Not at the top: 8 MB and 8 ms that a process without anything sealed does not spend.
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        self._bad = InvalidTag
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, about: bytes = b"") -> bytes:
        """Return them as they are kept, 29 bytes longer."""
        nonce = os.urandom(_NONCE)
        return _FORM + nonce + self._cipher.encrypt(nonce, plain, about)

    def open(self, sealed: bytes, about: bytes = b"") -> bytes:
        """Return the plain bytes; raise BadSeal."""
        if sealed[:1] != _FORM:
            raise BadSeal("not sealed in a form that is known here")
        try:
            return self._cipher.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], about)
        except (self._bad, ValueError) as error:
            raise BadSeal("sealed with another key or for another place, or damaged") from error
