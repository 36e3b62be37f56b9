"""The providers this installation knows: the catalog's rows and the settings' changes to them."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Literal

import msgspec

from gateway.clock import SystemClock
from gateway.providers.anthropic import Anthropic
from gateway.providers.azure import AzureOpenAI
from gateway.providers.base import Provider
from gateway.providers.bedrock import Bedrock
from gateway.providers.gemini import Gemini
from gateway.providers.google_account import Account, read_account
from gateway.providers.litellm import LiteLLM
from gateway.providers.openai import OpenAICompatible
from gateway.providers.sandbox import MODELS, Sandbox
from gateway.providers.vertex import ANTHROPIC, VertexAnthropic, VertexGemini, home
from gateway.settings import ProviderSettings

Api = Literal["openai", "anthropic", "gemini", "azure", "bedrock", "vertex", "litellm"]
"""Whose API a provider has."""

APIS: Mapping[str, type[OpenAICompatible | Anthropic | Gemini]] = {
    "openai": OpenAICompatible,
    "anthropic": Anthropic,
    "gemini": Gemini,
}
"""Those of which a URL says everything."""
_ELSEWHERE = {"vertex": "GOOGLE_APPLICATION_CREDENTIALS"}
"""The variable that names a file with the key."""
_PLACED = frozenset({"bedrock", "vertex", "litellm"})
"""Those that need no URL: region and project say where they are, or they are in this house."""
_READY = frozenset({"bedrock", "litellm"})
"""Of those, the ones that need no other setting either."""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of one provider; see the head of catalog.toml."""

    base_url: str = ""
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
    others: Mapping[str, Provider] = {}
    """Who is asked instead for models whose names begin so."""
    secret: str = ""
    """What is sent; of an account, its name: what is sent then is a token."""
    account: Account | None = None
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

    def of(self, model: str) -> Provider:
        """Return who is asked for this model."""
        if self.others:
            return next(
                (other for start, other in self.others.items() if model.startswith(start)), self.provider
            )
        return self.provider


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


_now_us = SystemClock().now_us


def build(
    settings: Mapping[str, ProviderSettings],
    catalog: Catalog,
    now_us: Callable[[], int] = _now_us,
    *,
    litellm: str = "",
) -> dict[str, Known]:
    """Make every provider of the catalog and of the settings, and the sandbox; some need the time to sign by.

    `api_key` holds the resolved key, wherever it came from; `litellm` is the socket of litellm's process.
    Raises ValueError naming the setting at fault.
    """
    known = {
        name: _known(name, catalog.rows.get(name), settings.get(name), now_us, litellm)
        for name in {**catalog.rows, **settings}
        if name in settings or catalog.rows[name].base_url or catalog.rows[name].api in _READY
    }
    if "sandbox" in settings:
        raise ValueError("providers.sandbox: this name belongs to the sandbox that is built in")
    sandbox = Known(provider=Sandbox(), keyless=True, models=MODELS, hang_up="stops", configured=True)
    return {**known, "sandbox": sandbox}


def _known(
    name: str, row: Row | None, said: ProviderSettings | None, now_us: Callable[[], int], litellm: str
) -> Known:
    if not name or "/" in name:
        raise ValueError(f"providers.{name}: a provider's name may not be empty or hold a slash")
    changes = said or ProviderSettings()
    api = changes.api or (row.api if row else "openai")
    if api == "litellm" and changes.base_url:
        api = "openai"  # a proxy that somebody runs elsewhere
    base_url = changes.base_url or (row.base_url if row else "")
    if not base_url and api not in _PLACED:
        raise ValueError(f"providers.{name}.base_url: needed, as the catalog has no provider of this name")
    include_usage = changes.include_usage and (row.include_usage if row and not changes.base_url else True)
    provider: Provider
    others: Mapping[str, Provider] = {}
    account: Account | None = None
    try:
        if api in APIS:
            provider = APIS[api](name, base_url, include_usage=include_usage, ca_file=changes.ca_file)
        elif api == "vertex":
            provider, others, account = _vertex(name, changes)
        elif api == "litellm":
            provider = LiteLLM(name, litellm)
        else:
            provider = _cloud(api, name, changes, include_usage, now_us)
    except ValueError as error:
        place = f"{name}.base_url" if api in APIS else name
        raise ValueError(f"providers.{place}: {error}") from error
    if row is not None and row.surfaces and not changes.base_url:
        provider.speaks = row.surfaces | {f"{row.api}.passthrough"}
    own_place = bool(changes.base_url) and api in APIS and not changes.api_key and not changes.api_key_env
    return Known(
        provider=provider,
        others=others,
        secret=changes.api_key if account is None else account.name,
        account=account,
        keyless=(row.keyless if row else False) or own_place,
        key_variable=changes.api_key_env or (row.key_variable if row else "") or _ELSEWHERE.get(api, ""),
        native=row.native if row else (),
        models=changes.models,
        prefixes=changes.prefixes + (row.prefixes if row else ()),
        hang_up=row.hang_up if row else "unknown",
        configured=said is not None,
    )


def _cloud(
    api: str,
    name: str,
    said: ProviderSettings,
    include_usage: bool,  # noqa: FBT001 - as it is
    now_us: Callable[[], int],
) -> Provider:
    if api == "azure":
        return AzureOpenAI(
            name,
            said.base_url,
            api_version=said.api_version,
            include_usage=include_usage,
            ca_file=said.ca_file,
        )
    return Bedrock(name, said.base_url, region=said.region, now_us=now_us, ca_file=said.ca_file)


def _vertex(name: str, said: ProviderSettings) -> tuple[Provider, Mapping[str, Provider], Account | None]:
    """Return who serves Google's models, who Anthropic's, and the account if the key is one."""
    account = read_account(said.api_key) if said.api_key.startswith("{") else None
    publishers = home(said.base_url, said.project, said.region)
    claude = VertexAnthropic(name, publishers, ca_file=said.ca_file)
    return VertexGemini(name, publishers, ca_file=said.ca_file), {ANTHROPIC: claude}, account
