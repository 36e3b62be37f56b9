"""The only reader of the environment and of the configuration file; everybody else gets `Settings`.

Later wins: defaults, proxy and CA variables, the file, `TIDEGATE_*` variables, command-line options.
"""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway import yaml_file
from gateway.faults import Place, faults
from gateway.places import Places
from gateway.principal import SCOPES
from gateway.settings import Key, ProviderSettings, Settings
from gateway.yaml_file import Problem, dotted

DEFAULT_FILE = Path("tidegate.yaml")

VARIABLES: dict[str, Place] = {
    "TIDEGATE_DATA_DIR": ("data_dir",),
    "TIDEGATE_HOST": ("server", "host"),
    "TIDEGATE_PORT": ("server", "port"),
    "TIDEGATE_WORKERS": ("server", "workers"),
    "TIDEGATE_CLICKHOUSE_URL": ("clickhouse", "url"),
    "TIDEGATE_CONTROL_URL": ("control", "url"),
    "TIDEGATE_MEMORY_LEDGER_URL": ("memory", "ledger_url"),
    "TIDEGATE_QDRANT_URL": ("memory", "qdrant_url"),
    "TIDEGATE_REDIS_URL": ("redis", "url"),
    # Not OPENAI_BASE_URL: in a user's shell that one points at this gateway, which would call itself.
    "TIDEGATE_OPENAI_BASE_URL": ("providers", "openai", "base_url"),
}
"""Variables that win over the file, and what each of them sets."""

NETWORK_VARIABLES: dict[str, tuple[str, str]] = {
    "HTTPS_PROXY": ("network", "https_proxy"),
    "HTTP_PROXY": ("network", "http_proxy"),
    "NO_PROXY": ("network", "no_proxy"),
    "SSL_CERT_FILE": ("network", "ca_file"),
}
"""Variables that other programs share, so the file wins over them. The proxies' also in lower case."""

CLOUD_VARIABLES: dict[str, dict[str, tuple[str, ...]]] = {
    "azure": {"base_url": ("AZURE_OPENAI_ENDPOINT",)},
    "bedrock": {"region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
    "vertex": {
        "project": ("GOOGLE_CLOUD_PROJECT",),
        "region": ("GOOGLE_CLOUD_LOCATION",),
        "credentials_file": ("GOOGLE_APPLICATION_CREDENTIALS",),
    },
}
"""Variables that clouds' own programs read, by API and setting; used where the file says nothing."""

AWS_CREDENTIAL = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Used for Bedrock if it has no other key; the last may be missing."""

OTHER_VARIABLES = ("TIDEGATE_CONFIG", "TIDEGATE_CONTAINER", "TIDEGATE_KEY", "TIDEGATE_MASTER_KEY")
"""Read elsewhere: which file, whether in a container, the key of `tidegate calls`, `gateway.master_key`."""
OWNER_VARIABLES = ("TIDEGATE_OWNER_EMAIL", "TIDEGATE_OWNER_PASSWORD")
"""Of the first user, who is made at the first start if both are set."""

_NUMBERS = (("server", "port"), ("server", "workers"))


class ConfigError(Exception):
    """The configuration cannot be used; every reason that could be found at once."""

    def __init__(self, problems: list[Problem], source: str = "") -> None:
        super().__init__("\n".join(problem.text(source) for problem in problems))
        self.problems = problems
        self.source = source

    def texts(self) -> list[str]:
        """One line per problem: `tidegate.yaml:12: routes.smart...: message. remedy`."""
        return [problem.text(self.source) for problem in self.problems]


def environment() -> Mapping[str, str]:
    """Return the variables of this process."""
    return os.environ


def find_vocabularies_in(folder: Path) -> None:
    """Have tiktoken look for vocabularies there, and nowhere else."""
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)


def in_container(environ: Mapping[str, str]) -> bool:
    """Whether the image says that this is a container."""
    return environ.get("TIDEGATE_CONTAINER", "") not in ("", "0")


def misspelt(environ: Mapping[str, str]) -> dict[str, str]:
    """Return each variable that begins like ours and is none, and what it was probably meant to be.

    Not an error: Kubernetes gives pods variables of its own, named after services.
    """
    ours = [*VARIABLES, *OTHER_VARIABLES, *OWNER_VARIABLES]
    strange = [name for name in environ if name.startswith("TIDEGATE_") and name not in ours]
    close = {name: difflib.get_close_matches(name, ours, n=1, cutoff=0.85) for name in sorted(strange)}
    return {name: found[0] for name, found in close.items() if found}


def find_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one named, or TIDEGATE_CONFIG, or ./tidegate.yaml if there is one."""
    if path is not None:
        return path
    if environ.get("TIDEGATE_CONFIG"):
        return Path(environ["TIDEGATE_CONFIG"])
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def load(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    overrides: Mapping[str, object] | None = None,
    key_variables: Mapping[str, str] | None = None,
) -> Settings:
    """Make the settings, or raise ConfigError.

    `overrides` are command-line options by dotted name (`server.port`), None meaning not given.
    `key_variables` names every provider of the catalog and the variable of its key ("" if it has none).
    """
    catalog = key_variables or {}
    file = find_file(path, environ)
    source = str(file or "")
    tree = _read(file, environ)
    values = tree.values
    origins = _overlay(tree, environ, overrides or {})
    try:
        settings = msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:  # an option of the command line: the file's were checked
        raise ConfigError(
            [*tree.problems, Problem(0, "", str(error), "Correct this option.")], source
        ) from error
    for place, message, remedy in faults(settings, tree, catalog):
        line = 0 if place in origins else tree.line(place)
        tree.problems.append(Problem(line, dotted(place) + origins.get(place, ""), message, remedy))
    if tree.problems:
        raise ConfigError(sorted(tree.problems, key=lambda problem: problem.line), source)
    return _with_keys(settings, environ, catalog)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def guard_public_address(settings: Settings, *, issued: bool = False) -> None:
    """Refuse to answer other machines without a key, unless a virtual one was `issued`: anybody could spend the credit."""
    if settings.keys or issued or is_loopback(settings.server.host):
        return
    host = settings.server.host
    message = f"refusing to start: {host or 'every address'} is open to other machines and there is no key"
    remedy = "Make a key with `tidegate key` and put its lines under `keys:`, or listen on 127.0.0.1."
    raise ConfigError([Problem(0, "server.host", message, remedy)])


def new_key() -> str:
    """A key nobody has seen: 256 random bits."""
    return "tg-" + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """The SHA-256 that stands for a key in the configuration."""
    return hashlib.sha256(key.encode()).hexdigest()


def first_key(settings: Settings, places: Places) -> tuple[Settings, str | None]:
    """Give a public installation without keys one of its own, kept 0600; the key itself only when new."""
    if settings.keys or is_loopback(settings.server.host):
        return settings, None
    places.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = places.secrets / "first-key"
    fresh: str | None = None
    if not file.exists():
        fresh = new_key()
        # Whole or not at all: a start that is killed here must not leave half a key behind.
        draft = file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(fresh + "\n")
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    key = file.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch(r"tg-[A-Za-z0-9_-]{20,}", key):
        raise ConfigError(
            [Problem(0, str(file), "does not hold a key", "Delete it: the next start makes another.")]
        )
    first = Key(name="first-key", hash=hash_key(key), scopes=SCOPES)
    return msgspec.structs.replace(settings, keys=(first,)), fresh


def _read(file: Path | None, environ: Mapping[str, str]) -> yaml_file.Tree:
    if file is None:
        return yaml_file.Tree(values={}, lines={}, problems=[])
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(0, str(file), "is not UTF-8 text", "Save it as UTF-8.")]) from error
    except OSError as error:
        remedy = "Name another file with --config or TIDEGATE_CONFIG."
        raise ConfigError([Problem(0, str(file), f"cannot be read: {error.strerror}", remedy)]) from error
    return yaml_file.read(text, Settings, environ)


def _overlay(
    tree: yaml_file.Tree, environ: Mapping[str, str], options: Mapping[str, object]
) -> dict[Place, str]:
    """Lay variables and options over the file's values; say which of them came from elsewhere."""
    origins: dict[Place, str] = {}
    for name, (section, field) in NETWORK_VARIABLES.items():
        value = environ.get(name.lower()) or environ.get(name)
        if value and not tree.values.get(section, {}).get(field):
            _put(tree.values, (section, field), value)
            origins[section, field] = f" (from {name})"
    for name, place in VARIABLES.items():
        value = environ.get(name, "").strip()
        if place in _NUMBERS and value and not re.fullmatch(r"-?[0-9]{1,9}", value):
            tree.problems.append(
                Problem(0, name, "expected a whole number", "Correct or unset this variable.")
            )
        elif value:
            _put(tree.values, place, int(value) if place in _NUMBERS else value)
            origins[place] = f" (from {name})"
    for option, setting in options.items():
        if setting is not None:
            place = tuple(option.split("."))
            _put(tree.values, place, setting)
            origins[place] = " (from the command line)"
    return origins


def _put(values: dict[str, Any], place: Place, value: object) -> None:
    """Set a value inside nested sections."""
    for part in place[:-1]:
        values = values.setdefault(part, {})
    values[place[-1]] = value


def _with_keys(settings: Settings, environ: Mapping[str, str], catalog: Mapping[str, str]) -> Settings:
    """Fetch the providers' keys: the file's own, the variable it names, or the catalog's variable."""
    providers = dict(settings.providers)
    for name in dict.fromkeys((*providers, *catalog)):
        given = providers.get(name, ProviderSettings())
        variable = given.api_key_env or catalog.get(name, "")
        key = environ.get(variable, "").strip() if variable and not given.api_key else ""
        if key:
            _check_secret(variable, key)
            given = msgspec.structs.replace(given, api_key=key, api_key_env=variable)
        given = _in_cloud(name, given, environ, asked_for=name in providers)
        if given.api_key or name in providers:
            providers[name] = given
    keys = tuple(msgspec.structs.replace(key, hash=key.hash.lower()) for key in settings.keys)
    return msgspec.structs.replace(settings, providers=providers, keys=keys)


def _in_cloud(
    name: str, given: ProviderSettings, environ: Mapping[str, str], *, asked_for: bool
) -> ProviderSettings:
    """Add what a cloud's own variables say; one that is not `asked_for` in the file is there only if they say all."""
    api = given.api or name
    found = {
        field: value
        for field, variables in CLOUD_VARIABLES.get(api, {}).items()
        if not getattr(given, field)
        and (value := next((said for v in variables if (said := environ.get(v, "").strip())), ""))
    }
    given = msgspec.structs.replace(given, **found)
    if api == "bedrock" and not given.api_key:
        access_key, secret_key, token = (environ.get(variable, "").strip() for variable in AWS_CREDENTIAL)
        if access_key and secret_key:
            key = ":".join(part for part in (access_key, secret_key, token) if part)
            _check_secret(" ".join(AWS_CREDENTIAL), key)
            given = msgspec.structs.replace(given, api_key=key, api_key_env=AWS_CREDENTIAL[0])
    if api == "vertex" and given.credentials_file and not given.api_key:
        given = _with_account(name, given, strict=asked_for)
    missing = (api == "azure" and not given.base_url) or (api == "vertex" and not given.project)
    return msgspec.structs.replace(given, api_key="") if missing and not asked_for else given


def _with_account(name: str, given: ProviderSettings, *, strict: bool) -> ProviderSettings:
    """Read the account's file; its project is meant if no other is named."""
    place, remedy = f"providers.{name}.credentials_file", "Name the JSON file that Google made."
    try:
        text = Path(given.credentials_file).expanduser().read_bytes()
        said = msgspec.json.decode(text, type=dict[str, Any])
    except OSError as error:
        problem = Problem(0, place, f"cannot be read: {error.strerror}", remedy)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        problem = Problem(0, place, "is not a JSON object", remedy)
    else:
        project = given.project or str(said.get("project_id") or said.get("quota_project_id") or "")
        key = msgspec.json.encode(said).decode()
        return msgspec.structs.replace(given, api_key=key, project=project)
    if strict:
        raise ConfigError([problem])
    return given


def _check_secret(place: str, key: str) -> None:
    """A line break inside a key would end the header it travels in."""
    if not key.isascii() or not key.isprintable() or " " in key:
        remedy = "Set it to the key alone: no spaces, line breaks or letters beyond ASCII."
        raise ConfigError([Problem(0, place, "does not hold a usable key", remedy)])
