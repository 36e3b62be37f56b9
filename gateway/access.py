"""What the scopes of a key open, and how its patterns are matched."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from gateway.errors import Forbidden
from gateway.principal import Memory, Principal, Scope
from gateway.roles import opens
from gateway.route_rules import READING, needs

ADMIN_PATHS = (
    *("/api/keys", "/api/projects", "/api/audit", "/api/admin"),
    *("/api/people", "/api/me", "/api/teams", "/api/credentials", "/api/budgets", "/api/limits"),
    "/api/apply",
)
"""What the hub's control API owns, with all below."""
MEMORY_PATH = "/api/memories"
_MEMORY_READS = (f"{MEMORY_PATH}/search", f"{MEMORY_PATH}/list")
"""Asked with a body, and changing nothing."""
_LEDGER = ("read", "view", "costs", "write")


@lru_cache(maxsize=4096)
def matches(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of the patterns fits the whole name; `*` fits any part of it, slashes too."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def check_path(principal: Principal, method: str, path: str) -> None:
    """Raise Forbidden if the key does not open this path, which is not one of a model's calls."""
    needed = needs(method, path)
    if needed == "memory":
        need(principal, "memory")
        reads = method in READING or path in _MEMORY_READS
        if principal.memory not in ("on", "read" if reads else "write"):
            raise Forbidden(
                f"this key may not {'read' if reads else 'change'} memories", code="memory_not_allowed"
            )
    elif needed != "nothing" and needed != "a key":
        need(principal, needed)
        if principal.users and needed in _LEDGER:
            raise Forbidden(
                "this key is for some users only, and the ledger shows those of a whole project: use another key",
                code="user_not_allowed",
            )


def need(principal: Principal, scope: Scope) -> None:
    """Raise Forbidden if none of the key's scopes opens what needs this one."""
    if scope not in principal.scopes and not opens(principal.scopes, scope):
        raise Forbidden(f"this key lacks the scope {scope!r}", code="scope_missing")


def narrowed(wanted: Memory, allowed: Memory) -> Memory:
    """Return what is left of a wanted memory switch under a key that allows only so much."""
    if allowed in ("on", wanted):
        return wanted
    return allowed if wanted == "on" else "off"
