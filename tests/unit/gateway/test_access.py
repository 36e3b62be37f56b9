"""What scopes open, how patterns fit, and what is left of a memory switch."""

from __future__ import annotations

from itertools import product
from typing import Literal

import pytest

from gateway.access import check_path, matches, narrowed, need
from gateway.errors import Forbidden
from gateway.principal import SCOPES, USUAL_SCOPES, Memory, Principal, Scope
from gateway.roles import WIDER

PATHS: list[tuple[str, str, Scope]] = [
    ("GET", "/api/calls", "view"),
    ("HEAD", "/", "view"),
    ("GET", "/api/search", "read"),
    ("GET", "/api/costs", "costs"),
    ("PUT", "/api/credentials/openai", "owner"),
    ("GET", "/api/nothing", "read"),
    ("POST", "/api/nothing", "write"),
    ("GET", "/metrics", "read"),
    ("POST", "/api/request-logs/create", "write"),
    ("DELETE", "/api/users", "write"),
    ("GET", "/api/memories", "memory"),
    ("POST", "/api/memories/search", "memory"),
    ("GET", "/api/keys", "admin"),
    ("POST", "/api/keys/key_1/revoke", "admin"),
    ("GET", "/api/audit", "admin"),
    ("GET", "/api/projects", "admin"),
    ("GET", "/api/admin/openapi.json", "admin"),
]


@pytest.mark.parametrize(("method", "path", "scope"), PATHS)
def test_a_path_needs_its_scope_and_no_other(method: str, path: str, scope: Scope) -> None:
    check_path(Principal(key_id="k", scopes=(scope,)), method, path)
    others = tuple(one for one in SCOPES if one not in WIDER.get(scope, {scope}))
    with pytest.raises(Forbidden) as refused:
        check_path(Principal(key_id="k", scopes=others), method, path)
    assert refused.value.code == "scope_missing"
    assert scope in str(refused.value)


def test_a_key_of_the_settings_opens_all_but_the_administration() -> None:
    need(Principal(key_id="k"), "call")
    for method, path, scope in PATHS:
        if scope not in ("admin", "owner"):
            check_path(Principal(key_id="k"), method, path)
    with pytest.raises(Forbidden):
        check_path(Principal(key_id="k", scopes=USUAL_SCOPES), "GET", "/api/keys")


def test_a_name_that_only_begins_like_a_path_is_another_one() -> None:
    check_path(Principal(key_id="k", scopes=("read",)), "GET", "/api/keysmith")


@pytest.mark.parametrize(
    ("memory", "reads", "writes"),
    [("on", True, True), ("read", True, False), ("write", False, True), ("off", False, False)],
)
def test_the_memory_api_obeys_the_keys_switch(memory: Memory, *, reads: bool, writes: bool) -> None:
    principal = Principal(key_id="k", memory=memory)
    asked = [("GET", "", reads), ("POST", "/search", reads), ("POST", "", writes), ("PUT", "/1", writes)]
    for method, below, allowed in [*asked, ("DELETE", "/1", writes), ("GET", "/1/history", reads)]:
        if allowed:
            check_path(principal, method, f"/api/memories{below}")
        else:
            with pytest.raises(Forbidden) as refused:
                check_path(principal, method, f"/api/memories{below}")
            assert refused.value.code == "memory_not_allowed"


@pytest.mark.parametrize(
    ("patterns", "name", "fits"),
    [
        (("gpt-*",), "gpt-5", True),
        (("gpt-*",), "openai/gpt-5", False),
        (("openai/*",), "openai/ft:gpt-5/x", True),
        (("GPT-5",), "gpt-5", False),
        (("a", "b"), "b", True),
        (("gpt-5",), "gpt-5-mini", False),
        (("*-5",), "gpt-5\n", False),
    ],
)
def test_a_pattern_fits_whole_names_letter_by_letter(
    patterns: tuple[str, ...], name: str, *, fits: bool
) -> None:
    assert matches(patterns, name) is fits


READS, WRITES = {"on", "read"}, {"on", "write"}


@pytest.mark.parametrize(("wanted", "allowed"), list(product(("on", "read", "write", "off"), repeat=2)))
def test_a_key_can_only_narrow(
    wanted: Literal["on", "read", "write", "off"], allowed: Literal["on", "read", "write", "off"]
) -> None:
    left = narrowed(wanted, allowed)

    assert (left in READS) == (wanted in READS and allowed in READS)
    assert (left in WRITES) == (wanted in WRITES and allowed in WRITES)


def test_a_key_for_some_users_opens_no_ledger_of_all() -> None:
    limited = Principal(key_id="k", scopes=SCOPES, users=("ada",))
    for method, path, scope in PATHS:
        if scope in ("read", "view", "costs", "write"):
            with pytest.raises(Forbidden) as refused:
                check_path(limited, method, path)
            assert refused.value.code == "user_not_allowed"
        else:
            check_path(limited, method, path)
