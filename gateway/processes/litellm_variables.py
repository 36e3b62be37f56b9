"""The variables of litellm's process, where it looks for its keys."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.config import NETWORK_VARIABLES, is_loopback
from gateway.settings import Settings

QUIET = {
    "LITELLM_MODE": "PRODUCTION",  # no .env of the folder we were started in
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
}
"""Keeps litellm from reading and downloading what it was not asked for. Source: litellm 1.106.2 (2026-11)."""

_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIALS")
_SHORTEST = 8
"""Letters of a secret; what is shorter is a word that may stand anywhere."""


def variables(environ: Mapping[str, str], settings: Settings, port: int) -> dict[str, str]:
    """Return ours without those that lead back to our own port, and what the settings add."""
    kept = {name: value for name, value in environ.items() if not _leads_here(value, settings, port)}
    network = {
        name: getattr(settings.network, field)
        for name, (_, field) in NETWORK_VARIABLES.items()
        if getattr(settings.network, field)
    }
    own = settings.providers["litellm"].env if "litellm" in settings.providers else {}
    return {**kept, **network, **own, **QUIET}


def secrets(environ: Mapping[str, str]) -> list[str]:
    """Return the values that nobody may read, the longest first."""
    found = {
        value for name, value in environ.items() if name.upper().endswith(_SECRET) and len(value) >= _SHORTEST
    }
    return sorted(found, key=len, reverse=True)


def _leads_here(value: str, settings: Settings, port: int) -> bool:
    """Say whether this is the address that programs of this machine have of the gateway: we would call ourselves."""
    if not value.startswith(("http://", "https://")):
        return False
    try:
        url = urlsplit(value)
        host, at = url.hostname or "", url.port
    except ValueError:
        return False
    return at == port and (is_loopback(host) or host == settings.server.host)
