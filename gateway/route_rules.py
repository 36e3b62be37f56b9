"""Every route of the public port and what it takes to be let in: the one table that says so.

A path is literal but for `{id}`, which stands for one segment, and `{rest}`, which stands for anything, slashes too.
The first row that fits counts. Calls of models are not here: `gateway/surfaces.py` lists their paths, and each of
them needs the scope `call`. What no row names needs `read` to be asked for and `write` to be changed, so that
nobody without these learns even that there is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Literal, NamedTuple

from gateway.principal import Scope

Needs = Scope | Literal["nothing", "a key"]
"""`nothing`: anybody is answered. `a key`: any one, or a session."""

READING = ("GET", "HEAD", "OPTIONS")


class Rule(NamedTuple):
    """What one route needs. `ours`: only this installation's own sockets open it; over the port it is not there."""

    methods: tuple[str, ...]
    path: str
    needs: Needs
    ours: bool = False


_GET = ("GET", "HEAD")
_ANY = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def _rows(methods: tuple[str, ...], needs: Needs, paths: str, *, ours: bool = False) -> Iterable[Rule]:
    return (Rule(methods, path, needs, ours) for path in paths.split())


RULES: tuple[Rule, ...] = (
    # the worker's own
    *_rows(_GET, "nothing", "/health/live /health/ready /sign-in/oidc /sign-in/callback"),
    *_rows(("POST",), "nothing", "/sign-in"),
    *_rows(("GET", "HEAD", "POST"), "nothing", "/sign-out"),
    *_rows(("GET", "HEAD", "POST"), "a key", "/account"),
    *_rows(_GET, "a key", "/models /v1/models /v1/v1/models /anthropic/models /anthropic/v1/models"),
    *_rows(
        _GET, "a key", "/models/{rest} /v1/models/{rest} /v1/v1/models/{rest} /anthropic/models/{rest}"
        " /anthropic/v1/models/{rest}",
    ),
    *_rows(
        _GET, "a key", "/v1beta/models /v1alpha/models /gemini/v1beta/models /gemini/v1alpha/models"
        " /gemini/v1/models /api/google/gemini/v1beta/models /api/google/gemini/v1alpha/models"
        " /api/google/gemini/v1/models /v1beta/models/{rest} /v1alpha/models/{rest} /gemini/v1beta/models/{rest}"
        " /gemini/v1alpha/models/{rest} /gemini/v1/models/{rest} /api/google/gemini/v1beta/models/{rest}"
        " /api/google/gemini/v1alpha/models/{rest} /api/google/gemini/v1/models/{rest}",
    ),
    *_rows(_GET, "view", "/api/routes"),
    # the control API
    *_rows(_ANY, "a key", "/api/me /api/me/{rest}"),
    *_rows(_ANY, "owner", "/api/credentials /api/credentials/{rest}"),
    *_rows(_GET, "costs", "/api/budgets /api/budgets/{rest}"),
    *_rows(
        _ANY, "admin", "/api/keys /api/keys/{rest} /api/projects /api/projects/{rest} /api/people"
        " /api/people/{rest} /api/teams /api/teams/{rest} /api/budgets /api/budgets/{rest} /api/limits"
        " /api/limits/{rest} /api/audit /api/apply /api/admin/openapi.json",
    ),
    # memories; the key's memory switch counts, too
    *_rows(("POST",), "owner", "/api/memories/reindex"),
    *_rows(_ANY, "memory", "/api/memories /api/memories/{rest}"),
    # the query API
    *_rows(
        _GET, "costs", "/api/costs /api/costs/export /api/users /api/models /api/providers /api/users/cost"
        " /api/users/{id}/cost",
    ),
    *_rows(_GET, "read", "/api/calls/export /api/search /api/errors"),
    *_rows(
        _GET, "view", "/api/calls /api/calls/{id} /api/events /api/events/{id} /api/threads /api/threads/{id}"
        " /api/latency /api/steps /api/steps/memory /api/compare",
    ),
    *_rows(("DELETE",), "write", "/api/users /api/users/{id}"),
    # logs of others
    *_rows(("POST",), "write", "/api/request-logs /api/request-logs/ /api/request-logs/create/"),
    *_rows(
        ("POST",), "read", "/api/request-logs/list /api/request-logs/list/ /api/request-logs/summary"
        " /api/request-logs/summary/ /api/log_threads /api/log_threads/ /api/users/list /api/users/list/",
    ),
    *_rows(_GET, "read", "/api/request-logs/{rest} /api/users/{id} /api/users/{id}/"),
    *_rows(("PATCH",), "write", "/api/request-logs/{rest} /api/users/{id} /api/users/{id}/"),
    # upkeep: commands ask over the process's own socket
    *_rows(_GET, "read", "/api/journal /api/journal/verify", ours=True),
    *_rows(("POST",), "write", "/api/journal/replay /api/prices/rerate /api/users/lift", ours=True),
    # pages
    *_rows(_GET, "costs", "/costs /users /favicon.ico /docs /openapi.json"),
    *_rows(_ANY, "costs", "/_nicegui/{rest} /_nicegui_ws/{rest}"),
    *_rows(_GET, "view", "/ /calls /calls/{rest} /events/{rest} /threads /steps"),
    *_rows(_GET, "read", "/errors /metrics /health"),
)  # fmt: skip


def rule_for(method: str, path: str) -> Rule | None:
    """Return the row that counts for a request."""
    for pattern, rule in _patterns():
        if method in rule.methods and pattern.fullmatch(path):
            return rule
    return None


def needs(method: str, path: str) -> Needs:
    """Return what a request needs to be let in."""
    rule = rule_for("GET" if method == "OPTIONS" else method, path)
    if rule is not None:
        return rule.needs
    return "read" if method in READING else "write"


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], Rule], ...]:
    return tuple((re.compile(_pattern(rule.path), re.DOTALL), rule) for rule in RULES)


def _pattern(path: str) -> str:
    return re.escape(path).replace(r"\{id\}", "[^/]+").replace(r"\{rest\}", ".*")
