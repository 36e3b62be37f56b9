from __future__ import annotations

import msgspec
import pytest

from gateway.errors import Unauthenticated
from gateway.internal import BEHALF, KEY_ID, PREFIX, Behalf, internal_principal, token_of

TOKEN = token_of(b"s" * 32)


def behalf(project: str = "p", environment: str = "test") -> dict[bytes, bytes]:
    return {BEHALF: msgspec.json.encode(Behalf(project, environment))}


def test_a_call_of_the_house_counts_for_whom_it_is_made() -> None:
    found = internal_principal(TOKEN, TOKEN, behalf("caf%C3%A9", "test"))

    assert (found.key_id, found.project, found.environment) == (KEY_ID, "café", "test")
    assert (found.memory, found.scopes, found.internal) == ("off", ("call",), True)


@pytest.mark.parametrize("token", [PREFIX, TOKEN[:-1], TOKEN + "0", token_of(b"t" * 32), PREFIX + "\udcff"])
def test_another_token_opens_nothing(token: str) -> None:
    with pytest.raises(Unauthenticated):
        internal_principal(token, TOKEN, behalf())


@pytest.mark.parametrize(
    "header", [b"", b"{}", b'{"project": "p"}', b"\xff", b'{"project":1,"environment":2}']
)
def test_a_call_for_nobody_is_refused(header: bytes) -> None:
    with pytest.raises(Unauthenticated):
        internal_principal(TOKEN, TOKEN, {BEHALF: header})


def test_houses_have_tokens_of_their_own() -> None:
    assert token_of(b"a") != token_of(b"b")
    assert token_of(b"a").startswith(PREFIX)
