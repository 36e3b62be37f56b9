"""What can be wrong with settings although each value is of the right type: where, what, and the remedy. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from urllib.parse import SplitResult, urlsplit

import msgspec

from gateway.guard_faults import guard_faults
from gateway.settings import (
    Breaker,
    Budget,
    Key,
    Limit,
    Memory,
    ProviderSettings,
    Retries,
    RouteVariant,
    Settings,
    Timeouts,
)
from gateway.yaml_file import Tree, nearest
from gateway.zones import zone_of

Place = tuple[str, ...]
"""Names from the top of the file down to the value."""
Fault = tuple[Place, str, str]
"""Where, what, and the remedy."""

_SANDBOX = "sandbox"
_LITELLM = "litellm"
_PLACED = frozenset({"bedrock", "vertex"})
"""APIs that need no URL: region and project say where they are."""
_CLOUD_SETTINGS = {
    "region": (("bedrock", "vertex"), r"[a-z][a-z0-9-]{0,39}", "eu-central-1"),
    "project": (("vertex",), r"[a-z0-9.:-]{1,100}", "my-project-1"),
    "api_version": (("azure",), r"\d{4}-\d{2}-\d{2}(-preview)?", "2024-10-21"),
    "credentials_file": (("vertex",), r".+", "/etc/tidegate/account.json"),
}
"""Which APIs have a setting, and what it looks like."""
_MOST_ATTEMPTS = 10
_MOST_DIMENSIONS = 65_536
_WITHOUT_ENDPOINT = (
    "Add the endpoint's base_url, or leave it out; `model` may be `fastembed/...` without one."
)
_MOST_TOKENS = 10_000_000
_MOST_PER_MINUTE = 1_000_000_000


def faults(settings: Settings, tree: Tree, catalog: Mapping[str, str]) -> Iterator[Fault]:
    """Yield every fault; `tree` is the file, `catalog` the providers that need no settings."""
    yield from _server_faults(settings)
    yield from _key_faults(settings)
    yield from _provider_faults(settings, catalog)
    # A provider that was left out for a mistake of its own is known all the same.
    named = {place[1] for place in tree.lines if len(place) == 2 and place[0] == "providers"}
    yield from _route_faults(settings, {*settings.providers, *catalog, _SANDBOX, *named})
    yield from _timeout_faults(settings.timeouts, ("timeouts",))
    yield from _care_faults(settings.retries, settings.breaker, ())
    yield from _journal_faults(settings)
    yield from _memory_faults(settings.memory)
    yield from _network_faults(settings)
    yield from _price_faults(settings)
    yield from guard_faults(settings)
    for name, limit in settings.limits.items():
        yield from ((("limits", name, field), what, remedy) for field, what, remedy in limit_faults(limit))
    for name, budget in settings.budgets.items():
        yield from ((("budgets", name, field), what, remedy) for field, what, remedy in budget_faults(budget))


def _server_faults(settings: Settings) -> Iterator[Fault]:
    server = settings.server
    if not 0 <= server.port <= 65535:
        yield ("server", "port"), "not a port", "Choose 1 to 65535, or 0 for any free one."
    if not 1 <= server.workers <= 256:
        yield ("server", "workers"), "not a number of workers", "Choose 1 to 256; one per core is plenty."
    if not settings.data_dir.strip():
        yield ("data_dir",), "empty", "Name a folder; it is made if it does not exist."
    yield from _positive(server, ("server",), "max_body_mb", "max_header_kb")
    yield from _positive(server, ("server",), "header_timeout_s", "body_timeout_s", "keep_alive_s", "drain_s")
    for index, origin in enumerate(settings.cors.origins):
        parts = _split(origin)
        if origin != "*" and (not _is_http(parts) or parts.path or parts.query):
            remedy = "Write scheme, host and port alone: `https://app.example.com`."
            yield ("cors", "origins", str(index)), "not an origin", remedy


def _key_faults(settings: Settings) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for index, key in enumerate(settings.keys):
        place = ("keys", str(index))
        yield from _rule_faults(key, place)
        if key.hash.startswith("tg-"):
            remedy = (
                f"Put its SHA-256 there instead, and make a new key: this one has been in a file. {_MAKE}"
            )
            yield (*place, "hash"), "this is the key itself", remedy
        elif not re.fullmatch(r"[0-9a-fA-F]{64}", key.hash):
            yield (*place, "hash"), "not a SHA-256 in hex (64 digits)", _MAKE
        for name, value in (("name", key.name), ("hash", key.hash.lower())):
            if not value.strip():
                yield (*place, name), "empty", "Give it one: it tells keys apart in the ledger."
            elif seen.setdefault(f"{name} {value}", str(index)) != str(index):
                yield (
                    (*place, name),
                    f"same as that of keys[{seen[f'{name} {value}']}]",
                    "Keep them different.",
                )


def _rule_faults(key: Key, place: Place) -> Iterator[Fault]:
    for name in ("models", "users", "surfaces"):
        if any(not pattern.strip() for pattern in getattr(key, name)):
            yield (*place, name), "an empty pattern fits nothing", "Write `*`, or leave the list out."
    if not key.scopes:
        yield (*place, "scopes"), "empty: the key opens nothing", "Name one, like call."
    if key.users and key.scopes != ("call",):
        remedy = "Write `scopes: [call]`."
        yield (*place, "users"), "its other scopes open what all users said", remedy


_MAKE = "`tidegate key` prints a key and its lines."


def _provider_faults(settings: Settings, catalog: Mapping[str, str]) -> Iterator[Fault]:
    for name, provider in settings.providers.items():
        place = ("providers", name)
        if "/" in name or not name.strip() or name == _SANDBOX:
            yield place, "not a name for a provider", f"Choose one without `/` that is not `{_SANDBOX}`."
        if provider.base_url and not _is_http(_split(provider.base_url)):
            yield (*place, "base_url"), "not an http:// or https:// URL", "Write `https://host/v1`."
        placed = provider.api in _PLACED or name == _LITELLM
        if not provider.base_url and catalog and name not in catalog and not placed:
            remedy = f"Add its `base_url`. {nearest(name, list(catalog))}"
            yield place, "not in the catalog, and no base_url", remedy
        if provider.api_key and provider.api_key_env:
            yield (*place, "api_key_env"), "given beside api_key", "Keep one of the two."
        if provider.api_key and not (provider.api_key.isascii() and provider.api_key.isprintable()):
            yield (*place, "api_key"), "not usable as a header", "Write the key alone, without line breaks."
        yield from _cloud_faults(provider, provider.api or name, place)
        yield from _litellm_faults(name, provider, place)


def _cloud_faults(provider: ProviderSettings, api: str, place: Place) -> Iterator[Fault]:
    for field, (apis, pattern, example) in _CLOUD_SETTINGS.items():
        said = getattr(provider, field)
        if said and api not in apis:
            yield (*place, field), f"not a setting of the API {api}", f"It belongs to {' or '.join(apis)}."
        elif said and not re.fullmatch(pattern, said):
            yield (*place, field), "not well-formed", f"Write it like `{example}`."
    if provider.api_key and provider.credentials_file:
        yield (*place, "credentials_file"), "given beside api_key", "Keep one of the two."


def _litellm_faults(name: str, provider: ProviderSettings, place: Place) -> Iterator[Fault]:
    ours = name == _LITELLM and not provider.base_url
    if provider.env and not ours:
        yield (*place, "env"), f"not a setting of {name}", "It belongs to litellm, if that has no base_url."
    for variable in provider.env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            yield (*place, "env"), f"{variable!r} is not a variable", "Write it like `COHERE_API_KEY`."
    if ours and (provider.api or provider.api_key or provider.api_key_env):
        remedy = "Put its providers' keys under `env`, or set their variables."
        yield place, "litellm has neither an API nor a key of its own", remedy


def _route_faults(settings: Settings, known: set[str]) -> Iterator[Fault]:
    for name, route in settings.routes.items():
        place = ("routes", name)
        if not route.deployments:
            yield (*place, "deployments"), "empty", "Name at least one `model: provider/model`."
        for index, deployment in enumerate(route.deployments):
            at = (*place, "deployments", str(index), "model")
            yield from _model_faults(deployment.model, at, known)
            if not 0 <= deployment.weight < math.inf:
                yield (*at[:-1], "weight"), "below zero", "Choose 0 or more."
        yield from _reserve_faults(route.max_output_reserve, place)
        for field in ("context_window_fallback", "content_filter_fallback"):
            if model := getattr(route, field):
                yield from _model_faults(model, (*place, field), known)
        for index, model in enumerate(route.fallbacks):
            yield from _model_faults(model, (*place, "fallbacks", str(index)), known)
        for variant, said in route.variants.items():
            yield from _variant_faults(said, (*place, "variants", variant), known)
        if route.timeouts is not None:
            yield from _timeout_faults(route.timeouts, (*place, "timeouts"))
        yield from _care_faults(route.retries, route.breaker, place)


def _reserve_faults(tokens: int, place: Place) -> Iterator[Fault]:
    if not 0 <= tokens <= _MOST_TOKENS:
        remedy = f"Choose up to {_MOST_TOKENS}, or 0 for what the budgets say."
        yield (*place, "max_output_reserve"), "not a number of tokens", remedy


def _variant_faults(variant: RouteVariant, place: Place, known: set[str]) -> Iterator[Fault]:
    if variant.model:
        yield from _model_faults(variant.model, (*place, "model"), known)
    if not 0 <= variant.weight < math.inf:
        yield (*place, "weight"), "below zero", "Choose 0 or more."


def _model_faults(model: str, at: Place, known: set[str]) -> Iterator[Fault]:
    provider, _, name = model.partition("/")
    if not provider or not name:
        yield at, "not `provider/model`", "Write the provider's name, a slash, and its model's name."
    elif provider not in known:
        yield at, f"no provider is called `{provider}`", nearest(provider, sorted(known))


def _care_faults(retries: Retries | None, breaker: Breaker | None, place: Place) -> Iterator[Fault]:
    if retries is not None:
        at = (*place, "retries")
        if not 1 <= retries.attempts <= _MOST_ATTEMPTS:
            yield (*at, "attempts"), "out of range", f"Choose 1 to {_MOST_ATTEMPTS}."
        if len(retries.backoff_ms) != 2 or not 0 <= retries.backoff_ms[0] <= retries.backoff_ms[1]:
            yield (*at, "backoff_ms"), "not [shortest, longest]", "Write two numbers, the smaller one first."
        if not 0 <= retries.honour_retry_after_s < math.inf:
            yield (*at, "honour_retry_after_s"), "below zero", "Choose 0 or more seconds."
    if breaker is not None:
        at = (*place, "breaker")
        yield from _positive(breaker, at, "window_s", "min_calls", "open_s")
        if not 0 < breaker.failure_ratio <= 1:
            yield (*at, "failure_ratio"), "not a ratio", "Choose a number above 0, at most 1."


def _timeout_faults(timeouts: Timeouts, place: Place) -> Iterator[Fault]:
    yield from _positive(timeouts, place, "connect_s", "first_byte_s", "idle_s", "total_s")


def _journal_faults(settings: Settings) -> Iterator[Fault]:
    journal = settings.journal
    yield from _positive(journal, ("journal",), "segment_mb", "quota_mb", "reserve_mb")
    if not 0 <= journal.keep_consumed_s < math.inf:
        yield ("journal", "keep_consumed_s"), "below zero", "Choose 0 or more seconds."
    if journal.segment_mb > journal.quota_mb:
        yield ("journal", "segment_mb"), "more than quota_mb", "Choose a segment that fits into the quota."


def _memory_faults(memory: Memory) -> Iterator[Fault]:
    yield from _positive(memory, ("memory",), "deadline_ms", "budget_tokens")
    place, embedder = ("memory", "embedder"), memory.embedder
    fastembed = not embedder.base_url and embedder.model.startswith("fastembed/")
    if embedder.folder and not fastembed:
        yield (*place, "folder"), "no model of fastembed's", "Write `model: fastembed/...`, or leave it out."
    if not embedder.base_url:
        for name in ("api_key", "dimensions") if fastembed else ("model", "api_key", "dimensions"):
            if getattr(embedder, name):
                yield (*place, name), "given without base_url", _WITHOUT_ENDPOINT
        return
    url = _split(embedder.base_url)
    if not _is_http(url) or url.username or url.query:
        yield (*place, "base_url"), "not a plain http:// or https:// URL", "Write `https://host/v1`."
    if not embedder.model:
        yield (*place, "model"), "empty", "Name the endpoint's embedding model."
    if not 0 < embedder.dimensions <= _MOST_DIMENSIONS:
        yield (*place, "dimensions"), "not a vector's length", "Write how many numbers the model answers."
    if not (embedder.api_key.isascii() and embedder.api_key.isprintable()):
        yield (*place, "api_key"), "not usable as a header", "Write the key alone, without line breaks."


def _network_faults(settings: Settings) -> Iterator[Fault]:
    url = _split(settings.clickhouse.url)
    if settings.clickhouse.url and not _is_http(url):
        yield ("clickhouse", "url"), "not an HTTP URL", "Write `http://user:password@host:8123/database`."
    control = settings.control
    servers = {("control", "url"): control.url, ("memory", "ledger_url"): settings.memory.ledger_url}
    for place, server in servers.items():
        if server and _split(server).scheme not in ("postgresql", "postgres"):
            yield place, "not a Postgres URL", "Write `postgresql://user:password@host:5432/database`."
    if not 1 <= control.max_stale_s < math.inf:
        yield ("control", "max_stale_s"), "not a time span", "Write seconds, at least 1."
    redis = _split(settings.redis.url)
    if settings.redis.url and redis.scheme not in ("redis", "rediss", "unix", "redis+sentinel"):
        yield ("redis", "url"), "not a URL of Redis", "Write `redis://user:password@host:6379/0`."
    for name in ("https_proxy", "http_proxy"):
        proxy = getattr(settings.network, name)
        # curl and everybody after it take `host:port` as well.
        parts = _split(proxy if "://" in proxy else f"http://{proxy}")
        if proxy and not _is_http(parts):
            remedy = f"Write `http://user:password@host:port` (or correct {name.upper()})."
            yield ("network", name), "not an HTTP proxy's URL", remedy


def _price_faults(settings: Settings) -> Iterator[Fault]:
    for model, price in settings.prices.items():
        if "/" not in model.strip("/"):
            yield (
                ("prices", model),
                "not `provider/model`",
                "Write the provider's name, a slash, and its model's.",
            )
        plans = {(): price} | {("service_tiers", tier): said for tier, said in price.service_tiers.items()}
        for place, rates in plans.items():
            for name, text in rates.given().items():
                if not _is_price(text):
                    remedy = "Write dollars per million tokens: 2.50."
                    yield ("prices", model, *place, name), "not a price", remedy


def limit_faults(limit: Limit) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with a limit: the field, what, and the remedy."""
    for name in ("rpm", "tpm", "concurrency", "burst"):
        if not 0 <= getattr(limit, name) <= _MOST_PER_MINUTE:
            yield name, "out of range", f"Choose 0 (no limit of this kind) to {_MOST_PER_MINUTE}."
    if not (limit.rpm or limit.tpm or limit.concurrency):
        yield "rpm", "limits nothing", "Set rpm, tpm or concurrency."
    if limit.burst and not limit.rpm:
        yield "burst", "given without rpm", "Set rpm, too: the rate that such a burst is above."
    for name in ("keys", "users", "teams", "models", "routes"):
        if any(not pattern.strip() for pattern in getattr(limit, name)):
            yield name, "an empty pattern fits nothing", "Write `*`, or leave the list out."


def budget_faults(budget: Budget) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with a budget: the field, what, and the remedy."""
    amounts = {name: getattr(budget, name) for name in ("soft_usd", "hard_usd")}
    for name, amount in amounts.items():
        if amount and not _is_amount(amount):
            yield name, "not an amount", "Write dollars with at most nine decimals: 250.00."
            return
    if not any(amounts.values()):
        yield "hard_usd", "no amount", "Set hard_usd, soft_usd, or both."
    elif all(amounts.values()) and Decimal(budget.soft_usd) > Decimal(budget.hard_usd):
        yield "soft_usd", "more than hard_usd", "Choose less: calls are refused before they are warned of."
    if not budget.match:
        yield "match", "empty", "Write a pattern; `*` fits all."
    try:
        zone_of(budget.zone)
    except ValueError as error:
        yield "zone", "not a time zone", f"{error}."
    if not 1 <= budget.max_output_reserve <= _MOST_TOKENS:
        yield "max_output_reserve", "not a number of tokens", f"Choose 1 to {_MOST_TOKENS}."
    if budget.webhook and not _is_http(_split(budget.webhook)):
        yield "webhook", "not a URL", "Write it like https://hooks.example.com/budgets."


def _is_amount(text: str) -> bool:
    return re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) is not None


def _positive(section: msgspec.Struct, place: Place, *names: str) -> Iterator[Fault]:
    for name in names:
        if not 0 < getattr(section, name) < math.inf:
            yield (*place, name), "must be more than 0", "Write a larger number, or leave it out."


def _is_price(text: str) -> bool:
    try:
        price = Decimal(text)
    except InvalidOperation:
        return False
    return price.is_finite() and price >= 0


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # an IPv6 bracket left open, for example
        return SplitResult("", "", "", "", "")


def _is_http(url: SplitResult) -> bool:
    try:
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # the port is no number, or too large for one
        return False
