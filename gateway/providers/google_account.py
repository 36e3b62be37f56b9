"""Accounts of Google Cloud, whose keys are exchanged for access tokens that live for an hour. Pure.

Sources: https://developers.google.com/identity/protocols/oauth2/service-account,
https://developers.google.com/identity/protocols/oauth2/web-server, "Refreshing an access token" (2026-11).
"""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import msgspec

from gateway.providers.base import Outgoing
from gateway.providers.openai import parse_base_url

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - no secret
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_HOUR_S = 3600
_FORM = [(b"content-type", b"application/x-www-form-urlencoded"), (b"accept", b"application/json")]


class ServiceAccount(msgspec.Struct, frozen=True, tag_field="type", tag="service_account"):
    """As the JSON file says it that Google makes for a service account."""

    client_email: str
    private_key: str
    """PEM."""
    private_key_id: str = ""
    token_uri: str = TOKEN_URI

    @property
    def name(self) -> str:
        """Whose it is."""
        return self.client_email

    def grant(self, now_s: int) -> dict[str, str]:
        """Return what is asked with: who asks, signed with the account's key. Takes some milliseconds."""
        claims = {
            "iss": self.client_email,
            "scope": _SCOPE,
            "aud": self.token_uri,
            "iat": now_s,
            "exp": now_s + _HOUR_S,
        }
        head = {"alg": "RS256", "typ": "JWT", "kid": self.private_key_id}
        text = b".".join(_base64url(msgspec.json.encode(part)) for part in (head, claims))
        assertion = text + b"." + _base64url(_signed(self.private_key, text))
        return {"grant_type": _GRANT, "assertion": assertion.decode()}


class User(msgspec.Struct, frozen=True, tag_field="type", tag="authorized_user"):
    """As `gcloud auth application-default login` writes it."""

    client_id: str
    client_secret: str
    refresh_token: str
    token_uri: str = TOKEN_URI

    @property
    def name(self) -> str:
        """Whose it is."""
        return self.client_id

    def grant(self, now_s: int) -> dict[str, str]:  # noqa: ARG002 - as that of a service account
        """Return what is asked with."""
        return {
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token,
        }


Account = ServiceAccount | User


class Granted(msgspec.Struct, frozen=True):
    """An access token, and for how many seconds it is good."""

    access_token: str
    expires_in: int = _HOUR_S


_accounts: msgspec.json.Decoder[Account] = msgspec.json.Decoder(Account)
_grants = msgspec.json.Decoder(Granted, strict=False)


def read_account(text: str) -> Account:
    """Read a credentials file; raise ValueError that quotes nothing of it."""
    try:
        account = _accounts.decode(text)
        parse_base_url(account.token_uri)
    except (ValueError, RecursionError):
        raise ValueError(
            "not the JSON key of a service account, nor an `authorized_user` of gcloud"
        ) from None
    return account


def ask(account: Account, now_s: int) -> Outgoing:
    """Build the request for an access token; raise ValueError if the account's key is none."""
    origin, path = parse_base_url(account.token_uri)
    body = urlencode(account.grant(now_s)).encode()
    return Outgoing("POST", origin, path, [*_FORM], body)


def read_granted(body: bytes) -> Granted:
    """Read the answer; raise ValueError if there is no token in it."""
    return _grants.decode(body)


def _signed(pem: str, text: bytes) -> bytes:
    # Imported here: it weighs 10 MB, and few workers need it.
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("the account's key is not an RSA key")
    return key.sign(text, PKCS1v15(), hashes.SHA256())


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
