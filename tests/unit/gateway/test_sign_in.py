"""How a browser gets in: what the cookie is worth, where, and how long."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from typing_extensions import override

from gateway import people_calls as calls
from gateway.asgi import Headers
from gateway.errors import Forbidden, MethodNotAllowed, Unauthenticated
from gateway.key_pages import SINCE, Sealer
from gateway.keyring import Keyring
from gateway.link import CallFailed, LinkDown
from gateway.principal import Scope
from gateway.processes.own_secret import own_secret
from gateway.settings import Key, Settings
from gateway.sign_in import LASTS_S, Hub, SignIn
from gateway.stages.auth import Auth
from tests.fakes.hub_control import Hub as RealHub

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
        self.extra: list[tuple[bytes, bytes]] = []

    def taken(self) -> bytes:
        return self.body

    def told(self, name: str) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else None

    def answer(self, status: int, body: bytes, headers: Headers) -> None:
        self.status, self.text, self.headers = status, body.decode(), dict(headers)


class NoHub:
    """A hub that is away."""

    async def call(self, method: str, params: object, *, timeout_s: float) -> object:
        raise LinkDown("not connected")


def sign_in(
    clock: FixedClock | None = None,
    *,
    keys: bool = True,
    secret: bytes = b"s" * 32,
    hub: Hub | None = None,
    scopes: str = "call read",
) -> SignIn:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    key = Key(name="ci", hash=digest, project="p1", scopes=msgspec.convert(scopes.split(), tuple[Scope, ...]))
    auth = Auth(Settings(keys=(key,) if keys else ()), fingerprint_secret=b"secret")
    return SignIn(auth, clock or FixedClock(), secret=secret, silence_s=1, hub=hub or NoHub())


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
    door = SignIn(
        Auth(other, fingerprint_secret=b""), FixedClock(), secret=b"s" * 32, silence_s=1, hub=NoHub()
    )

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
    ("scopes", "status"), [("call memory", 403), ("view", 303), ("costs", 303), ("read", 303)]
)
async def test_a_key_that_opens_no_page_is_told_which_one_does(scopes: str, status: int) -> None:
    visitor = await post(sign_in(scopes=scopes), f"key={KEY}".encode())

    assert visitor.status == status
    assert (b"set-cookie" in visitor.headers) == (status == 303)
    assert ("this key opens no page" in visitor.text) == (status == 403)


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
    visitor = Visitor("POST", "/sign-out")

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


# --- people ---------------------------------------------------------------------------------------

PASSWORD = "correct horse battery"


class House:
    """A door, and the hub behind it with Ada in it."""

    def __init__(self, folder: Path) -> None:
        self.hub = RealHub(folder)
        self.keyring = Keyring({}, self.hub.clock, max_stale_s=10**6)
        auth = Auth(Settings(), fingerprint_secret=b"secret", keyring=self.keyring)
        self.door = SignIn(auth, self.hub.clock, secret=b"s" * 32, silence_s=1, hub=self)

    async def call(self, method: str, params: object, *, timeout_s: float) -> object:
        """Ask the hub; what it has to tell the workers is heard before it answers."""
        answer = await self.hub.call(method, params)
        await self.level()
        return answer

    async def level(self) -> None:
        sealer = Sealer(own_secret(self.hub.places.secrets / "keys"))
        sealed: Any = await self.hub.link.handlers[SINCE](msgspec.to_builtins(self.keyring.position))
        self.keyring.take(sealer.unseal(sealed))

    async def settle(self) -> None:
        roles = {"shop": "viewer", "lab": "engineer"}
        wanted = {"email": "ada@x.example", "roles": roles, "password": PASSWORD}
        assert (await self.hub.ask("POST", "/api/people", wanted))[0] == 201
        await self.level()

    async def post(self, path: str, form: str, cookie: bytes = b"", **headers: bytes) -> Visitor:
        visitor = Visitor("POST", path, form.encode())
        given = {b"cookie": cookie, **{name.encode(): value for name, value in headers.items()}}
        assert await self.door.answer(visitor, given)  # type: ignore[arg-type]
        return visitor

    async def page(self, path: str, cookie: bytes) -> Visitor:
        visitor = Visitor("GET", path)
        assert await self.door.answer(visitor, {b"cookie": cookie})  # type: ignore[arg-type]
        return visitor

    async def enter(self) -> bytes:
        visitor = await self.post("/sign-in", f"email=Ada%40x.example&password={quote(PASSWORD)}&to=/costs")
        assert (visitor.status, visitor.headers[b"location"]) == (303, b"/costs")
        return visitor.headers[b"set-cookie"].split(b";")[0]

    async def csrf(self, cookie: bytes) -> str:
        return (await self.page("/account", cookie)).text.split('name="csrf" value="')[1].split('"')[0]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.settle()
    yield made
    await made.hub.close()


async def test_somebody_signs_in_with_their_password_and_the_cookie_holds_none_of_it(house: House) -> None:
    kept = await house.enter()

    ada = house.door.identify({b"cookie": kept})
    assert (ada.owner, ada.project, ada.scopes) == ("ada@x.example", "lab", ("read", "write", "memory"))
    assert b"horse" not in kept
    token = kept.partition(b"=")[2]
    for header in (b"Bearer " + token, b"Bearer session " + token):
        with pytest.raises(Unauthenticated):
            house.door.identify({b"authorization": header})


async def test_a_wrong_password_gets_the_form_again_and_too_many_are_told_to_wait(house: House) -> None:
    visitor = await house.post("/sign-in", "email=ada%40x.example&password=wrong&to=/%22%3E")
    for _ in range(9):
        visitor = await house.post("/sign-in", "email=ada%40x.example&password=wrong&to=/%22%3E")
        assert visitor.status == 401
        assert b"set-cookie" not in visitor.headers
    assert "do not fit together" in visitor.text
    assert 'value="/&quot;&gt;"' in visitor.text
    late = await house.post("/sign-in", f"email=ada%40x.example&password={quote(PASSWORD)}")
    assert late.status == 429
    assert int(late.headers[b"retry-after"]) > 0


async def test_the_account_page_changes_where_to_look_and_only_with_its_own_token(house: House) -> None:
    kept = await house.enter()
    page = await house.page("/account", kept)
    assert "engineer of lab" in page.text
    csrf = await house.csrf(kept)
    other = await house.csrf(await house.enter())
    for wrong in ("", other, csrf[:-1]):
        with pytest.raises(Forbidden) as refused:
            await house.post("/account", f"place=shop/prod&csrf={wrong}", kept)
        assert refused.value.code == "csrf"

    moved = await house.post("/account", f"place=shop/prod&csrf={csrf}", kept)
    assert (moved.status, moved.headers[b"location"]) == (303, b"/")
    assert house.door.identify({b"cookie": kept}).project == "shop"
    refused_page = await house.post("/account", f"place=bank/prod&csrf={csrf}", kept)
    assert refused_page.status == 403
    assert "no role in" in refused_page.text


async def test_a_password_is_changed_on_the_page_and_all_sessions_end(house: House) -> None:
    kept = await house.enter()
    csrf = await house.csrf(kept)
    wrong = await house.post("/account", f"former_password=x&password={'y' * 12}&csrf={csrf}", kept)
    assert wrong.status == 403
    form = f"former_password={quote(PASSWORD)}&password={'y' * 12}&csrf={csrf}"
    assert (await house.post("/account", form, kept)).status == 303

    with pytest.raises(Unauthenticated):
        house.door.identify({b"cookie": kept})


async def test_signing_out_ends_the_session_for_good(house: House) -> None:
    kept = await house.enter()
    with pytest.raises(Forbidden):
        await house.post("/sign-out", "", kept)
    out = await house.post("/sign-out", f"csrf={await house.csrf(kept)}", kept)

    assert out.headers[b"set-cookie"].startswith(b"tidegate_session=; ")
    with pytest.raises(Unauthenticated):
        house.door.identify({b"cookie": kept})


async def test_a_cookie_alone_changes_nothing(house: House) -> None:
    kept = await house.enter()
    door, headers = house.door, {b"cookie": kept}
    ada = door.identify(headers)
    reading = Visitor("GET", "/api/me")
    door.check_forgery(reading, headers, ada)  # type: ignore[arg-type]
    token = dict(reading.extra)[b"x-tidegate-csrf"]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        asked = Visitor(method, "/api/memories")
        with pytest.raises(Forbidden) as refused:
            door.check_forgery(asked, headers, ada)  # type: ignore[arg-type]
        assert refused.value.code == "csrf"
        door.check_forgery(asked, {**headers, b"x-tidegate-csrf": token}, ada)  # type: ignore[arg-type]
        door.check_forgery(asked, {b"authorization": b"Bearer tg-x"}, ada)  # type: ignore[arg-type]
    elsewhere = await house.enter()
    asked = Visitor("DELETE", "/api/memories")
    for other in (b"authorization", b"x-api-key"):  # of a proxy in front: the cookie says who asks
        shown = {**headers, other: b"Basic YTpi" if other == b"authorization" else b""}
        assert door.identify(shown) == ada
        with pytest.raises(Forbidden):
            door.check_forgery(asked, shown, ada)  # type: ignore[arg-type]
    with pytest.raises(Forbidden):
        door.check_forgery(asked, {b"cookie": elsewhere, b"x-tidegate-csrf": token}, ada)  # type: ignore[arg-type]


async def test_a_person_at_a_foreign_page_is_nobody(house: House) -> None:
    kept = await house.enter()
    foreign = {b"cookie": kept, b"origin": b"http://evil.example", b"host": b"localhost:4000"}

    with pytest.raises(Unauthenticated):
        house.door.identify(foreign)
    with pytest.raises(Forbidden):
        await house.post(
            "/sign-in", "email=a&password=b", origin=b"http://evil.example", host=b"localhost:4000"
        )


async def test_while_the_hub_is_away_the_form_says_so() -> None:
    visitor = await post(sign_in(), b"email=ada%40x.example&password=x")

    assert visitor.status == 503
    assert "the hub is away" in visitor.text


async def test_the_way_to_an_issuer_and_back(tmp_path: Path) -> None:
    seen: list[tuple[str, object]] = []

    class Told(NoHub):
        @override
        async def call(self, method: str, params: object, *, timeout_s: float) -> object:
            seen.append((method, params))
            if method == calls.ISSUER_BEGIN:
                return {"url": "https://login.example/authorize?x=1", "binding": "b"}
            if isinstance(params, calls.Return) and params.code == "good":
                return {"token": "tgs-t", "to": "//evil.example"}
            raise CallFailed("no_role", "401 nothing gives you a role here")

    door = sign_in(hub=Told())
    leaving = Visitor("GET", "/sign-in/oidc", query=b"to=/costs")
    assert await door.answer(leaving, {})  # type: ignore[arg-type]
    assert leaving.headers[b"location"] == b"https://login.example/authorize?x=1"
    binding = leaving.headers[b"set-cookie"].split(b";")[0]
    for query, status in ((b"code=good&state=s", 303), (b"code=bad&state=s", 401), (b"error=denied", 401)):
        back = Visitor("GET", "/sign-in/callback", query=query)
        assert await door.answer(back, {b"cookie": binding})  # type: ignore[arg-type]
        assert back.status == status
        if status == 303:
            assert back.headers[b"location"] == b"/"
    assert seen[0] == (calls.ISSUER_BEGIN, "/costs")
    assert seen[1][1] == calls.Return("s", "good", "b", "127.0.0.1")
    assert [method for method, _ in seen] == [calls.ISSUER_BEGIN, calls.ISSUER_END, calls.ISSUER_END]
