"""What of a client's headers goes on to a provider, and what the gateway says there itself."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

from gateway.providers.base import Headers, Unchanging

MOST_KEPT = 256
LONGEST_KEPT = 4096
"""Bytes of names, or of all values, beyond which nothing is remembered."""

_CODINGS = (b"gzip", b"deflate")
_TYPE = b"content-type"
_ACCEPTED = b"accept-encoding"

Credential = Callable[[str], tuple[bytes, bytes]]
Pick = Callable[[dict[bytes, bytes]], object]


class Forwarding:
    """The headers of requests to one kind of API.

    A client's calls have the same headers with the same values, but for those that stay here. So what leaves is
    remembered by the names of all that came and the values of those that matter.
    """

    def __init__(
        self,
        names: frozenset[bytes],
        prefixes: tuple[bytes, ...],
        credential: Credential,
        defaults: Headers | None = None,
    ) -> None:
        self._names = names
        self._prefixes = prefixes
        self._credential = credential
        self._defaults = defaults or []
        """Said to the provider if the client does not."""
        self._matter = {_TYPE, _ACCEPTED, *dict(self._defaults)}
        """Decide what is said here, whether they leave or not."""
        self._picks: dict[tuple[bytes, ...], Pick] = {}
        """By the names of a client's headers: what reads those of them that matter."""
        self._kept: dict[tuple[Pick, object, str, bool], Unchanging] = {}

    def of(self, headers: dict[bytes, bytes], secret: str, stream: bool) -> Headers:  # noqa: FBT001 - the hot path
        """Return those of the client's headers that leave, the codings we can read, and the secret if there is one.

        Many calls share them: whoever wants to change them takes a copy.
        """
        names = tuple(headers)
        pick = self._picks.get(names) or self._pick(names)
        key = pick, pick(headers), secret, stream
        kept = self._kept.get(key)
        return kept if kept is not None else self._make(key, headers)

    def _leaves(self, name: bytes) -> bool:
        return name in self._names or name.startswith(self._prefixes)

    def _pick(self, names: tuple[bytes, ...]) -> Pick:
        matter = [name for name in names if name in self._matter or self._leaves(name)]
        pick: Pick = itemgetter(*matter) if matter else _nothing
        if sum(map(len, names)) <= LONGEST_KEPT:
            if len(self._picks) >= MOST_KEPT:
                self._picks.clear()
            self._picks[names] = pick
        return pick

    def _make(self, key: tuple[Pick, object, str, bool], headers: dict[bytes, bytes]) -> Headers:
        _, _, secret, stream = key
        made = Unchanging(pair for pair in headers.items() if self._leaves(pair[0]))
        if _TYPE not in headers:
            made.append((_TYPE, b"application/json"))
        accepted = headers.get(_ACCEPTED)
        made.append((_ACCEPTED, b"identity" if stream or accepted is None else _coding(accepted)))
        made += [pair for pair in self._defaults if pair[0] not in headers]
        if secret:
            made.append(self._credential(secret))
        if sum(len(name) + len(value) for name, value in made) + len(accepted or b"") <= LONGEST_KEPT:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = made
        return made


def _nothing(_: dict[bytes, bytes]) -> object:
    """Read nothing, as none of the headers matters."""
    return None


def _coding(accepted: bytes) -> bytes:
    """Reduce what the client accepts to what the gateway can read: gzip and deflate."""
    offers = [offer.replace(b" ", b"").lower() for offer in accepted.split(b",")]
    kept = [
        coding
        for coding in _CODINGS
        if any(
            o == coding or (o.startswith(coding + b";q=") and o[len(coding) + 3 :].strip(b"0."))
            for o in offers
        )
    ]
    return b", ".join(kept) or b"identity"
