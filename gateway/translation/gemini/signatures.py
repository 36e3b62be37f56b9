"""Signatures of thoughts, which this format keeps as base64 in `thoughtSignature`.

One that another family made goes to the client as the base64 of `tg:<family>:<signature>`: its SDK takes only
base64, decodes it, and may write it again in the other alphabet (google-genai 3.4.0).
"""

from __future__ import annotations

import base64
import binascii

from gateway.translation.conversation import Family
from gateway.translation.signatures import seal, unseal

UNCHECKED = "skip_thought_signature_validator"
"""Takes the place of a signature that Gemini 3 wants to see and nobody has.
Source: https://ai.google.dev/gemini-api/docs/thought-signatures, FAQ (2026-11)."""

_UNCHECKED_ENCODED = base64.b64encode(UNCHECKED.encode()).decode()
_SEALED = "dGc6"
"""`tg:` in base64."""
_URLSAFE = str.maketrans("-_", "+/")


def standard(data: str) -> str:
    """Return base64 in the usual alphabet: Google takes both, and its Python client writes the other."""
    if "-" in data or "_" in data:
        data = data.translate(_URLSAFE)
    return data + "=" * (-len(data) % 4)


def read(said: str | None) -> tuple[str, Family]:
    """Return a signature and whose it is."""
    if not said or said in (UNCHECKED, _UNCHECKED_ENCODED):
        return "", ""
    if said.startswith(_SEALED):
        try:
            signature, origin, _ = unseal(base64.b64decode(standard(said), validate=True).decode(), "gemini")
        except (binascii.Error, UnicodeDecodeError):
            return said, "gemini"
        return (said if origin == "gemini" else signature), origin
    return said, "gemini"


def write(signature: str, origin: Family) -> str | None:
    """Return what a client gets to carry back; None if that is no use to anybody."""
    if not signature or not origin:
        return None
    if origin == "gemini":
        return signature
    return base64.b64encode(seal(signature, origin, "gemini").encode()).decode()
