"""What the scopes of a key open, and how its patterns are matched."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

from gateway.errors import Forbidden
from gateway.principal import Memory, Principal, Scope

ADMIN_PATHS = ("/api/keys", "/api/projects", "/api/audit", "/api/admin")
MEMORY_PATH = "/api/memories"
_READING = ("GET", "HEAD", "OPTIONS")


@lru_cache(maxsize=4096)
def matches(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of the patterns fits the whole name; `*` fits any part of it, slashes too."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def check_path(principal: Principal, method: str, path: str) -> None:
    """Raise Forbidden if the key does not open this path, which is not one of a model's calls."""
    if _below(path, ADMIN_PATHS):
        need(principal, "admin")
    elif _below(path, (MEMORY_PATH,)):
        need(principal, "memory")
        reads = method in _READING or path == f"{MEMORY_PATH}/search"
        if principal.memory not in ("on", "read" if reads else "write"):
            raise Forbidden(
                f"this key may not {'read' if reads else 'change'} memories", code="memory_not_allowed"
            )
    else:
        need(principal, "read" if method in _READING else "write")


def need(principal: Principal, scope: Scope) -> None:
    """Raise Forbidden if the key lacks the scope; the owner's opens what an admin's does."""
    scopes = principal.scopes
    if scope not in scopes and not (scope == "admin" and "owner" in scopes):
        raise Forbidden(f"this key lacks the scope {scope!r}", code="scope_missing")


def narrowed(wanted: Memory, allowed: Memory) -> Memory:
    """Return what is left of a wanted memory switch under a key that allows only so much."""
    if allowed in ("on", wanted):
        return wanted
    return allowed if wanted == "on" else "off"


def _below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)
