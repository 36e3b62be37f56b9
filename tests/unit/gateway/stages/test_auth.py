"""Keys, open mode, and which hosts and origins are answered."""

from __future__ import annotations

import hashlib

import pytest

from gateway.errors import Forbidden, Unauthenticated
from gateway.settings import Cors, Key, Server, Settings
from gateway.stages.auth import Auth

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


def test_with_keys_any_host_is_answered() -> None:
    assert closed().admit({b"host": b"gw.example", b"origin": b"https://x.example"}) == b""
