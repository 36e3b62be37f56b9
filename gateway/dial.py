"""How a byte stream to an origin comes about: names, address racing, TLS, proxies, unix sockets."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import TypeVar, cast
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

import msgspec
from typing_extensions import override

from gateway.errors import Unreachable
from gateway.providers.base import Origin
from gateway.settings import Network
from gateway.tasks import spawn

STAGGER_S = 0.25
"""Head start of each address over the next. Source: RFC 8305, section 5."""
MAX_TUNNEL_HEAD = 64 * 1024
DEFAULT_PORTS = {"http": 80, "https": 443}
CA_REMEDY = "a private CA belongs into network.ca_file, SSL_CERT_FILE or providers.<name>.ca_file"

P = TypeVar("P", bound=asyncio.Protocol)
Address = tuple[str | int, ...] | tuple[int, bytes]
"""As getaddrinfo returns them."""
Make = Callable[[], P]


class Proxy:
    """A proxy as its setting names it; what it shows of itself never holds the password."""

    __slots__ = ("authorization", "host", "port", "setting", "tls")

    def __init__(self, url: str, setting: str) -> None:
        self.setting = setting
        parts = _split_proxy(url)
        if parts is None:
            raise Unreachable(
                f"{setting} is not the URL of an http:// or https:// proxy", code="upstream_proxy"
            )
        self.tls = parts.scheme == "https"
        self.host = parts.hostname or ""
        self.port = parts.port or DEFAULT_PORTS[parts.scheme]
        self.authorization = b""
        if parts.username is not None:
            userinfo = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
            self.authorization = b"Basic " + base64.b64encode(userinfo)

    @override
    def __repr__(self) -> str:
        return f"<proxy {self.host}:{self.port} of {self.setting}>"

    def failed(self, what: str) -> Unreachable:
        """Return the error that names the proxy and the setting it came from."""
        text = f"the proxy {self.host}:{self.port} {what}; it comes from {self.setting}"
        return Unreachable(text, code="upstream_proxy")


class Way(msgspec.Struct, frozen=True):
    """How requests to one origin travel and what that changes in them."""

    origin: Origin
    host: bytes
    """Value of the Host header."""
    proxy: Proxy | None = None
    prefix: bytes = b""
    """Stands before the path: scheme and host, when a proxy wants the absolute form."""
    proxy_header: bytes = b""
    """A whole header line, or nothing."""

    @property
    def peer(self) -> str:
        """Who is at the other end, for messages."""
        origin = self.origin
        return origin.host if origin.scheme == "unix" else _authority(origin)


class Dialer:
    """Opens connections; keeps the TLS contexts."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._contexts: dict[str, ssl.SSLContext] = {}

    def way(self, origin: Origin) -> Way:
        """Say how to reach `origin`; raise Unreachable if its proxy's setting makes no sense."""
        if origin.scheme == "unix":
            return Way(origin, host=b"localhost")
        host = _host_header(origin)
        proxy = self._proxy(origin)
        if proxy is None or origin.scheme == "https":
            return Way(origin, host=host, proxy=proxy)
        header = proxy.authorization and b"proxy-authorization: " + proxy.authorization + b"\r\n"
        return Way(origin, host=host, proxy=proxy, prefix=b"http://" + host, proxy_header=header)

    async def connect(self, way: Way, make: Make[P]) -> P:
        """Return `make()` with an open transport; raise Unreachable."""
        origin = way.origin
        if origin.scheme == "unix":
            return await unix(origin.host, make)
        try:
            if way.proxy is None:
                return await self._direct(origin, make)
            return await self._proxied(way, way.proxy, make)
        except ssl.SSLCertVerificationError as error:
            text = f"the certificate of {way.peer} is not trusted ({error.verify_message}); {CA_REMEDY}"
            raise Unreachable(text, code="upstream_certificate") from error
        except ssl.SSLError as error:
            raise Unreachable(f"TLS with {way.peer} failed: {error.reason or 'no reason given'}") from error
        except (OSError, ValueError) as error:
            raise Unreachable(f"no connection to {way.peer}: {_reason(error)}") from error

    def _proxy(self, origin: Origin) -> Proxy | None:
        setting = f"{origin.scheme.upper()}_PROXY"
        url = self._network.https_proxy if origin.scheme == "https" else self._network.http_proxy
        if not url or bypasses(self._network.no_proxy, origin.host, origin.port):
            return None
        return Proxy(url, setting)

    async def _context(self, ca_file: str) -> ssl.SSLContext:
        """Return the context for a CA file; reading one takes milliseconds, so it happens beside the loop."""
        if (context := self._contexts.get(ca_file)) is None:
            try:
                context = await asyncio.to_thread(_load, ca_file)
            except OSError as error:
                text = f"the CA file {ca_file!r} cannot be used: {_reason(error)}; {CA_REMEDY}"
                raise Unreachable(text, code="upstream_certificate") from error
            self._contexts[ca_file] = context
        return context

    async def _direct(self, origin: Origin, make: Make[P]) -> P:
        context = None
        if origin.scheme == "https":
            context = await self._context(origin.ca_file or self._network.ca_file)
        return await _wrap(await _reach(origin.host, origin.port), make, context, origin.host)

    async def _proxied(self, way: Way, proxy: Proxy, make: Make[P]) -> P:
        """Go through a proxy: by CONNECT for https, else to the proxy itself."""
        context = await self._context(self._network.ca_file) if proxy.tls else None
        try:
            sock = await _reach(proxy.host, proxy.port)
            if way.origin.scheme == "http":
                return await _wrap(sock, make, context, proxy.host)
            tunnel = await _wrap(sock, _Tunnel, context, proxy.host)
        except (OSError, ValueError) as error:
            raise proxy.failed(f"cannot be reached: {_reason(error)}") from error
        return await self._through(tunnel, way.origin, proxy, make)

    async def _through(self, tunnel: _Tunnel, origin: Origin, proxy: Proxy, make: Make[P]) -> P:
        loop = asyncio.get_running_loop()
        transport = tunnel.transport
        try:
            await tunnel.connect(_authority(origin), proxy)
            context = await self._context(origin.ca_file or self._network.ca_file)
            protocol = make()
            secured = await loop.start_tls(transport, protocol, context, server_hostname=_bare(origin.host))
            if secured is None:
                raise proxy.failed("closed the tunnel")
        except BaseException:
            transport.abort()
            raise
        protocol.connection_made(secured)
        return protocol


async def unix(path: str, make: Make[P]) -> P:
    """Return `make()` connected to the unix socket at `path`; raise Unreachable."""
    try:
        _, protocol = await asyncio.get_running_loop().create_unix_connection(make, path)
    except (OSError, ValueError) as error:
        raise Unreachable(f"no connection to {path}: {_reason(error)}") from error
    return protocol


async def race(addresses: Sequence[tuple[int, Address]]) -> socket.socket:
    """Connect to the first (family, address) that answers, each `STAGGER_S` after the one before.

    A refusal starts the next at once. Raises the OSError of the first address if none answers.
    """
    queue = list(reversed(addresses))
    pending: set[asyncio.Task[socket.socket | OSError]] = set()
    errors: list[OSError] = []
    try:
        while queue or pending:
            if queue:
                pending.add(spawn(_try(*queue.pop()), name="dial"))
            done, pending = await asyncio.wait(
                pending, timeout=STAGGER_S if queue else None, return_when=asyncio.FIRST_COMPLETED
            )
            results = [task.result() for task in done]
            won = [result for result in results if isinstance(result, socket.socket)]
            if won:
                for spare in won[1:]:
                    spare.close()
                return won[0]
            errors += [result for result in results if isinstance(result, OSError)]
    finally:
        for task in pending:
            task.cancel()
        for left in await asyncio.gather(*pending, return_exceptions=True):
            if isinstance(left, socket.socket):
                left.close()
    raise errors[0] if errors else OSError("the name has no address")


def interleaved(addresses: Sequence[tuple[int, Address]]) -> list[tuple[int, Address]]:
    """Return the addresses with the families taking turns, the resolver's favourite first."""
    favourite = [pair for pair in addresses if pair[0] == addresses[0][0]]
    other = [pair for pair in addresses if pair[0] != addresses[0][0]]
    return [pair for pair in chain(*zip_longest(favourite, other)) if pair]


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """Say whether NO_PROXY exempts this host: names with their subdomains, `*`, `host:port`, networks."""
    host = _bare(host).lower()
    entries = no_proxy.replace(",", " ").lower().split()
    return any(_matches(entry, host, port) for entry in entries)


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    if entry.startswith("["):
        name, _, tail = entry[1:].partition("]")
        wanted = tail.removeprefix(":")
    elif entry.count(":") == 1:
        name, _, wanted = entry.partition(":")
    else:
        name, wanted = entry, ""
    name = name.removeprefix("*").removeprefix(".")
    return (not wanted or wanted == str(port)) and bool(name) and (host == name or host.endswith("." + name))


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel, up to the empty line after its answer."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._heard = bytearray()
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._heard += data
        over = b"\r\n\r\n" in self._heard or len(self._heard) > MAX_TUNNEL_HEAD
        if over and not self._answer.done():
            self._answer.set_result(bytes(self._heard))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_result(b"")

    async def connect(self, authority: str, proxy: Proxy) -> None:
        """Send CONNECT; raise Unreachable unless the proxy agrees."""
        head = f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n".encode("latin-1")
        if proxy.authorization:
            head += b"proxy-authorization: " + proxy.authorization + b"\r\n"
        self.transport.write(head + b"\r\n")
        head, _, surplus = (await self._answer).partition(b"\r\n\r\n")
        version, _, rest = head.partition(b" ")
        status = rest[:3].decode("latin-1")
        if not version.startswith(b"HTTP/1.") or not status.isdigit() or surplus:
            raise proxy.failed("closed the connection" if not head else "does not speak HTTP")
        if status == "407":
            raise proxy.failed("wants a user and a password (407)")
        if not status.startswith("2"):
            raise proxy.failed(f"refused a tunnel to {authority} ({status})")


async def _wrap(sock: socket.socket, make: Make[P], context: ssl.SSLContext | None, host: str) -> P:
    loop = asyncio.get_running_loop()
    try:
        _, protocol = await loop.create_connection(
            make, sock=sock, ssl=context, server_hostname=_bare(host) if context else None
        )
    except BaseException:
        sock.close()
        raise
    return protocol


async def _reach(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(_bare(host), port, type=socket.SOCK_STREAM)
    return await race(interleaved([(family, address) for family, _, _, _, address in found]))


async def _try(family: int, address: Address) -> socket.socket | OSError:
    """Connect; a failure is a value, for losing a race is no news."""
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return error
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except OSError as error:
        sock.close()
        return error
    except OverflowError as error:  # a port above 65535
        sock.close()
        return OSError(str(error))
    except BaseException:
        sock.close()
        raise
    return sock


def _load(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or None)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _split_proxy(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        usable = parts.scheme in DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _bare(host: str) -> str:
    return host.removeprefix("[").removesuffix("]")


def _written(host: str) -> str:
    """Return the host as a URL writes it: ASCII, IPv6 in brackets."""
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise Unreachable(f"{host!r} is not a host name") from error
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _authority(origin: Origin) -> str:
    return f"{_written(origin.host)}:{origin.port}"


def _host_header(origin: Origin) -> bytes:
    default = DEFAULT_PORTS.get(origin.scheme) == origin.port
    return (_written(origin.host) if default else _authority(origin)).encode("ascii")


def _reason(error: Exception) -> str:
    """Return the words of an error without the numbers and tuples some of them carry."""
    if isinstance(error, ssl.SSLError):
        return str(getattr(error, "verify_message", "") or error.reason or "TLS failed")
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
