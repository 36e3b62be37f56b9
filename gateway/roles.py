"""What people may do, by their role in a project.

    role       may
    owner      everything, in all projects; makes owners, and keeps the keys of providers
    admin      everything in the project: its keys, people, teams, limits and budgets
    engineer   calls models with tokens of their own, reads all that was said, changes records and memories
    finance    sees sums of money and tokens; no single call, and nothing that was said
    viewer     sees each call with its numbers, errors by their kind; nothing that was said
    service    calls models; it is a program, so it has a key and cannot sign in

A session of a browser has the scopes of its role but `call`: a cookie never opens a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from gateway.principal import Scope

Role = Literal["owner", "admin", "engineer", "finance", "viewer", "service"]
ROLE_NAMES: tuple[Role, ...] = get_args(Role)

EVERYWHERE = "*"
"""In place of a project: the role counts in each."""

ROLES: Mapping[Role, tuple[Scope, ...]] = {
    "owner": ("call", "read", "write", "memory", "admin", "owner"),
    "admin": ("call", "read", "write", "memory", "admin"),
    "engineer": ("call", "read", "write", "memory"),
    "finance": ("costs",),
    "viewer": ("view",),
    "service": ("call",),
}

WIDER: Mapping[Scope, frozenset[Scope]] = {
    "costs": frozenset(("costs", "view", "read")),
    "view": frozenset(("view", "read")),
    "admin": frozenset(("admin", "owner")),
}
"""Scopes that open what this one does; of the others only itself."""


def opens(scopes: tuple[Scope, ...], scope: Scope) -> bool:
    """Whether one of these scopes opens what needs this one."""
    return not WIDER.get(scope, {scope}).isdisjoint(scopes)


def role_in(roles: Mapping[str, Role], project: str) -> Role | None:
    """Return the role that somebody has in a project, if any: its own one, else the one everywhere."""
    return roles.get(project) or roles.get(EVERYWHERE)


def session_scopes(role: Role) -> tuple[Scope, ...]:
    """Return what a browser may do for somebody of this role."""
    return tuple(scope for scope in ROLES[role] if scope != "call")
