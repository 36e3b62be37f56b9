"""How a browser gets in: what the cookie is worth, where, and how long."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from gateway.asgi import Headers
from gateway.errors import Forbidden, MethodNotAllowed, Unauthenticated
from gateway.settings import Key, Settings
from gateway.sign_in import LASTS_S, SignIn
from gateway.stages.auth import Auth

KEY = "tg-0123456789"


class FixedClock:
    """A clock that is set by hand."""

    now_s = 1_000_000

    def now_us(self) -> int:
        return self.now_s * 1_000_000

    def monotonic_ns(self) -> int:
        return 0


class Visitor:
    """A request as far as signing in looks at it, and the answer it got."""

    def __init__(self, method: str, path: str, body: bytes = b"", query: bytes = b"") -> None:
        self.method, self.path, self.raw_path, self.query = method, path, path.encode(), query
        self.complete = True
        self.body = body
        self.status = 0
        self.text = ""
        self.headers: dict[bytes, bytes] = {}

    def taken(self) -> bytes:
        return self.body

    def told(self, name: str) -> Any:
        return None

    async def answer(self, status: int, body: bytes, headers: Headers) -> None:
        self.status, self.text, self.headers = status, body.decode(), dict(headers)


def sign_in(clock: FixedClock | None = None, *, keys: bool = True, secret: bytes = b"s" * 32) -> SignIn:
    key = Key(name="ci", hash=hashlib.sha256(KEY.encode()).hexdigest(), project="p1")
    auth = Auth(Settings(keys=(key,) if keys else ()), fingerprint_secret=b"secret")
    return SignIn(auth, clock or FixedClock(), secret=secret, silence_s=1)


async def post(door: SignIn, form: bytes, **headers: bytes) -> Visitor:
    visitor = Visitor("POST", "/sign-in", form)
    assert await door.answer(visitor, {name.encode(): value for name, value in headers.items()})  # type: ignore[arg-type]
    return visitor


async def cookie(door: SignIn) -> bytes:
    """Sign in; return what a browser would send from then on."""
    visitor = await post(door, f"key={KEY}&to=/".encode())
    assert visitor.status == 303
    return visitor.headers[b"set-cookie"].split(b";")[0]


async def test_the_cookie_says_who_asks_and_is_not_the_key() -> None:
    door = sign_in()
    kept = await cookie(door)

    assert KEY.encode() not in kept
    assert door.identify({b"cookie": b"theme=dark; " + kept + b'; odd="{[,'}).project == "p1"


async def test_scripts_and_foreign_pages_do_not_get_the_cookie() -> None:
    visitor = await post(sign_in(), f"key={KEY}".encode())

    assert visitor.headers[b"set-cookie"].endswith(b"; Path=/; HttpOnly; SameSite=Lax")


async def test_a_cookie_that_was_changed_or_sealed_elsewhere_is_none() -> None:
    door = sign_in()
    name, _, token = (await cookie(door)).partition(b"=")
    key_hash, until, seal = token.split(b".")
    longer = b".".join((key_hash, b"%d" % (int(until) + 1), seal))
    elsewhere = (await cookie(sign_in(secret=b"other"))).partition(b"=")[2]

    for forged in (longer, elsewhere, b"", b"..", token[:-1], b"\xff.\xff.\xff"):
        with pytest.raises(Unauthenticated):
            door.identify({b"cookie": name + b"=" + forged})


async def test_the_cookie_ends_by_itself() -> None:
    clock = FixedClock()
    door = sign_in(clock)
    kept = await cookie(door)
    clock.now_s += LASTS_S - 1
    door.identify({b"cookie": kept})
    clock.now_s += 1

    with pytest.raises(Unauthenticated):
        door.identify({b"cookie": kept})


async def test_the_cookie_of_a_key_that_was_taken_away_is_worth_nothing() -> None:
    kept = await cookie(sign_in())
    other = Settings(keys=(Key(name="new", hash="0" * 64, project="p1"),))
    door = SignIn(Auth(other, fingerprint_secret=b""), FixedClock(), secret=b"s" * 32, silence_s=1)

    with pytest.raises(Unauthenticated):
        door.identify({b"cookie": kept})


async def test_the_cookie_does_not_count_for_pages_of_another_origin_nor_beside_a_wrong_key() -> None:
    door = sign_in()
    headers = {b"cookie": await cookie(door), b"host": b"localhost:4000"}

    assert door.identify({**headers, b"origin": b"http://localhost:4000"}).key_id == "ci"
    for more in (
        {b"origin": b"http://localhost:3000"},
        {b"origin": b"null"},
        {b"authorization": b"Bearer tg-wrong"},
    ):
        with pytest.raises(Unauthenticated):
            door.identify({**headers, **more})


async def test_a_key_in_the_header_and_open_mode_need_no_cookie() -> None:
    assert sign_in().identify({b"authorization": f"Bearer {KEY}".encode()}).key_id == "ci"
    assert sign_in(keys=False).identify({}).open


async def test_a_wrong_key_gets_the_form_again_and_no_cookie() -> None:
    visitor = await post(sign_in(), b"key=tg-%3Cb%3Ewrong&to=/events/%22%3E%3Cscript%3E")

    assert visitor.status == 401
    assert b"set-cookie" not in visitor.headers
    assert "incorrect API key" in visitor.text
    assert "<script>" not in visitor.text
    assert "&quot;&gt;&lt;script&gt;" in visitor.text


@pytest.mark.parametrize(
    ("to", "location"),
    [
        (b"/events/a%252Fb?after=x", b"/events/a%2Fb?after=x"),
        (b"//evil.example/", b"/"),
        (b"/%5Cevil.example/", b"/"),
        (b"https://evil.example/", b"/"),
        (b"javascript:alert(1)", b"/"),
        (b"/a%0d%0aset-cookie:x", b"/a%0D%0Aset-cookie:x"),
        (b"", b"/"),
    ],
)
async def test_signing_in_leads_back_to_the_page_and_nowhere_else(to: bytes, location: bytes) -> None:
    visitor = await post(sign_in(), b"key=" + KEY.encode() + b"&to=" + to)

    assert (visitor.status, visitor.headers[b"location"]) == (303, location)


async def test_a_foreign_page_cannot_sign_anybody_in() -> None:
    with pytest.raises(Forbidden):
        await post(sign_in(), f"key={KEY}".encode(), origin=b"http://evil.example", host=b"localhost:4000")


async def test_signing_out_takes_the_cookie_away() -> None:
    visitor = Visitor("GET", "/sign-out")

    assert await sign_in().answer(visitor, {})  # type: ignore[arg-type]
    assert visitor.headers[b"set-cookie"].startswith(b"tidegate_session=; ")
    assert b"Max-Age=0" in visitor.headers[b"set-cookie"]


async def test_other_paths_and_methods_are_no_business_of_it() -> None:
    assert not await sign_in().answer(Visitor("GET", "/"), {})  # type: ignore[arg-type]
    with pytest.raises(MethodNotAllowed):
        await sign_in().answer(Visitor("GET", "/sign-in"), {})  # type: ignore[arg-type]


async def test_only_a_person_who_opens_a_page_is_shown_the_form() -> None:
    page = {b"accept": b"text/html,*/*"}
    person = Visitor("GET", "/calls/x", query=b"live=1")

    assert await sign_in().invite(person, page)  # type: ignore[arg-type]
    assert person.status == 401
    assert 'value="/calls/x?live=1"' in person.text
    for method, headers in (("GET", {b"accept": b"*/*"}), ("GET", {}), ("POST", page)):
        assert not await sign_in().invite(Visitor(method, "/"), headers)  # type: ignore[arg-type]
