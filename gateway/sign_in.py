"""How a person's browser gets in: with an e-mail address and a password, by an issuer, or with a key, asked for once.

The cookie is neither key nor password, for a browser sends it to every port of this host: it opens no model. After a
key it says which one was shown and until when that counts, under this installation's seal; after a password it is a
session that the hub knows and may end. It is `SameSite=Lax`, so that a link in somebody's chat opens its page; what
does more than follow a link has to come from our own origin, and what changes something has to name the `csrf` token
that only our pages are told.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, quote

import msgspec

from gateway import people_calls as calls
from gateway import sign_in_pages as pages
from gateway.asgi import Client, read_body
from gateway.clock import Clock
from gateway.errors import Forbidden, GatewayError, MethodNotAllowed, Unauthenticated, Unavailable
from gateway.link import CallFailed, LinkDown
from gateway.principal import PERSON_ID, Principal
from gateway.roles import opens
from gateway.stages.auth import Auth, shown_key

SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
ISSUER = "/sign-in/oidc"
CALLBACK = "/sign-in/callback"
ACCOUNT = "/account"
PATHS = (SIGN_IN, SIGN_OUT, ISSUER, CALLBACK, ACCOUNT)
COOKIE = "tidegate_session"
JOURNEY = "tidegate_journey"
CSRF = b"x-tidegate-csrf"
LASTS_S = 12 * 3600

_JOURNEY_S = 600
_HUB_S = 10.0
_AGAIN_S = 60.0
"""After too many wrong passwords; the hub forgets them one by one."""
_FORM_BYTES = 16 * 1024
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_POLLED = "/_nicegui"
"""Pages talk to their process there when WebSockets are shut off; nothing is changed by it."""

T = TypeVar("T")


class Hub(Protocol):
    """The part of the link that is used here."""

    async def call(self, method: str, params: object, *, timeout_s: float) -> object:
        """Ask; raise LinkDown, CallFailed, TimeoutError."""
        ...


class SignIn:
    """The forms, and the cookie they leave. `secret` seals; it is the same in all workers of a host."""

    def __init__(
        self, auth: Auth, clock: Clock, *, secret: bytes, silence_s: float, hub: Hub, issuer: bool = False
    ) -> None:
        self._auth = auth
        self._clock = clock
        self._secret = secret
        self._silence_s = silence_s
        self._hub = hub
        self._issuer = issuer

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

    def check_forgery(self, client: Client, headers: dict[bytes, bytes], principal: Principal) -> None:
        """Raise Forbidden if a cookie alone would change something; tell our pages the token they need for it."""
        if principal.open or shown_key(headers):
            return
        token = self._csrf(headers)
        if client.method in _SAFE:
            if client.path == "/api/me":
                client.extra.append((CSRF, token.encode()))
        elif not client.path.startswith(_POLLED) and not _same(headers.get(CSRF, b""), token):
            raise Forbidden(
                f"a session changes something only with the header {CSRF.decode()}, which GET /api/me answers with",
                code="csrf",
            )

    async def answer(self, client: Client, headers: dict[bytes, bytes]) -> bool:
        """Answer what concerns signing in; False if this request does not."""
        path, read = client.path, client.method in {"GET", "HEAD"}
        if path not in PATHS:
            return False
        if path == SIGN_IN and client.method == "POST":
            await self._sign_in(client, headers)
        elif path == ISSUER and read:
            await self._leave_for_issuer(client)
        elif path == CALLBACK and read:
            await self._come_back(client, headers)
        elif path == SIGN_OUT and read:
            client.answer(303, b"", [(b"location", ACCOUNT.encode())])
        elif path in (SIGN_OUT, ACCOUNT) and (read or client.method == "POST"):
            return await self._inside(client, headers, read=read)
        else:
            raise MethodNotAllowed(f"{path} does not take {client.method}")
        return True

    async def invite(self, client: Client, headers: dict[bytes, bytes]) -> bool:
        """Show the form to a person who opens a page without a key; False if this is a program."""
        if not opens_page(client, headers):
            return False
        to = client.raw_path.decode("latin-1") + (
            f"?{client.query.decode('latin-1')}" if client.query else ""
        )
        await self._form(client, to)
        return True

    async def _form(self, client: Client, to: str, error: GatewayError | None = None) -> None:
        status = error.status if error is not None else 401
        retry = int(error.retry_after_s) if error is not None and error.retry_after_s else 0
        extra = [(b"retry-after", b"%d" % retry)] if retry else []
        page = pages.sign_in(to, str(error) if error is not None else "", issuer=self._issuer)
        client.answer(status, page, [*pages.HEADERS, *extra])

    async def _sign_in(self, client: Client, headers: dict[bytes, bytes]) -> None:
        if not _ours(headers):
            raise Forbidden("sign in on a page of this gateway", code="origin_not_allowed", param="origin")
        given = await self._read(client, headers)
        to = given.get("to", "/")
        try:
            if "email" in given:
                login = calls.Login(given["email"], given.get("password", ""), _address(client))
                token = (await self._ask(calls.SIGN_IN, login, calls.Ticket)).token
            else:
                token = self._shown(given.get("key", "").strip())
        except GatewayError as error:
            await self._form(client, to, error)
            return
        client.answer(303, b"", [(b"location", _local(to)), _cookie(client, token)])

    def _shown(self, key: str) -> str:
        """Return the cookie for a key that was shown; raise Unauthenticated, Forbidden."""
        principal, _ = self._auth.identify({b"authorization": b"Bearer " + key.encode()})
        if not opens(principal.scopes, "costs"):  # every page needs that, or more
            raise Forbidden(
                "this key opens no page: `tidegate keys create NAME --scope read` makes one that does",
                code="scope_missing",
            )
        said = f"{hashlib.sha256(key.encode()).hexdigest()}.{self._clock.now_us() // 1_000_000 + LASTS_S}"
        return f"{said}.{self._seal(said)}"

    async def _leave_for_issuer(self, client: Client) -> None:
        to = _query(client).get("to", "/")
        try:
            journey = await self._ask(calls.ISSUER_BEGIN, to, calls.Journey)
        except GatewayError as error:
            await self._form(client, to, error)
            return
        kept = _cookie(client, journey.binding, f"; Max-Age={_JOURNEY_S}", name=JOURNEY)
        client.answer(303, b"", [(b"location", journey.url.encode()), kept])

    async def _come_back(self, client: Client, headers: dict[bytes, bytes]) -> None:
        said = _query(client)
        back = calls.Return(
            said.get("state", ""), said.get("code", ""), _kept(headers, JOURNEY), _address(client)
        )
        over = _cookie(client, "", "; Max-Age=0", name=JOURNEY)
        try:
            if "error" in said:
                raise Unauthenticated(f"the issuer says: {said['error'][:200]}", code="issuer_refused")
            ticket = await self._ask(calls.ISSUER_END, back, calls.Ticket)
        except GatewayError as error:
            await self._form(client, "/", error)
            return
        client.answer(303, b"", [(b"location", _local(ticket.to)), _cookie(client, ticket.token), over])

    async def _inside(self, client: Client, headers: dict[bytes, bytes], *, read: bool) -> bool:
        """Answer somebody who is signed in already; False for who is not."""
        cookie = _kept(headers)
        principal = self._by_cookie(headers) if cookie and _ours(headers) else None
        if principal is None and client.path == SIGN_OUT:
            client.answer(303, b"", [(b"location", b"/"), _cookie(client, "", "; Max-Age=0")])
            return True
        if principal is None:
            return False
        given = {} if read else await self._read(client, headers)
        if not read and not _same(given.get("csrf", "").encode("latin-1"), self._csrf(headers)):
            raise Forbidden("this form is not of this session: open the page again", code="csrf")
        if client.path == SIGN_OUT:
            if cookie.startswith(calls.SESSION_PREFIX):
                await self._ask(calls.SIGN_OUT, calls.session_digest(cookie), type(None))
            client.answer(303, b"", [(b"location", b"/"), _cookie(client, "", "; Max-Age=0")])
        elif not principal.key_id.startswith(PERSON_ID):
            page = pages.leave(principal.project, principal.environment, self._csrf(headers))
            client.answer(200, page, pages.HEADERS)
        else:
            await self._account(client, principal.key_id, _changes(given), self._csrf(headers))
        return True

    async def _account(self, client: Client, person: str, changes: dict[str, str], csrf: str) -> None:
        ask = calls.AccountAsk(person, changes)
        try:
            told = await self._ask(calls.ACCOUNT, ask, calls.Account)
        except Forbidden as error:
            told = await self._ask(calls.ACCOUNT, calls.AccountAsk(person), calls.Account)
            client.answer(error.status, pages.account(told, csrf, str(error)), pages.HEADERS)
            return
        if changes:
            client.answer(303, b"", [(b"location", b"/" if "project" in changes else ACCOUNT.encode())])
        else:
            client.answer(200, pages.account(told, csrf), pages.HEADERS)

    async def _read(self, client: Client, headers: dict[bytes, bytes]) -> dict[str, str]:
        body = await read_body(client, headers, limit=_FORM_BYTES, silence_s=self._silence_s)
        given = parse_qs(body.decode("latin-1"), keep_blank_values=True)
        return {name: values[0] for name, values in given.items()}

    async def _ask(self, method: str, params: object, shape: type[T]) -> T:
        """Ask the hub; raise what it raised, Unavailable if it is away."""
        try:
            return msgspec.convert(await self._hub.call(method, params, timeout_s=_HUB_S), shape)
        except CallFailed as failed:
            raise _error_of(failed) from failed
        except (LinkDown, TimeoutError, msgspec.ValidationError) as error:
            raise Unavailable(
                "the hub is away or starting; ask again in a moment", retry_after_s=1
            ) from error

    def _csrf(self, headers: dict[bytes, bytes]) -> str:
        cookie = _kept(headers).encode("latin-1")
        return hashlib.blake2b(cookie, key=self._secret, person=b"csrf", digest_size=24).hexdigest()

    def _seal(self, said: str) -> str:
        return hashlib.blake2b(said.encode(), key=self._secret, person=b"sign-in", digest_size=24).hexdigest()

    def _by_cookie(self, headers: dict[bytes, bytes]) -> Principal | None:
        cookie = _kept(headers)
        if cookie.startswith(calls.SESSION_PREFIX):
            return self._auth.known(calls.session_digest(cookie))
        said, _, seal = cookie.rpartition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(said).encode()):
            return None
        key_hash, _, until_s = said.partition(".")
        return self._auth.known(key_hash) if self._clock.now_us() < int(until_s) * 1_000_000 else None


class _Failed(GatewayError):
    """What the hub said no with, as it was."""

    type = "invalid_request_error"


_KINDS: dict[str, type[GatewayError]] = {"401": Unauthenticated, "403": Forbidden, "503": Unavailable}


def _error_of(failed: CallFailed) -> GatewayError:
    """Return the hub's error; its message begins with the status."""
    status, _, message = failed.message.partition(" ")
    error = _KINDS.get(status, _Failed)(message, code=failed.code)
    error.status = int(status) if status.isdecimal() else 503
    if error.status == 429:
        error.retry_after_s = _AGAIN_S
    return error


def opens_page(client: Client, headers: dict[bytes, bytes]) -> bool:
    """Say whether a person's browser asks, which shows what it is sent."""
    accept = headers.get(b"accept", b"")
    return client.method == "GET" and b"text/html" in accept and b"json" not in accept


def _changes(given: dict[str, str]) -> dict[str, str]:
    """Return what a form of the account page asks for."""
    if place := given.get("place", ""):
        project, _, environment = place.rpartition("/")
        return {"project": project, "environment": environment}
    return {name: given[name] for name in ("password", "former_password") if given.get(name)}


def _query(client: Client) -> dict[str, str]:
    given = parse_qs(client.query.decode("latin-1"), keep_blank_values=True)
    return {name: values[0] for name, values in given.items()}


def _address(client: Client) -> str:
    peer: Any = client.told("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else "unknown"


def _same(given: bytes, token: str) -> bool:
    return hmac.compare_digest(given, token.encode())


def _kept(headers: dict[bytes, bytes], name: str = COOKIE) -> str:
    """Return our cookie's value. Those of other programs on this host, whatever they hold, are passed over."""
    for part in headers.get(b"cookie", b"").split(b";"):
        called, _, value = part.strip().partition(b"=")
        if called == name.encode():
            return value.decode("latin-1")
    return ""


def _ours(headers: dict[bytes, bytes]) -> bool:
    origin = headers.get(b"origin", b"")
    return not origin or origin.split(b"://")[-1].lower() == headers.get(b"host", b"").lower()


def _local(address: str) -> bytes:
    r"""Return where a browser stays with us: `//host` and `/\host` are other places."""
    here = address.startswith("/") and address[1:2] not in ("/", "\\")
    return quote(address, safe="/?&=%:@,;+$!*'()~").encode() if here else b"/"


def _cookie(client: Client, value: str, more: str = "", *, name: str = COOKIE) -> tuple[bytes, bytes]:
    secure = "; Secure" if client.told("sslcontext") else ""
    return b"set-cookie", f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}".encode()
