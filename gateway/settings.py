"""The settings of one installation: a frozen tree, made by `gateway.config` and handed down.

Sizes are bytes and times seconds unless the name says otherwise. `tidegate.example.yaml` documents each field.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from gateway.principal import USUAL_SCOPES, Scope, Store
from gateway.principal import Memory as MemorySwitch
from gateway.roles import Role

Dollars = Annotated[str, msgspec.Meta(extra={"digits": True})]
"""An amount, as text. In a file it may be a number, too: it is taken as it is written there."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section: a name nobody knows is an error, not a silence."""


class Server(Section, frozen=True):
    """The public door."""

    host: str = "127.0.0.1"
    port: int = 4000
    workers: int = 1
    names: tuple[str, ...] = ()
    """Host names that open mode answers besides localhost, 127.0.0.1 and [::1]."""
    max_body_mb: int = 64
    max_header_kb: int = 64
    header_timeout_s: float = 20
    """From a request's first byte (or a connection's opening) to the end of its headers."""
    body_timeout_s: float = 30
    """Longest silence while a body arrives."""
    keep_alive_s: float = 75
    drain_s: float = 30
    """How long streams may go on after SIGTERM, and an abandoned answer is read for its usage."""


class Cors(Section, frozen=True):
    """Web pages of other origins that may call the gateway."""

    origins: tuple[str, ...] = ()


class Key(Section, frozen=True):
    """A static key: `hash` is the SHA-256 of the key, as hex."""

    name: str
    hash: str
    project: str = "default"
    environment: str = "prod"
    owner: str = ""
    """Who answers for it."""
    team: str = ""
    store: Store = "full"
    scopes: tuple[Scope, ...] = USUAL_SCOPES
    """What it opens."""
    models: tuple[str, ...] = ()
    """Patterns of names of routes or of `provider/model`; empty: all. So for users and surfaces."""
    users: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    memory: MemorySwitch = "on"
    """The most that its calls may ask for."""


class Timeouts(Section, frozen=True):
    """The four clocks of one attempt."""

    connect_s: float = 5
    first_byte_s: float = 120
    """For streams; a call that is not a stream has only `total_s`."""
    idle_s: float = 300
    total_s: float = 600


CLOUDS = frozenset({"azure", "bedrock", "vertex"})
"""APIs of providers that sell the models of others."""


class ProviderSettings(Section, frozen=True):
    """A provider of one's own, or changes to one of the catalog."""

    base_url: str = ""
    api: Literal["", "openai", "anthropic", "gemini", "azure", "bedrock", "vertex"] = ""
    """Whose API it has; empty: as the catalog says, else OpenAI's."""
    api_key: str = ""
    api_key_env: str = ""
    """Name of the environment variable that holds the key."""
    ca_file: str = ""
    models: tuple[str, ...] = ()
    """Names to list when the provider has no list of its own."""
    prefixes: tuple[str, ...] = ()
    """Bare model names that begin so belong to this provider."""
    include_usage: bool = True
    """Whether it accepts `stream_options.include_usage`."""
    # of clouds
    region: str = ""
    """Of Bedrock and Vertex."""
    project: str = ""
    """Of Vertex."""
    api_version: str = ""
    """Of Azure, a date: models are then names of deployments; empty: its v1 API."""
    credentials_file: str = ""
    """Of Vertex: the JSON key of a service account, or what gcloud wrote."""
    env: dict[str, str] = {}
    """Of litellm: variables of its process, where it looks for keys."""


class Retries(Section, frozen=True):
    """What is done about a failure before the client has been sent anything."""

    attempts: int = 3
    """Tries at one deployment, the first included."""
    backoff_ms: tuple[int, ...] = (250, 8000)
    """Longest wait before the second try, which doubles with each further one, up to the longest of all."""
    honour_retry_after_s: float = 60
    """A provider that asks for a longer pause is not waited for."""
    retry_timeouts: bool = False
    """Also after a provider took the request and did not answer in time, although it may bill both."""


class Breaker(Section, frozen=True):
    """When a deployment is left alone for a while."""

    window_s: float = 30
    failure_ratio: float = 0.5
    min_calls: int = 20
    """In the window; fewer say nothing."""
    open_s: float = 15
    """After so long one call may try whether it is well again."""


class RouteDeployment(Section, frozen=True):
    """One place where a route's model is served."""

    model: str
    """`provider/model`."""
    weight: float = 1


MemoryDefault = Literal["", "on", "read", "write", "off"]


class RouteVariant(Section, frozen=True):
    """What a route does differently for a share of its threads, to compare."""

    weight: float = 1
    model: str = ""
    """`provider/model`; empty: the route's deployments."""
    parameters: dict[str, Any] = {}
    """Merged into the request's body: `temperature: 0`; null takes a field out."""
    memory: MemoryDefault = ""
    """Instead of `memory.default`."""


Strategy = Literal["ordered", "weighted", "least_latency", "least_busy", "cheapest", "sticky"]


class Route(Section, frozen=True):
    """A public model name and the deployments behind it."""

    deployments: tuple[RouteDeployment, ...]
    strategy: Strategy = "ordered"
    """Which deployment is asked first: the first; one by weight; the quickest of two; the one with the fewest
    calls under way; the cheapest; always the same one for a thread (else user)."""
    fallbacks: tuple[str, ...] = ()
    """`provider/model` to ask when none of the deployments answers, in this order."""
    context_window_fallback: str = ""
    """`provider/model` to ask when the prompt is too long for the others."""
    content_filter_fallback: str = ""
    """`provider/model` to ask when a provider's filter refuses the prompt."""
    retries: Retries | None = None
    breaker: Breaker | None = None
    timeouts: Timeouts | None = None
    heartbeat_s: float = 0
    """Send a comment into a stream that has been silent for so long; 0: never."""
    variants: dict[str, RouteVariant] = {}
    """By name. Each thread (else user, else call) gets one, always the same; which one is on the record."""
    max_output_reserve: int = 0
    """Tokens: the longest answer under hard budgets, if that is less than theirs; 0: theirs."""
    memory: MemoryDefault = ""
    """Instead of `memory.default`."""
    drop_unsupported: bool = False
    """Leave out what a provider of another API has no place for, and tell the client, instead of refusing the call."""


class Journal(Section, frozen=True):
    """The files that remember calls until the store has them."""

    fsync: Literal["interval", "always", "off"] = "interval"
    segment_mb: int = 64
    quota_mb: int = 4096
    reserve_mb: int = 64
    """Kept allocated, so that calls already admitted can always be settled."""
    when_full: Literal["block", "drop_payloads"] = "block"
    """Without room: refuse calls, or take them without keeping their bodies while half of the reserve is left."""
    keep_consumed_s: float = 600


class ClickHouse(Section, frozen=True):
    """Where the ledger lives: in this installation's own folder, or on a server."""

    url: str = ""
    """`http://user:password@host:8123/database`; empty: chDB in the data folder."""
    clustered: bool = False


Days = Annotated[int, msgspec.Meta(ge=0)]


class Control(Section, frozen=True):
    """Where virtual keys are kept, and for how long they count while nothing is heard of them."""

    url: str = ""
    """`postgresql://user:password@host/database`; empty: a file in the data folder."""
    max_stale_s: float = 3600
    """Workers that have not heard of the hub, or it of its database, for so long refuse keys, or not, as each says."""


class Retention(Section, frozen=True):
    """How long the ledger keeps what; 0: for ever. Sums of money stay."""

    calls_days: Days = 0
    """Whole months are dropped once their last day is older."""
    payloads_days: Days = 90
    payloads_days_by_project: dict[str, Days] = {}


class Embedder(Section, frozen=True):
    """What turns text into vectors: a local model, or an OpenAI-compatible `/embeddings` endpoint."""

    base_url: str = ""
    """`http://host/v1`; empty: a local model."""
    model: str = ""
    """The endpoint's; or `fastembed/` and a model of fastembed's; empty: MiniLM."""
    folder: str = ""
    """Has the files of fastembed's model; empty: `memory/models` in the data folder."""
    api_key: str = ""
    dimensions: int = 0
    """Of an endpoint's vectors; needed with `base_url`."""


class Memory(Section, frozen=True):
    """What users said in earlier calls, put into later ones."""

    enabled: bool = True
    default: Literal["on", "read", "write", "off"] = "on"
    """For calls that do not say: `x-tidegate-memory`."""
    deadline_ms: int = 250
    """A recall that takes longer is given up, and the call goes on without."""
    budget_tokens: int = 900
    profile_tokens: int = 300
    """Of what introduces the user at the beginning of a conversation; 0: nothing does."""
    model: str = ""
    """What reads conversations: `provider/model` or a route; empty: they are kept word for word, and rules read them."""
    instructions: str = ""
    """What that model is told besides."""
    upkeep: bool = True
    """Merge, weigh and summarise what is remembered while nobody asks."""
    vision_model: str = ""
    """What describes pictures in them; empty: nothing does."""
    embedder: Embedder = Embedder()
    ledger_url: str = ""
    """`postgresql://...` of a server that has the ledger; empty: a file in the data folder."""
    qdrant_url: str = ""
    """Of a server that keeps the index; empty: it lies beside the ledger."""
    qdrant_api_key: str = ""


class Network(Section, frozen=True):
    """The way out. Proxies come from HTTPS_PROXY, HTTP_PROXY and NO_PROXY unless set here."""

    https_proxy: str = ""
    http_proxy: str = ""
    no_proxy: str = ""
    ca_file: str = ""
    """Default: SSL_CERT_FILE, else the system's."""


Per = Literal["key", "user", "team", "project"]
Period = Literal["day", "week", "month", "total"]
WhenAway = Literal["", "allow", "refuse"]


class Budget(Section, frozen=True):
    """What each key, user, team or project that fits may spend in a calendar window."""

    per: Per = "project"
    match: str = "*"
    """A pattern like `ci-*`. Each that fits has the whole amount for itself."""
    project: str = ""
    """Only calls of this project count; empty: of all."""
    window: Period = "month"
    zone: str = "UTC"
    """Whose calendar the windows follow: a name like `Europe/Berlin`."""
    soft_usd: Dollars = ""
    """From here on calls go on with a warning, and the webhook is told."""
    hard_usd: Dollars = ""
    """A call that might cost more than is left of this is refused."""
    max_output_reserve: int = 4096
    """Tokens: the longest answer under a hard budget; written into requests that ask for more, or set no limit."""
    when_away: WhenAway = ""
    """What becomes of calls while the hub or its database is away; empty: `refuse` if there is a hard amount."""
    webhook: str = ""
    """Told by POST that a threshold was reached, once in each window."""


class PriceRates(Section, frozen=True):
    """Dollars per million tokens, of web searches per thousand; 0 is free."""

    input: Dollars
    output: Dollars
    cache_read: Dollars = ""
    cache_write_5m: Dollars = ""
    cache_write_1h: Dollars = ""
    input_audio: Dollars = ""
    input_image: Dollars = ""
    output_reasoning: Dollars = ""
    output_audio: Dollars = ""
    output_image: Dollars = ""
    web_searches: Dollars = ""

    def given(self) -> dict[str, str]:
        """Return the rates that are told, by name."""
        told = {name: getattr(self, name) for name in PriceRates.__struct_fields__}
        return {name: rate for name, rate in told.items() if rate or name in ("input", "output")}


class PriceOverride(PriceRates, frozen=True):
    """What a model costs here."""

    service_tiers: dict[str, PriceRates] = {}
    """Other tiers than the standard one, by the name in the provider's answer (`flex`, `priority`)."""


LimitedBy = Literal["key", "user", "team", "project", "model", "route"]


class Limit(Section, frozen=True):
    """How much the calls that fit may take of the gateway; 0: no limit of this kind."""

    per: tuple[LimitedBy, ...] = ()
    """Each of these, or of their combinations, has all of it for itself; empty: all calls that fit share it."""
    project: str = ""
    """Only calls of this project count; empty: of all."""
    keys: tuple[str, ...] = ()
    """Patterns like `ci-*`; empty: all. So for the others. Calls without a user count as one user's."""
    users: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """`provider/model`; for calls of a route its name."""
    routes: tuple[str, ...] = ()
    rpm: int = 0
    """Requests in any minute."""
    tpm: int = 0
    """Tokens in any minute, in and out; estimated before a call, corrected after it."""
    concurrency: int = 0
    """Calls at once."""
    burst: int = 0
    """Above 0 requests are spread evenly over the minute, and so many may come at once."""
    when_away: Literal["allow", "refuse"] = "allow"
    """What becomes of calls while whoever counts, the hub or Redis, is away."""


class Redis(Section, frozen=True):
    """Counts limits for the workers of several hosts."""

    url: str = ""
    """`redis://user:password@host:6379/0`, `rediss://`, `unix://` or `redis+sentinel://host:26379,host:26379/name/0`;
    empty: the hub counts, or the only worker."""


GuardedWhen = Literal["request", "answer"]


class Guardrail(Section, frozen=True):
    """One thing to look for in the words of calls, and what is done about it; they run in the order of the list."""

    name: str
    check: Literal["secrets", "pii", "words", "prompt_tokens", "tools", "http"]
    when: tuple[GuardedWhen, ...] = ("request", "answer")
    """In what the client says, and in what it is answered; `prompt_tokens` and `tools` know requests only."""
    action: Literal["block", "redact", "flag"] = "block"
    """Refuse the call, put a mark in the place of what was found, or only note it on the record."""
    on_error: Literal["refuse", "allow"] = "refuse"
    """What becomes of a call that could not be checked."""
    keys: tuple[str, ...] = ()
    """Patterns of the keys it holds for; empty: all. So for projects and routes."""
    projects: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    """Names of routes, or models as they are asked for."""
    kinds: tuple[Literal["email", "phone", "card", "iban", "national_id"], ...] = ()
    """Of `pii`; empty: all."""
    words: tuple[str, ...] = ()
    """Of `words`: words and phrases, whatever their case."""
    patterns: tuple[str, ...] = ()
    """Of `words`: regular expressions of RE2."""
    max_tokens: int = 0
    """Of `prompt_tokens`, estimated."""
    tools: tuple[str, ...] = ()
    """Of `tools`: patterns of the names that a call may offer."""
    url: str = ""
    """Of `http`: where texts are sent."""
    headers: dict[str, str] = {}
    timeout_s: float = 2


class Oidc(Section, frozen=True):
    """An OpenID Connect issuer that may say who somebody is."""

    issuer: str = ""
    """As it calls itself; empty: none."""
    client_id: str = ""
    client_secret: str = ""
    redirect_url: str = ""
    """The address of this gateway's `/sign-in/callback`, as the issuer knows it."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    roles_claim: str = "groups"
    """Which claim of the id token holds what `roles` names."""
    roles: dict[str, dict[str, Role]] = {}
    """Roles by project, `*` for all, by a value of that claim. Empty: people are made here, and only let in there."""


class SignIn(Section, frozen=True):
    """How people get in, beside their passwords."""

    oidc: Oidc = Oidc()


class CacheRule(Section, frozen=True):
    """Calls whose answers are kept for the next that asks the same."""

    routes: tuple[str, ...] = ()
    """Patterns of routes, or of models as they are asked for; empty: all. So for keys and projects."""
    keys: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    ttl_s: float = 3600
    default: Literal["on", "off"] = "on"
    """For calls that do not say: `x-tidegate-cache`."""


class Cache(Section, frozen=True):
    """Answers that are given again to who asks exactly the same in the same project and environment."""

    rules: tuple[CacheRule, ...] = ()
    """The first that fits holds; without one nothing is kept."""
    max_mb: int = 256
    """On the disk; the oldest go first."""
    max_answer_kb: int = 256


class Encryption(Section, frozen=True):
    """What is sealed before it is written, under the master key (TIDEGATE_MASTER_KEY, or a file in the data folder)."""

    projects: tuple[str, ...] = ()
    """Patterns of the projects whose words are."""


class Settings(Section, frozen=True):
    """Everything."""

    data_dir: str = "tidegate-data"
    server: Server = Server()
    cors: Cors = Cors()
    keys: tuple[Key, ...] = ()
    providers: dict[str, ProviderSettings] = {}
    routes: dict[str, Route] = {}
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    breaker: Breaker = Breaker()
    journal: Journal = Journal()
    clickhouse: ClickHouse = ClickHouse()
    control: Control = Control()
    sign_in: SignIn = SignIn()
    retention: Retention = Retention()
    memory: Memory = Memory()
    network: Network = Network()
    guardrails: tuple[Guardrail, ...] = ()
    cache: Cache = Cache()
    encryption: Encryption = Encryption()
    budgets: dict[str, Budget] = {}
    """By name."""
    limits: dict[str, Limit] = {}
    """By name."""
    redis: Redis = Redis()
    prices: dict[str, PriceOverride] = {}
    """By `provider/model`, or `provider/*` for all others; they win over every table."""
