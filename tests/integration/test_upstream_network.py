"""The HTTP client's way out: refusals, TLS, proxies; under both event loops."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from gateway.errors import Unreachable
from gateway.http1.reply import Reply
from gateway.providers.base import Origin, Outgoing
from gateway.settings import Network, Timeouts
from tests.fakes.client import PATIENT, client, failure, fetched, outgoing
from tests.fakes.loops import on_both_loops
from tests.fakes.provider import Provider, Proxy, Script, chat, chat_stream
from tests.fakes.waiting import until

SILENT = Script(stall_at=0)


# unreachable


@on_both_loops
async def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with client() as upstream:
            out = Outgoing("POST", Origin("http", *bound.getsockname()), "/", [], b"")

            error = await failure(upstream, out)

    assert isinstance(error, Unreachable)
    assert (error.code, error.retryable, error.status) == ("upstream_unreachable", True, 502)


@pytest.mark.parametrize(
    ("host", "port"),
    [("no-such-host.invalid", 1), ("a..b", 1), ("x" * 80, 1), ("", 1), ("127.0.0.1", 99999)],
    ids=["unknown", "empty label", "long label", "empty", "port"],
)
@on_both_loops
async def test_an_address_that_cannot_exist_is_unreachable(host: str, port: int) -> None:
    async with client() as upstream:
        error = await failure(upstream, Outgoing("POST", Origin("https", host, port), "/", [], b""))

    assert isinstance(error, Unreachable)
    assert error.code == "upstream_unreachable"


# TLS


class Authority:
    """A CA, a certificate for 127.0.0.1 and localhost, and the CA's file."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.file = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.file)

    def context(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@on_both_loops
async def test_tls_trusts_the_installations_ca_and_tells_the_server_its_name(authority: Authority) -> None:
    names: list[str | None] = []
    context = authority.context()
    context.sni_callback = lambda _sock, name, _context: names.append(name)
    async with (
        Provider(chat_stream(), tls=context) as provider,
        client(Network(ca_file=authority.file)) as upstream,
    ):
        for _ in range(3):
            status, body = await fetched(upstream, outgoing(provider, host="localhost"), stream=True)
            assert (status, body[-14:]) == (200, b"data: [DONE]\n\n")

        assert provider.connections == 1
        assert names == ["localhost"]


@on_both_loops
async def test_tls_trusts_the_providers_own_ca(authority: Authority) -> None:
    async with Provider(chat(), tls=authority.context()) as provider, client() as upstream:
        assert (await fetched(upstream, outgoing(provider, ca_file=authority.file)))[0] == 200


@on_both_loops
async def test_large_bodies_pass_through_tls_both_ways(authority: Authority) -> None:
    async with (
        Provider(Script(body=b"y" * 5_000_000), tls=authority.context()) as provider,
        client(Network(ca_file=authority.file)) as upstream,
    ):
        with closing(
            await upstream.open(outgoing(provider, body=b"x" * 5_000_000), PATIENT, stream=True)
        ) as answer:
            assert isinstance(answer, Reply)
            await until(lambda: answer._paused, "paused")
            assert sum([len(chunk) async for chunk in answer.chunks()]) == 5_000_000

        assert len(provider.requests[0].body) == 5_000_000


@pytest.mark.parametrize(
    ("names", "trusted"), [((), False), (("other.test",), True)], ids=["stranger", "name"]
)
@on_both_loops
async def test_a_certificate_that_does_not_verify_names_the_settings(
    authority: Authority, names: tuple[str, ...], *, trusted: bool
) -> None:
    network = Network(ca_file=authority.file if trusted else "")
    async with Provider(chat(), tls=authority.context(*names)) as provider, client(network) as upstream:
        error = await failure(upstream, outgoing(provider))

        assert isinstance(error, Unreachable)
        assert error.code == "upstream_certificate"
        for setting in ("network.ca_file", "SSL_CERT_FILE", "providers.<name>.ca_file"):
            assert setting in str(error)
        assert not provider.requests


@pytest.mark.parametrize("content", [None, "not a certificate"], ids=["missing", "nonsense"])
@on_both_loops
async def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    async with Provider(chat()) as provider, client(Network(ca_file=str(file))) as upstream:
        error = await failure(
            upstream, Outgoing("POST", Origin("https", "127.0.0.1", provider.port), "/", [], b"")
        )

    assert error.code == "upstream_certificate"
    assert str(file) in str(error)


@on_both_loops
async def test_tls_to_a_server_without_it_is_unreachable() -> None:
    def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test ready\r\n" * 9)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server, client() as upstream:
        port = server.sockets[0].getsockname()[1]

        error = await failure(upstream, Outgoing("POST", Origin("https", "127.0.0.1", port), "/", [], b""))

    assert isinstance(error, Unreachable)
    assert error.code == "upstream_unreachable"


# proxies


@on_both_loops
async def test_https_goes_through_a_connect_proxy_with_a_login(authority: Authority) -> None:
    async with (
        Provider(chat_stream(), tls=authority.context()) as provider,
        Proxy("me:p@ss") as proxy,
        client(Network(ca_file=authority.file, https_proxy=proxy.url("me:p%40ss"))) as upstream,
    ):
        for _ in range(2):
            assert (await fetched(upstream, outgoing(provider), stream=True))[0] == 200

        assert proxy.asked == [f"CONNECT 127.0.0.1:{provider.port} HTTP/1.1"]
        assert "proxy-authorization" not in provider.requests[0].headers


@on_both_loops
async def test_a_proxy_may_itself_speak_tls(authority: Authority) -> None:
    async with (
        Provider(Script(body=b"y" * 1_000_000), tls=authority.context()) as provider,
        Proxy(tls=authority.context()) as proxy,
        client(Network(ca_file=authority.file, https_proxy=proxy.url())) as upstream,
    ):
        assert len((await fetched(upstream, outgoing(provider)))[1]) == 1_000_000


@on_both_loops
async def test_plain_http_goes_through_its_proxy_in_absolute_form() -> None:
    async with (
        Provider(chat()) as provider,
        Proxy("me:x") as proxy,
        client(Network(http_proxy=proxy.url("me:x"))) as upstream,
    ):
        assert (await fetched(upstream, outgoing(provider)))[0] == 200

        assert proxy.asked == [f"POST {provider.base_url}/v1/chat/completions HTTP/1.1"]
        assert provider.requests[0].path == "/v1/chat/completions"


@on_both_loops
async def test_exempt_hosts_do_not_go_through_the_proxy() -> None:
    async with (
        Provider(chat()) as provider,
        Proxy() as proxy,
        client(Network(http_proxy=proxy.url(), no_proxy="127.0.0.0/8")) as upstream,
    ):
        assert (await fetched(upstream, outgoing(provider)))[0] == 200

        assert not proxy.asked


Trouble = Callable[[], Proxy]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("trouble", "word"),
    [(lambda: Proxy("me:other"), "407"), (lambda: Proxy(refuse=407), "407")],
    ids=["wrong login", "no login"],
)
@on_both_loops
async def test_a_proxy_that_wants_a_login_is_named_without_the_password(
    scheme: str, trouble: Trouble, word: str
) -> None:
    async with trouble() as proxy:
        url = proxy.url("me:geheim")
        async with client(Network(http_proxy=url, https_proxy=url)) as upstream:
            error = await failure(upstream, Outgoing("POST", Origin(scheme, "far.test", 9), "/", [], b""))

            assert isinstance(error, Unreachable)
            assert error.code == "upstream_proxy"
            assert word in str(error)
            assert f"{scheme.upper()}_PROXY" in str(error)
            assert "geheim" not in str(error)


@on_both_loops
async def test_a_proxy_that_refuses_the_tunnel_is_named() -> None:
    async with Proxy(refuse=502) as proxy, client(Network(https_proxy=proxy.url())) as upstream:
        error = await failure(upstream, Outgoing("POST", Origin("https", "far.test", 443), "/", [], b""))

        assert error.code == "upstream_proxy"
        assert "502" in str(error)


@pytest.mark.parametrize(
    "script",
    [Script(cut_at=0), Script(raw=b"SSH-2.0\r\n\r\n"), Script(raw=b"HTTP/1.1 200 OK\r\n\r\nsurplus")],
    ids=["closes", "other protocol", "surplus"],
)
@on_both_loops
async def test_a_proxy_that_is_none_is_named(script: Script) -> None:
    async with Provider(script) as provider, client(Network(https_proxy=provider.base_url)) as upstream:
        error = await failure(upstream, Outgoing("POST", Origin("https", "far.test", 443), "/", [], b""))

        assert error.code == "upstream_proxy"
        assert "HTTPS_PROXY" in str(error)


@on_both_loops
async def test_a_proxy_that_is_not_there_is_named() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        proxy = f"http://me:geheim@127.0.0.1:{bound.getsockname()[1]}"
        async with client(Network(https_proxy=proxy)) as upstream:
            error = await failure(upstream, Outgoing("POST", Origin("https", "far.test", 443), "/", [], b""))

    assert error.code == "upstream_proxy"
    assert "geheim" not in str(error)


@on_both_loops
async def test_a_tunnel_that_never_opens_ends_with_the_connect_clock() -> None:
    async with Provider(SILENT) as provider, client(Network(https_proxy=provider.base_url)) as upstream:
        out = Outgoing("POST", Origin("https", "far.test", 443), "/", [], b"")

        assert (await failure(upstream, out, Timeouts(connect_s=0.05))).code == "upstream_timeout_connect"


@on_both_loops
async def test_a_strangers_certificate_behind_a_proxy_is_a_certificate_error(authority: Authority) -> None:
    async with (
        Provider(chat(), tls=authority.context()) as provider,
        Proxy() as proxy,
        client(Network(https_proxy=proxy.url())) as upstream,
    ):
        assert (await failure(upstream, outgoing(provider))).code == "upstream_certificate"
