"""On whose behalf a call is made."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Scope = Literal["call", "read", "write", "memory", "admin", "owner", "view", "costs"]
"""What a key opens: calls of models; all that is recorded of its project; bringing and erasing records; memories; the
administration of its project; that of all projects; each call without what was said; sums of money and tokens."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
USUAL_SCOPES: tuple[Scope, ...] = ("call", "read", "write", "memory")
"""Of keys in the configuration file that name none."""

PERSON_ID = "person_"
"""How the key ids of people begin who are signed in; their `owner` is then their e-mail address."""

Memory = Literal["on", "read", "write", "off"]
Store = Literal["full", "metadata", "none"]


class Principal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a key stands for. In open mode: the fingerprint of whatever key the client sent.

    `models`, `users` and `surfaces` hold patterns like `gpt-*`; empty: all.
    """

    key_id: str
    project: str = "default"
    environment: str = "prod"
    store: Store = "full"
    open: bool = False
    """Nobody issued this key: the installation takes any, as it listens on this machine only."""
    owner: str = ""
    """Who answers for it."""
    team: str = ""
    scopes: tuple[Scope, ...] = USUAL_SCOPES
    models: tuple[str, ...] = ()
    """Names of routes, or `provider/model`."""
    users: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    memory: Memory = "on"
    """The most that a call may ask for."""
    virtual: bool = False
    """Issued by the hub, so it can expire, and nothing is known of it for ever."""
    expires_us: int = 0
    """Microseconds since 1970; 0: never."""
    serve_stale: bool = False
    """Goes on to count when the hub has not been heard for `control.max_stale_s`."""
    stale: bool = False
    """That is so now."""
    internal: bool = False
    """The house asks itself, on behalf of a user: outside what limits clients, inside budgets."""
