"""Keys, open mode, and which hosts and origins are answered."""

from __future__ import annotations

import hashlib

import pytest

from gateway.errors import Forbidden, Unauthenticated, Unavailable
from gateway.internal import BEHALF, KEY_ID, token_of
from gateway.keyring import Keyring
from gateway.principal import SCOPES
from gateway.settings import Cors, Key, Server, Settings
from gateway.stages.auth import Auth
from tests.fakes.keys import HandClock, digest, page, row

KEY = "tg-0123456789"


def auth(settings: Settings | None = None) -> Auth:
    return Auth(settings or Settings(), fingerprint_secret=b"secret")


def closed() -> Auth:
    return auth(Settings(keys=(Key(name="ci", hash=hashlib.sha256(KEY.encode()).hexdigest(), project="p1"),)))


def test_a_key_is_known_by_its_hash() -> None:
    principal, secret = closed().identify({b"authorization": f"Bearer {KEY}".encode()})

    assert (principal.key_id, principal.project, principal.open) == ("ci", "p1", False)
    assert secret == ""


@pytest.mark.parametrize("name", [b"x-api-key", b"api-key"])
def test_a_key_may_come_in_the_header_of_other_sdks(name: bytes) -> None:
    assert closed().identify({name: KEY.encode()})[0].key_id == "ci"


def test_no_key_is_told_apart_from_a_wrong_one() -> None:
    with pytest.raises(Unauthenticated) as missing:
        closed().identify({})
    with pytest.raises(Unauthenticated) as wrong:
        closed().identify({b"authorization": b"Bearer tg-wrong-key"})

    assert (missing.value.code, wrong.value.code) == ("missing_api_key", "invalid_api_key")
    assert "wrong-key" not in str(wrong.value)


def test_open_mode_knows_a_foreign_key_by_its_fingerprint_only() -> None:
    headers = {b"authorization": b"Bearer sk-foreign"}

    principal, secret = auth().identify(headers)
    again, _ = auth().identify(headers)
    other = Auth(Settings(), fingerprint_secret=b"another").identify(headers)[0]

    assert secret == "sk-foreign"
    assert principal.open
    assert principal.key_id.startswith("fp-")
    assert principal == again
    assert other.key_id != principal.key_id


def test_open_mode_without_a_key_is_open() -> None:
    assert auth().identify({})[0].key_id == "open"


@pytest.mark.parametrize("host", [b"localhost:4000", b"127.0.0.1:4000", b"[::1]:4000", b"LOCALHOST"])
def test_open_mode_answers_this_machine(host: bytes) -> None:
    assert auth().admit({b"host": host}) == b""


@pytest.mark.parametrize(
    "host", [b"evil.example", b"evil.example:4000", b"", b"localhost.evil.example", b"[::1"]
)
def test_open_mode_refuses_a_host_that_somebody_elses_dns_could_point_here(host: bytes) -> None:
    with pytest.raises(Forbidden) as refused:
        auth().admit({b"host": host})

    assert refused.value.code == "host_not_allowed"


def test_a_configured_name_is_answered() -> None:
    settings = Settings(server=Server(names=("tide.internal",)))

    assert auth(settings).admit({b"host": b"tide.internal:4000"}) == b""


def test_open_mode_refuses_the_page_of_a_foreign_origin() -> None:
    with pytest.raises(Forbidden) as refused:
        auth().admit({b"host": b"localhost:4000", b"origin": b"https://evil.example"})

    assert refused.value.code == "origin_not_allowed"


def test_its_own_pages_are_no_foreign_origin() -> None:
    assert auth().admit({b"host": b"localhost:4000", b"origin": b"http://localhost:4000"}) == b""


def test_a_configured_origin_may_read_the_answer() -> None:
    settings = Settings(cors=Cors(origins=("https://app.example",)))

    assert (
        auth(settings).admit({b"host": b"localhost", b"origin": b"https://app.example"})
        == b"https://app.example"
    )


def test_a_key_of_the_settings_may_do_what_they_say() -> None:
    key = Key(
        name="ci",
        hash=hashlib.sha256(KEY.encode()).hexdigest(),
        scopes=("call",),
        models=("a",),
        memory="off",
    )
    principal, _ = auth(Settings(keys=(key,))).identify({b"x-api-key": KEY.encode()})

    assert (principal.scopes, principal.models, principal.memory) == (("call",), ("a",), "off")


def test_the_first_virtual_key_closes_open_mode_and_its_end_does_not_open_it_again() -> None:
    ring = Keyring({}, HandClock())
    door = Auth(Settings(), fingerprint_secret=b"secret", keyring=ring)
    assert door.identify({})[0].open
    assert door.identify({})[0].scopes == SCOPES

    assert ring.take(page(0, 1, row("key_1", KEY)))
    with pytest.raises(Unauthenticated) as missing:
        door.identify({})
    assert missing.value.code == "missing_api_key"
    assert door.identify({b"x-api-key": KEY.encode()})[0].key_id == "key_1"
    assert door.known(digest(KEY).hex()) is not None
    assert ring.take(page(1, 2, row("key_1", KEY, revoked=True)))
    for headers in ({}, {b"x-api-key": KEY.encode()}):
        with pytest.raises(Unauthenticated):
            door.identify(headers)


def test_what_other_machines_reach_is_never_open() -> None:
    public = Auth(Settings(server=Server(host="0.0.0.0")), fingerprint_secret=b"secret")

    assert not public.open
    with pytest.raises(Unauthenticated):
        public.identify({})


def test_who_may_not_have_heard_of_the_keys_lets_nobody_in_and_calls_nobody_wrong() -> None:
    door = Auth(Settings(), fingerprint_secret=b"s", keyring=Keyring({}, HandClock(), certain=False))
    for headers in ({}, {b"x-api-key": KEY.encode()}):
        with pytest.raises(Unavailable):
            door.identify(headers)


def test_with_keys_any_host_is_answered() -> None:
    assert closed().admit({b"host": b"gw.example", b"origin": b"https://x.example"}) == b""


def test_a_call_of_the_house_itself_is_known_whatever_the_mode() -> None:
    token = token_of(b"secret of the house")
    headers = {b"authorization": f"Bearer {token}".encode(), BEHALF: b'{"project":"p9","environment":"test"}'}
    keyed = Settings(keys=(Key(name="ci", hash=hashlib.sha256(KEY.encode()).hexdigest()),))
    for settings in (Settings(), keyed):
        principal, secret = Auth(settings, fingerprint_secret=b"x", internal=token).identify(headers)
        assert (principal.key_id, principal.project, principal.internal, secret) == (KEY_ID, "p9", True, "")
        assert not principal.open
        with pytest.raises(Unauthenticated):
            Auth(settings, fingerprint_secret=b"x", internal=token_of(b"another")).identify(headers)
    with pytest.raises(Unauthenticated):
        auth(keyed).identify(headers)
