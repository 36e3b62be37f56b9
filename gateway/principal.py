"""On whose behalf a call is made."""

from __future__ import annotations

from typing import Literal

import msgspec


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """What a key stands for. In open mode: the fingerprint of whatever key the client sent."""

    key_id: str
    project: str = "default"
    environment: str = "prod"
    store: Literal["full", "metadata", "none"] = "full"
    open: bool = False
    """Nobody issued this key: the installation takes any, as it listens on this machine only."""
