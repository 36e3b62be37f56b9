"""The table of routes: whatever some part of the house answers at has a row, and each row fits what it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.access import ADMIN_PATHS
from gateway.principal import SCOPES
from gateway.route_rules import RULES, needs, rule_for
from tests.fakes.every_route import every_route, filled


def test_every_route_of_every_part_has_a_rule(tmp_path: Path) -> None:
    routes = every_route(tmp_path)
    without = [(method, path) for method, path in routes if rule_for(method, filled(path)) is None]

    assert without == []
    assert len(routes) > 90


def test_a_route_without_a_rule_would_be_found() -> None:
    assert rule_for("GET", "/api/brand-new") is None
    assert rule_for("DELETE", "/api/costs") is None


def test_nothing_of_the_administration_is_open_to_less_than_an_admin() -> None:
    for root in ADMIN_PATHS:
        if root in ("/api/me", "/api/budgets", "/api/limits"):
            continue
        for path in (root, f"{root}/x", f"{root}/x/y"):
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                if rule_for(method, path) is not None:
                    assert needs(method, path) in ("admin", "owner"), (method, path)


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "/api/users/ada/cost", "costs"),
        ("GET", "/api/users/ada", "read"),
        ("DELETE", "/api/users/ada", "write"),
        ("POST", "/api/users/list/", "read"),
        ("GET", "/api/calls/export", "read"),
        ("GET", "/api/calls/0192", "view"),
        ("OPTIONS", "/api/calls/0192", "view"),
        ("GET", "/events/a/b\nc", "view"),
        ("GET", "/api/keysmith", "read"),
        ("PUT", "/api/keysmith", "write"),
        ("GET", "/health/ready", "nothing"),
        ("POST", "/health/ready", "write"),
        ("POST", "/api/memories/reindex", "owner"),
        ("POST", "/api/memories/search", "memory"),
    ],
)
def test_the_first_row_that_fits_counts(method: str, path: str, needed: str) -> None:
    assert needs(method, path) == needed


def test_rows_name_scopes_there_are_and_none_stands_twice() -> None:
    assert {rule.needs for rule in RULES} <= {*SCOPES, "nothing", "a key"}
    seen = [(method, rule.path) for rule in RULES for method in rule.methods]
    doubled = {one for one in seen if seen.count(one) > 1}
    # who sees costs sees budgets; the rest of their methods are an admin's
    assert {path.split("/")[2] for _, path in doubled} <= {"budgets"}
