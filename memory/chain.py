"""Which turns of a conversation are new: clients send the whole history again with every call.

Each user turn is a node whose name is a keyed hash of its predecessor's name and its own content. So a history
sent again names the same nodes, while the same words said twice are two nodes. Only users' turns are chained:
a system prompt with the time of day in it, or a trimmed answer, must not make old turns look new.
"""

from __future__ import annotations

import hmac
import unicodedata
import uuid
from collections.abc import Sequence
from typing import Protocol

_SPACE = uuid.UUID("5f0c3f2e-6a53-5d0e-9c59-0c6d3a0d7a11")
_LEAST_OVERLAP = 2
"""Turns that must agree before a history that begins elsewhere is taken for the rest of a known one."""


class Trail(Protocol):
    """The nodes of one conversation, or of one scope if conversations have no name."""

    def knows(self, node: bytes) -> bool:
        """Say whether the node is there."""
        ...

    def places(self, content: bytes) -> Sequence[bytes]:
        """Return the latest nodes with this content."""
        ...

    def is_last(self, node: bytes) -> bool:
        """Say whether nothing was said after it."""
        ...


def content_of(key: bytes, text: str) -> bytes:
    """Name a turn by its words alone."""
    return _keyed(key, b"content", unicodedata.normalize("NFC", text).strip().encode())


def root_of(key: bytes, scope: bytes, thread_id: str) -> bytes:
    """Name the beginning of a thread's chain."""
    return _keyed(key, b"root", scope + b"\0" + thread_id.encode())


def id_of(node: bytes) -> str:
    """Return the id of the memory that a turn becomes: the same for every delivery of the turn."""
    return str(uuid.uuid5(_SPACE, node.hex()))


def after(key: bytes, node: bytes, content: bytes) -> bytes:
    """Name the turn with this content that follows `node`."""
    return _keyed(key, b"after", node + content)


def align(
    key: bytes, root: bytes, contents: Sequence[bytes], trail: Trail, *, named: bool
) -> tuple[int, bytes]:
    """Return how many leading turns are known, and the node after which the others follow.

    A client may drop its oldest turns; then the first turn stands somewhere inside a known chain, and the
    longest agreement wins. `named`: the chain is one thread's, so agreeing with its last turn is enough.
    """
    best = _walk(key, root, contents, trail)
    if not contents or best[0] == len(contents):
        return best
    for place in trail.places(contents[0]):
        more, end = _walk(key, place, contents[1:], trail)
        length = 1 + more
        enough = length >= _LEAST_OVERLAP or (named and len(contents) > 1 and trail.is_last(end))
        if enough and length > best[0]:
            best = length, end
    return best


def _walk(key: bytes, start: bytes, contents: Sequence[bytes], trail: Trail) -> tuple[int, bytes]:
    node = start
    for position, content in enumerate(contents):
        following = after(key, node, content)
        if not trail.knows(following):
            return position, node
        node = following
    return len(contents), node


def _keyed(key: bytes, purpose: bytes, data: bytes) -> bytes:
    return hmac.digest(key, purpose + b"\0" + data, "sha256")[:16]
