"""A small OpenID Connect issuer on a real socket, which may lie in any way a test likes."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from typing_extensions import override

CLIENT = "tidegate"
SECRET = "issuer's secret"


class Issuer:
    """Signs whatever `claims` says for who comes with the right verifier."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: dict[str, RSAKey | ECKey] = {}
        self.algorithm = "RS256"
        self.claims: dict[str, Any] = {}
        """Over what is right."""
        self.forged: str = ""
        """Given instead of a token."""
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self.renew()

    def renew(self) -> None:
        """Take other keys."""
        number = len(self.keys)
        self.keys = {
            "RS256": RSAKey.generate_key(2048, {"kid": f"rsa-{number}-{id(self)}-{len(self._codes)}"}),
            "ES256": ECKey.generate_key("P-256", {"kid": f"ec-{number}-{id(self)}-{len(self._codes)}"}),
        }

    def authorize(self, url: str) -> dict[str, str]:
        """Let somebody sign in who was sent to this address; return what the browser brings back."""
        parts = urlsplit(url)
        assert url.startswith(f"{self.url}/authorize?"), url
        asked = dict(parse_qsl(parts.query))
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer the token endpoint."""
        asked = self._codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        if asked is None or challenge.rstrip(b"=").decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"id_token": self.forged or self.sign(asked["nonce"]), "token_type": "Bearer"}

    def sign(self, nonce: str) -> str:
        """Return a token."""
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "u-1",
            "nonce": nonce,
            "iat": 1_700_000_000,
            "exp": 1_900_000_000,
            "email": "ada@x.example",
            "name": "Ada",
        } | self.claims
        key = self.keys.get(self.algorithm) or OctKey.import_key(SECRET)
        header = {"alg": self.algorithm, **({"kid": key.kid} if key.kid else {})}
        return jwt.encode(
            header, {name: value for name, value in claims.items() if value is not None}, key,
            algorithms=[self.algorithm],
        )  # fmt: skip

    def get(self, path: str) -> dict[str, Any]:
        """Answer what is read."""
        if path.endswith("openid-configuration"):
            return {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }
        return dict(KeySet(list(self.keys.values())).as_dict(private=False))


@contextmanager
def issuing() -> Iterator[Issuer]:
    """Serve one."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            self._say(200, issuer.get(self.path))

        def do_POST(self) -> None:
            issuer.asked.append(self.path)
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            basic = base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '%20')}".replace("'", "%27").encode())
            if self.headers.get("authorization") != f"Basic {basic.decode()}":
                self._say(401, {"error": "invalid_client"})
            else:
                self._say(*issuer.token({name: values[0] for name, values in parse_qs(body).items()}))

        def _say(self, status: int, said: dict[str, Any]) -> None:
            body = msgspec.json.encode(said)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
