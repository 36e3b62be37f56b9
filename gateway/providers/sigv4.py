"""AWS's Signature Version 4: a request proves who sends it without naming the secret. Pure.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (2026-11).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from gateway.providers.base import Headers

_ALGORITHM = "AWS4-HMAC-SHA256"
_PLAIN = "-_.~"


class Credentials(msgspec.Struct, frozen=True):
    """Of an AWS account; the token only with those that expire."""

    access_key: str
    secret_key: str
    session_token: str = ""


class Signer:
    """Signs for one service in one region. Owns the key of the day."""

    def __init__(self, service: str, region: str) -> None:
        self._service = service
        self._region = region
        self._keys: dict[tuple[str, str], bytes] = {}
        """By secret and day."""

    def sign(
        self,
        method: str,
        host: str,
        path: str,
        headers: Headers,
        body: bytes,
        *,
        credentials: Credentials,
        now_us: int,
        query: str = "",
    ) -> Headers:
        """Return the headers to add: `host`, the date, the token if there is one, and the signature of all of them.

        `path` is as it will be sent, `query` in its canonical order.
        """
        moment = datetime.fromtimestamp(now_us // 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
        added: Headers = [(b"host", host.encode()), (b"x-amz-date", moment.encode())]
        if credentials.session_token:
            added.append((b"x-amz-security-token", credentials.session_token.encode()))
        signed = sorted((name.decode(), _trimmed(value)) for name, value in (*headers, *added))
        names = ";".join(name for name, _ in signed)
        canonical = "\n".join(
            (
                method,
                quote(path, safe="/" + _PLAIN),  # once more: all services but S3 want it so
                query,
                *(f"{name}:{value}" for name, value in signed),
                "",
                names,
                hashlib.sha256(body).hexdigest(),
            )
        )
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}"
        signature = _hmac(self._key(credentials.secret_key, moment[:8]), text).hex()
        said = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return [*added, (b"authorization", said.encode())]

    def _key(self, secret: str, day: str) -> bytes:
        key = self._keys.get((secret, day))
        if key is None:
            key = b"AWS4" + secret.encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = _hmac(key, part)
            self._keys = {(secret, day): key}
        return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _trimmed(value: bytes) -> str:
    return " ".join(value.decode("latin-1").split())
