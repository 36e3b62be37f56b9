"""Keys, tokens and passwords, by their shape: the same ones that are kept out of the journal."""

from __future__ import annotations

from gateway.guardrails.base import Match
from telemetry.redact import find_secrets

MOST_HELD = 8 * 1024
"""Characters; a private key may be that long."""
_PRIVATE_KEY = "-----BEGIN "
_KEY_NAMES = ("secretaccesskey", "secret_access_key")
_NAME_REACH = 24
"""A name, and what may stand between it and its secret."""


class Secrets:
    """Looks for secrets."""

    def find(self, text: str) -> list[Match]:
        """Return the secrets in a text."""
        body = text.encode("utf-8", "replace")
        found = find_secrets(body)
        if len(body) == len(text):
            return [Match(start, end, f"secret:{kind}") for start, end, kind in found]
        return [
            Match(len(body[:start].decode("utf-8", "replace")), _chars(body, end), f"secret:{kind}")
            for start, end, kind in found
        ]

    def open_from(self, text: str) -> int:
        """Hold the last two words, as one may introduce the other; a private key as long as it has not ended."""
        tail = text[-MOST_HELD:]
        begun = tail.rfind(_PRIVATE_KEY)
        if begun >= 0 and "-----END " not in tail[begun:]:
            return len(text) - len(tail) + begun
        words = tail.rsplit(None, 2)
        held = len(tail) - tail.rfind(words[-2]) if len(words) > 1 else len(tail)
        return len(text) - held


def _chars(body: bytes, end: int) -> int:
    return len(body[:end].decode("utf-8", "replace"))
