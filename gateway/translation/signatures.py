"""Signatures of one family on their way through the fields of another, whose clients bring them back as they are."""

from __future__ import annotations

from typing import get_args

from gateway.translation.conversation import Family

_PREFIX = "tg:"
_CALL = "call:"
_FAMILIES: dict[str, Family] = {family: family for family in get_args(Family) if family}


def seal(signature: str, origin: Family, own: Family) -> str:
    """Return the signature of a thought for a client of `own`, whose signatures stay as they are."""
    if not signature or origin in ("", own):
        return signature
    return f"{_PREFIX}{origin}:{signature}"


def seal_call(signature: str, origin: Family) -> str:
    """Return the signature of a call, for a format that has no place for it but a thought before the call."""
    return f"{_PREFIX}{origin}:{_CALL}{signature}"


def unseal(sealed: str, own: Family) -> tuple[str, Family, bool]:
    """Return the signature, whose it is, and whether it belongs to the call that follows."""
    if not sealed:
        return "", "", False
    family, colon, signature = sealed.removeprefix(_PREFIX).partition(":")
    if not sealed.startswith(_PREFIX) or not colon or family not in _FAMILIES:
        return sealed, own, False
    return signature.removeprefix(_CALL), _FAMILIES[family], signature.startswith(_CALL)
