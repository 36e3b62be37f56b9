"""What names an answer: everything that could have made it another one, or another tenant's."""

from __future__ import annotations

import hashlib

import msgspec

from gateway.exchange import Exchange
from gateway.settings import Guardrail

_FORM = 1
"""Of what goes into a key."""
_READS = ("on", "read")
"""Memory switches with which an answer may depend on its user."""
_TELLING = (b"anthropic-", b"openai-")
"""Headers that go to the provider and change what it answers begin so."""

_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_unreadable = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def key_of(exchange: Exchange, guardrails: tuple[Guardrail, ...]) -> bytes | None:
    """Return the name of the answer to this call, 32 bytes; None if its body cannot be read.

    The tenant is project and environment, in open mode the client's own key as well, and the user where memory is
    read. The body is the one that goes out, memories included; the order of its fields means nothing.
    """
    peek, principal, identity = exchange.peek, exchange.principal, exchange.identity
    assert peek is not None, "the request was read"
    body = exchange.enriched or exchange.adapted or exchange.body
    try:
        fields = _objects.decode(body)
    except _unreadable:
        return None
    reads = exchange.memory_switch in _READS
    said = [
        _FORM,
        principal.project,
        identity.environment,
        principal.key_id if principal.open else "",
        (identity.user_id, identity.agent_id) if reads else None,
        exchange.wire.surface,
        exchange.wire.stream_type,
        exchange.route,
        exchange.variant,
        peek.model,
        peek.stream,
        exchange.query,
        sorted((name, value) for name, value in exchange.headers.items() if name.startswith(_TELLING)),
        sorted((name, bytes(value)) for name, value in fields.items() if name not in peek.control),
        msgspec.msgpack.encode(guardrails),
    ]
    return hashlib.blake2b(msgspec.msgpack.encode(said), digest_size=32, person=b"tidegate-answers").digest()
