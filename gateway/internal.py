"""Calls that the house makes to itself, over its own public door: how they show who they are.

Only whoever can read the installation's secret can make the token. Such a call is made on behalf of a user: it counts
in that user's project and environment and for their event, it neither reads nor writes memories, and it is outside
what limits clients.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from gateway.errors import Unauthenticated
from gateway.principal import Principal

PREFIX = "tgi-"
"""How the token begins; no other key does."""
BEHALF = b"x-tidegate-internal"
KEY_ID = "internal:memory"


class Behalf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """On whose behalf: what a header says as JSON, its values percent-encoded."""

    project: str
    environment: str


def token_of(secret: bytes) -> str:
    """Return the token that goes with an installation's secret."""
    return PREFIX + hmac.digest(secret, b"internal calls", "sha256").hex()


def internal_principal(token: str, wanted: str, headers: Mapping[bytes, bytes]) -> Principal:
    """Return the principal of a call of the house's own; raise Unauthenticated."""
    if not hmac.compare_digest(token.encode("utf-8", "surrogateescape"), wanted.encode()):
        raise Unauthenticated("incorrect API key provided: tgi-***. It is not this house's")
    try:
        behalf = msgspec.json.decode(headers.get(BEHALF, b""), type=Behalf)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unauthenticated("an internal call says on whose behalf it is made") from error
    return Principal(
        key_id=KEY_ID,
        project=unquote(behalf.project),
        environment=unquote(behalf.environment),
        scopes=("call",),
        memory="off",
        internal=True,
    )
