"""The providers this installation knows: the catalog's rows and the settings' changes to them."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal

import msgspec

from gateway.providers.anthropic import Anthropic
from gateway.providers.base import Provider
from gateway.providers.gemini import Gemini
from gateway.providers.openai import OpenAICompatible
from gateway.providers.sandbox import MODELS, Sandbox
from gateway.settings import ProviderSettings

Api = Literal["openai", "anthropic", "gemini"]
"""Whose API a provider has."""

APIS: Mapping[Api, type[OpenAICompatible | Anthropic | Gemini]] = {
    "openai": OpenAICompatible,
    "anthropic": Anthropic,
    "gemini": Gemini,
}


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of one provider; see the head of catalog.toml."""

    base_url: str
    api: Api = "openai"
    key_variable: str = ""
    prefixes: tuple[str, ...] = ()
    include_usage: bool
    hang_up: Literal["stops", "goes_on", "unknown"]
    native: tuple[str, ...] = ()
    surfaces: frozenset[str] = frozenset()
    keyless: bool = False
    source: tuple[str, ...]
    date: datetime.date


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A provider and what routing has to know of it."""

    provider: Provider
    secret: str = ""
    keyless: bool = False
    key_variable: str = ""
    native: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    hang_up: Literal["stops", "goes_on", "unknown"] = "unknown"
    configured: bool = False
    """It stands in the settings."""

    @property
    def usable(self) -> bool:
        """Whether calls can be sent without the client's own key."""
        return bool(self.secret) or (self.keyless and self.configured)


class Catalog:
    """The shipped table of providers."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self.rows = rows

    @classmethod
    def load(cls) -> Catalog:
        """Read the table that lies beside this module."""
        return cls.parse(files("gateway.providers").joinpath("catalog.toml").read_text("utf-8"))

    @classmethod
    def parse(cls, text: str) -> Catalog:
        """Read a table; raise ValueError (msgspec's or tomllib's) if it is not one."""
        table: dict[str, Any] = tomllib.loads(text)
        return cls(msgspec.convert(table, dict[str, Row]))

    def key_variables(self) -> dict[str, str]:
        """Return the environment variable that holds each provider's key."""
        return {name: row.key_variable for name, row in self.rows.items() if row.key_variable}


def build(settings: Mapping[str, ProviderSettings], catalog: Catalog) -> dict[str, Known]:
    """Make every provider of the catalog and of the settings, and the sandbox.

    `api_key` holds the resolved key, wherever it came from. Raises ValueError naming the setting at fault.
    """
    known = {
        name: _known(name, catalog.rows.get(name), settings.get(name))
        for name in {**catalog.rows, **settings}
    }
    if "sandbox" in settings:
        raise ValueError("providers.sandbox: this name belongs to the sandbox that is built in")
    sandbox = Known(provider=Sandbox(), keyless=True, models=MODELS, hang_up="stops", configured=True)
    return {**known, "sandbox": sandbox}


def _known(name: str, row: Row | None, said: ProviderSettings | None) -> Known:
    if not name or "/" in name:
        raise ValueError(f"providers.{name}: a provider's name may not be empty or hold a slash")
    changes = said or ProviderSettings()
    base_url = changes.base_url or (row.base_url if row else "")
    if not base_url:
        raise ValueError(f"providers.{name}.base_url: needed, as the catalog has no provider of this name")
    include_usage = changes.include_usage and (row.include_usage if row and not changes.base_url else True)
    try:
        provider = APIS[changes.api or (row.api if row else "openai")](
            name, base_url, include_usage=include_usage, ca_file=changes.ca_file
        )
    except ValueError as error:
        raise ValueError(f"providers.{name}.base_url: {error}") from error
    if row is not None and row.surfaces and not changes.base_url:
        provider.speaks = row.surfaces | {f"{row.api}.passthrough"}
    own_place = bool(changes.base_url) and not changes.api_key and not changes.api_key_env
    return Known(
        provider=provider,
        secret=changes.api_key,
        keyless=(row.keyless if row else False) or own_place,
        key_variable=changes.api_key_env or (row.key_variable if row else ""),
        native=row.native if row else (),
        models=changes.models,
        prefixes=changes.prefixes + (row.prefixes if row else ()),
        hang_up=row.hang_up if row else "unknown",
        configured=said is not None,
    )
