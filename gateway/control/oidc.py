"""Asks an OpenID Connect issuer who somebody is: the authorization code flow with PKCE.

Sources: OpenID Connect Core 1.0 (errata 2, 2023-12), sections 3.1.2 and 3.1.3.7; Discovery 1.0, section 4; RFC 7636.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import closing
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway.clock import Clock
from gateway.errors import GatewayError, Unauthenticated, UpstreamFailed
from gateway.people_calls import Journey, Return
from gateway.providers.base import Headers, Origin, Outgoing
from gateway.roles import Role
from gateway.settings import Oidc, Timeouts
from gateway.transport import Transport

DISCOVERY = "/.well-known/openid-configuration"
ALGORITHMS = ("RS256", "ES256")

_PATIENCE = Timeouts(connect_s=5, first_byte_s=10, idle_s=10, total_s=15)
_AT_MOST = 1 << 20
_UNDER_WAY = 1000
_WAIT_US = 10 * 60 * 1_000_000
_LEEWAY_S = 60
_KEYS_US = 3600 * 1_000_000

T = TypeVar("T")


class BadSignIn(GatewayError):
    """The way back from the issuer does not fit to one that was begun here."""

    status = 400
    code = "bad_sign_in"
    type = "invalid_request_error"


class IssuerAway(GatewayError):
    """The issuer does not answer as it should."""

    status = 502
    code = "issuer_away"


class Found(msgspec.Struct, frozen=True):
    """Whom the issuer named."""

    subject: str
    email: str
    name: str
    roles: dict[str, Role]


class _Discovered(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class _Begun(msgspec.Struct, frozen=True):
    to: str
    nonce: str
    verifier: str
    binding: str
    at_us: int


class Issuer:
    """One issuer. What is under way is kept here, so a restart of the hub means to begin anew."""

    def __init__(self, settings: Oidc, transport: Transport, clock: Clock, *, ca_file: str = "") -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._ca_file = ca_file
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._discovered: _Discovered | None = None
        self._keys: KeySet | None = None
        self._keys_until_us = 0

    @property
    def maps_roles(self) -> bool:
        """Whether roles follow from what the issuer says, each time somebody signs in."""
        return bool(self._settings.roles)

    async def begin(self, to: str) -> Journey:
        """Return where to send the browser."""
        found = await self._discover()
        state, nonce, verifier, binding = (secrets.token_urlsafe(32) for _ in range(4))
        while len(self._begun) >= _UNDER_WAY:
            self._begun.popitem(last=False)
        self._begun[state] = _Begun(to, nonce, verifier, binding, self._clock.now_us())
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_url,
            "scope": " ".join(self._settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        mark = "&" if "?" in found.authorization_endpoint else "?"
        return Journey(f"{found.authorization_endpoint}{mark}{urlencode(query)}", binding)

    async def end(self, back: Return) -> tuple[Found, str]:
        """Return who came back, and where they wanted to go; raise BadSignIn, IssuerAway, Unauthenticated."""
        begun = self._begun.pop(back.state, None)
        if begun is None or begun.at_us < self._clock.now_us() - _WAIT_US:
            raise BadSignIn("this sign-in was not begun here, or too long ago: begin again")
        if not hmac.compare_digest(begun.binding.encode(), back.binding.encode()):
            raise BadSignIn("this sign-in was begun in another browser: begin again")
        claims = await self._claims(await self._redeem(back.code, begun), begun)
        return self._found(claims), begun.to

    async def _redeem(self, code: str, begun: _Begun) -> str:
        found = await self._discover()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_url,
            "client_id": self._settings.client_id,
            "code_verifier": begun.verifier,
        }
        headers = [(b"content-type", b"application/x-www-form-urlencoded"), (b"accept", b"application/json")]
        if self._settings.client_secret:
            pair = (
                f"{quote(self._settings.client_id, safe='')}:{quote(self._settings.client_secret, safe='')}"
            )
            headers.append((b"authorization", b"Basic " + base64.b64encode(pair.encode())))
        return (await self._fetch(found.token_endpoint, _Tokens, headers, urlencode(form).encode())).id_token

    async def _claims(self, token: str, begun: _Begun) -> Mapping[str, Any]:
        """Return what a token says, once its signature and all that surrounds it was found right."""
        try:
            return self._checked(token, begun, await self._key_set())
        except JoseError:  # the issuer may have taken other keys since
            self._keys_until_us = 0
        try:
            return self._checked(token, begun, await self._key_set())
        except JoseError as error:
            raise Unauthenticated(
                f"the issuer's token is not good: {type(error).__name__}", code="bad_id_token"
            ) from error

    def _checked(self, token: str, begun: _Begun, keys: KeySet) -> Mapping[str, Any]:
        claims = jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims
        now_s = self._clock.now_us() // 1_000_000
        jwt.JWTClaimsRegistry(
            now_s,
            _LEEWAY_S,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": begun.nonce},
        ).validate(claims)
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise Unauthenticated("the issuer's token is for another program", code="bad_id_token")
        return claims

    def _found(self, claims: Mapping[str, Any]) -> Found:
        email, said = claims.get("email"), claims.get(self._settings.roles_claim, [])
        if not isinstance(email, str) or "@" not in email or claims.get("email_verified") is False:
            raise Unauthenticated("the issuer names no verified e-mail address", code="no_email")
        values = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        roles: dict[str, Role] = {}
        for value in values:
            if isinstance(value, str):
                roles |= self._settings.roles.get(value, {})
        name = claims.get("name")
        return Found(
            f"{claims['iss']} {claims['sub']}", email, name[:255] if isinstance(name, str) else "", roles
        )

    async def _discover(self) -> _Discovered:
        if self._discovered is None:
            url = self._settings.issuer.rstrip("/") + DISCOVERY
            found = await self._fetch(url, _Discovered)
            if found.issuer != self._settings.issuer:
                raise IssuerAway(
                    f"the issuer calls itself {found.issuer!r}: write that in sign_in.oidc.issuer"
                )
            self._discovered = found
        return self._discovered

    async def _key_set(self) -> KeySet:
        now_us = self._clock.now_us()
        if self._keys is None or now_us >= self._keys_until_us:
            found = await self._fetch((await self._discover()).jwks_uri, dict[str, Any])
            try:
                self._keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise IssuerAway("the issuer's keys cannot be read") from error
            self._keys_until_us = now_us + _KEYS_US
        return self._keys

    async def _fetch(self, url: str, shape: type[T], headers: Headers | None = None, body: bytes = b"") -> T:
        outgoing = _outgoing(url, headers or [(b"accept", b"application/json")], body, self._ca_file)
        try:
            with closing(await self._transport.open(outgoing, _PATIENCE, stream=False)) as answer:
                content = await answer.read(_AT_MOST)
                if answer.status != 200:
                    raise IssuerAway(
                        f"the issuer answered {answer.status} at {outgoing.path.partition('?')[0]}"
                    )
                return msgspec.json.decode(content, type=shape)
        except (UpstreamFailed, msgspec.MsgspecError) as error:
            raise IssuerAway(f"the issuer does not answer as it should: {type(error).__name__}") from error


def _outgoing(url: str, headers: Headers, body: bytes, ca_file: str) -> Outgoing:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise IssuerAway("the issuer names an address that is none") from error
    origin = Origin(parts.scheme, parts.hostname or "", port, ca_file)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Outgoing("POST" if body else "GET", origin, target, headers, body)
