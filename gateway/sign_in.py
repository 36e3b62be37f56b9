"""How a person's browser gets in: the key is asked for once, in a form, and leaves a cookie.

The cookie is not the key, for a browser sends it to every port of this host: it says which key was
shown and until when that counts, under this installation's seal, and it opens no model. It is
`SameSite=Lax`, so that a link in somebody's chat opens its page; whatever does more than follow a
link has to come from a page of our own origin.
"""

from __future__ import annotations

import hashlib
import hmac
from html import escape
from urllib.parse import parse_qs, quote

from gateway.asgi import Client, read_body
from gateway.clock import Clock
from gateway.errors import Forbidden, MethodNotAllowed, Unauthenticated
from gateway.principal import Principal
from gateway.stages.auth import Auth

SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
COOKIE = "tidegate_session"
LASTS_S = 12 * 3600

_FORM_BYTES = 16 * 1024
_PAGE = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
]
_HTML = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in · Tidegate</title>
<meta name="viewport" content="width=device-width"><style>
:root{{color-scheme:light dark}}
body{{font:14px/1.5 system-ui,"DejaVu Sans",sans-serif;max-width:26rem;margin:20vh auto 0;padding:0 1rem}}
h1{{font-size:1.1rem}}input,button{{font:inherit;padding:.35rem .6rem}}input{{width:100%;box-sizing:border-box}}
button{{margin-top:.6rem}}[role=alert]{{color:#c0362c}}</style></head><body>
<h1>Tidegate</h1>{complaint}
<form method="post" action="{action}"><input type="hidden" name="to" value="{to}">
<label>A key of this gateway <input type="password" name="key" required autofocus
 autocomplete="current-password" placeholder="tg-..."></label>
<button>Sign in</button></form>
<p>It shows the calls of its project and environment, for twelve hours or until the browser is closed.
<code>tidegate key</code> makes one.</p></body></html>"""


class SignIn:
    """The form, and the cookie it leaves. `secret` seals; it is the same in all workers of a host."""

    def __init__(self, auth: Auth, clock: Clock, *, secret: bytes, silence_s: float) -> None:
        self._auth = auth
        self._clock = clock
        self._secret = secret
        self._silence_s = silence_s

    def identify(self, headers: dict[bytes, bytes]) -> Principal:
        """Return who asks, by header or by cookie; raise Unauthenticated."""
        try:
            return self._auth.identify(headers)[0]
        except Unauthenticated as error:
            may = error.code == "missing_api_key" and _ours(headers)
            principal = self._by_cookie(headers) if may else None
            if principal is None:
                raise
            return principal

    async def answer(self, client: Client, headers: dict[bytes, bytes]) -> bool:
        """Answer what concerns signing in; False if this request does not."""
        if client.path not in (SIGN_IN, SIGN_OUT):
            return False
        if client.path == SIGN_OUT and client.method in {"GET", "HEAD"}:
            await client.answer(303, b"", [(b"location", b"/"), _cookie(client, "", "; Max-Age=0")])
        elif client.path == SIGN_IN and client.method == "POST":
            await self._sign_in(client, headers)
        else:
            raise MethodNotAllowed(f"{client.path} does not take {client.method}")
        return True

    async def invite(self, client: Client, headers: dict[bytes, bytes]) -> bool:
        """Show the form to a person who opens a page without a key; False if this is a program."""
        if client.method != "GET" or b"text/html" not in headers.get(b"accept", b""):
            return False
        to = client.raw_path.decode("latin-1") + (
            f"?{client.query.decode('latin-1')}" if client.query else ""
        )
        await client.answer(401, _form(to), _PAGE)
        return True

    async def _sign_in(self, client: Client, headers: dict[bytes, bytes]) -> None:
        if not _ours(headers):
            raise Forbidden("sign in on a page of this gateway", code="origin_not_allowed", param="origin")
        body = await read_body(client, headers, limit=_FORM_BYTES, silence_s=self._silence_s)
        given = parse_qs(body.decode("latin-1"))
        key, to = given.get("key", [""])[0].strip(), given.get("to", ["/"])[0]
        try:
            self._auth.identify({b"authorization": b"Bearer " + key.encode()})
        except Unauthenticated as error:
            await client.answer(401, _form(to, str(error)), _PAGE)
            return
        location = quote(to, safe="/?&=%:@,;+$!*'()~") if _is_local(to) else "/"
        token = self._token(hashlib.sha256(key.encode()).hexdigest())
        await client.answer(303, b"", [(b"location", location.encode()), _cookie(client, token)])

    def _token(self, key_hash: str) -> str:
        said = f"{key_hash}.{self._clock.now_us() // 1_000_000 + LASTS_S}"
        return f"{said}.{self._seal(said)}"

    def _seal(self, said: str) -> str:
        return hashlib.blake2b(said.encode(), key=self._secret, person=b"sign-in", digest_size=24).hexdigest()

    def _by_cookie(self, headers: dict[bytes, bytes]) -> Principal | None:
        said, _, seal = _kept(headers).rpartition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(said).encode()):
            return None
        key_hash, _, until_s = said.partition(".")
        return self._auth.known(key_hash) if self._clock.now_us() < int(until_s) * 1_000_000 else None


def _form(to: str, complaint: str = "") -> bytes:
    said = f'<p role="alert">{escape(complaint)}</p>' if complaint else ""
    return _HTML.format(complaint=said, action=SIGN_IN, to=escape(to)).encode()


def _kept(headers: dict[bytes, bytes]) -> str:
    """Return our cookie's value. Those of other programs on this host, whatever they hold, are passed over."""
    for part in headers.get(b"cookie", b"").split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name == COOKIE.encode():
            return value.decode("latin-1")
    return ""


def _ours(headers: dict[bytes, bytes]) -> bool:
    origin = headers.get(b"origin", b"")
    return not origin or origin.split(b"://")[-1].lower() == headers.get(b"host", b"").lower()


def _is_local(address: str) -> bool:
    r"""Whether a browser would stay with us: `//host` and `/\host` are other places."""
    return address.startswith("/") and address[1:2] not in ("/", "\\")


def _cookie(client: Client, token: str, more: str = "") -> tuple[bytes, bytes]:
    secure = "; Secure" if client.told("sslcontext") else ""
    return b"set-cookie", f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax{secure}{more}".encode()
