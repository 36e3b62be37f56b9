"""What a role may do, and where it counts."""

from __future__ import annotations

import pytest

from gateway.principal import SCOPES, Scope
from gateway.roles import ROLE_NAMES, ROLES, WIDER, Role, opens, role_in, session_scopes


def test_every_role_has_scopes_and_only_those_there_are() -> None:
    assert set(ROLES) == set(ROLE_NAMES)
    for scopes in ROLES.values():
        assert scopes
        assert set(scopes) <= set(SCOPES)


@pytest.mark.parametrize(
    ("role", "opened"),
    [
        ("owner", {*SCOPES}),
        ("admin", {*SCOPES} - {"owner"}),
        ("engineer", {"call", "read", "view", "costs", "write", "memory"}),
        ("viewer", {"view", "costs"}),
        ("finance", {"costs"}),
        ("service", {"call"}),
    ],
)
def test_a_role_opens_what_the_table_says(role: Role, opened: set[Scope]) -> None:
    assert {scope for scope in SCOPES if opens(ROLES[role], scope)} == opened


def test_a_browser_never_calls_a_model() -> None:
    assert all("call" not in session_scopes(role) for role in ROLE_NAMES)
    assert not any("call" in wider for wider in WIDER.values())


def test_a_role_in_the_project_counts_more_than_the_one_everywhere() -> None:
    roles: dict[str, Role] = {"*": "admin", "bank": "viewer"}

    assert role_in(roles, "bank") == "viewer"
    assert role_in(roles, "shop") == "admin"
    assert role_in({"bank": "viewer"}, "shop") is None
