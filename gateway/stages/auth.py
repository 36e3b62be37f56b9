"""Who is asking, and whether this request may be answered at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.clock import SystemClock
from gateway.config import is_loopback
from gateway.errors import Forbidden, Unauthenticated
from gateway.internal import PREFIX, internal_principal
from gateway.keyring import Keyring
from gateway.principal import SCOPES, Principal
from gateway.settings import Settings

HOSTS_KEPT = 256
_KEY_HEADERS = (b"x-api-key", b"x-goog-api-key", b"api-key")
"""Where the clients of Anthropic, Gemini and Azure OpenAI put their key."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class Auth:
    """Knows the keys. Without any it is open mode: this machine only, and no web page but our own."""

    def __init__(
        self,
        settings: Settings,
        *,
        fingerprint_secret: bytes,
        keyring: Keyring | None = None,
        internal: str = "",
    ) -> None:
        """Take any keyring; `internal` is the token of the house's own calls."""
        self._keyring = keyring or Keyring(static_keys(settings), SystemClock())
        self.hold = self._keyring.hold
        """For how long what `admit` and `identify` said of a request counts for another with the same headers."""
        self.holds = self._keyring.holds
        self._may_open = is_loopback(settings.server.host)
        self._names = LOOPBACK_NAMES | {name.lower() for name in settings.server.names}
        self._origins = {origin.encode().lower() for origin in settings.cors.origins}
        self._secret = fingerprint_secret
        self._internal = internal
        self._hosts: set[bytes] = set()
        """Host headers that were found good; bounded, as ports differ."""

    @property
    def open(self) -> bool:
        """Whether anybody on this machine is let in: nobody was ever given a key."""
        return self._may_open and not self._keyring.issued and self._keyring.certain

    def admit(self, headers: dict[bytes, bytes]) -> bytes:
        """Return the Origin that may read the answer, or nothing; raise Forbidden.

        Open mode trusts whoever reaches it, so it must not be reached by a web page of a foreign
        origin, nor through a name that somebody else's DNS points at this machine.
        """
        origin = headers.get(b"origin", b"")
        if self.open:
            self._check_host(headers.get(b"host", b""))
        if not origin:
            return b""
        if origin.lower() in self._origins:
            return origin
        if self.open and origin.split(b"://")[-1].lower() != headers.get(b"host", b"").lower():
            raise Forbidden(
                f"the origin {origin.decode('latin-1')!r} is foreign: list it under cors.origins",
                code="origin_not_allowed",
                param="origin",
            )
        return b""

    def _check_host(self, header: bytes) -> None:
        if header in self._hosts:
            return
        host = _hostname(header.decode("latin-1"))
        if host not in self._names:
            raise Forbidden(
                f"open mode does not answer to the host {host!r}: use localhost, list the name under "
                "server.names, or configure keys",
                code="host_not_allowed",
                param="host",
            )
        if len(self._hosts) < HOSTS_KEPT:
            self._hosts.add(header)

    def identify(self, headers: dict[bytes, bytes]) -> tuple[Principal, str]:
        """Return the principal, and in open mode the client's own key; raise Unauthenticated, Unavailable."""
        key = shown_key(headers)
        if key.startswith(PREFIX) and self._internal:
            return internal_principal(key, self._internal, headers), ""
        if self.open:
            return Principal(key_id=self._fingerprint(key), open=True, scopes=SCOPES), key
        if not key:
            self._keyring.check_certain()
            raise Unauthenticated(
                "no API key: send one of this gateway's keys as `Authorization: Bearer tg-...`",
                code="missing_api_key",
            )
        principal = self._keyring.find(hashlib.sha256(key.encode()).digest())
        if principal is None:
            raise Unauthenticated(
                f"incorrect API key provided: {key[:4]}***. It is none of this gateway's keys"
            )
        return principal, ""

    def known(self, key_hash: str) -> Principal | None:
        """Return whose key has this SHA-256 (hex), if it is one of ours; raise Unauthenticated, Unavailable."""
        return self._keyring.find(bytes.fromhex(key_hash))

    def _fingerprint(self, key: str) -> str:
        if not key:
            return "open"
        # Keyed BLAKE2 is a MAC of its own (RFC 7693, section 2.9) and costs a third of an HMAC here.
        return "fp-" + hashlib.blake2b(key.encode(), key=self._secret, digest_size=8).hexdigest()


def static_keys(settings: Settings) -> Mapping[bytes, Principal]:
    """Return the keys of the settings, by the SHA-256 of their secrets."""
    return {
        bytes.fromhex(key.hash): Principal(
            key_id=key.name,
            project=key.project,
            environment=key.environment,
            owner=key.owner,
            team=key.team,
            store=key.store,
            scopes=key.scopes,
            models=key.models,
            users=key.users,
            surfaces=key.surfaces,
            memory=key.memory,
        )
        for key in settings.keys
    }


def shown_key(headers: dict[bytes, bytes]) -> str:
    """Return the key that the headers show; what else stands in `Authorization` is none."""
    value = headers.get(b"authorization", b"")
    scheme, _, token = value.partition(b" ")
    if scheme.lower() == b"bearer":
        return token.strip().decode("latin-1")
    for name in _KEY_HEADERS:
        if value := headers.get(name, b""):
            return value.decode("latin-1")
    return ""


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return host
