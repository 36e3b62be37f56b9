"""Proxy settings, address order, and the race between addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.dial import STAGGER_S, Dialer, Proxy, bypasses, interleaved, race, unix
from gateway.errors import Unreachable
from gateway.providers.base import Origin
from gateway.settings import Network
from tests.fakes.loops import on_both_loops

HTTPS = Origin("https", "api.example.com", 443)
HTTP = Origin("http", "llm.example.com", 8000)


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "wanted"),
    [
        ("", "example.com", 443, False),
        ("*", "example.com", 443, True),
        ("example.com", "example.com", 443, True),
        ("EXAMPLE.com", "example.COM", 443, True),
        ("example.com", "api.example.com", 443, True),
        (".example.com", "api.example.com", 443, True),
        ("*.example.com", "api.example.com", 443, True),
        (".example.com", "example.com", 443, True),
        ("example.com", "badexample.com", 443, False),
        ("a.b, example.com ,c", "example.com", 443, True),
        ("a.b example.com", "example.com", 443, True),
        ("example.com:8000", "example.com", 8000, True),
        ("example.com:8000", "example.com", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.0.0.0/8", "ten.example.com", 80, False),
        ("nonsense/8", "10.1.2.3", 80, False),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("::1", "::1", 80, True),
        ("[::1]:80", "[::1]", 80, True),
        ("[::1]:81", "::1", 80, False),
        ("fd00::/8", "fd00::5", 80, True),
        (",,", "example.com", 443, False),
        (".", "example.com", 443, False),
    ],
)
def test_no_proxy_exempts_what_it_names(no_proxy: str, host: str, port: int, *, wanted: bool) -> None:
    assert bypasses(no_proxy, host, port) is wanted


def test_https_goes_through_a_tunnel_and_keeps_its_request_line() -> None:
    way = Dialer(Network(https_proxy="http://proxy:3128", http_proxy="http://other:1")).way(HTTPS)

    assert way.proxy is not None
    assert (way.proxy.host, way.proxy.port) == ("proxy", 3128)
    assert (way.prefix, way.proxy_header) == (b"", b"")


def test_http_through_a_proxy_has_the_absolute_form_and_the_login() -> None:
    way = Dialer(Network(http_proxy="http://me:p%40ss@proxy")).way(HTTP)

    assert way.proxy is not None
    assert way.proxy.port == 80
    assert way.prefix == b"http://llm.example.com:8000"
    assert way.proxy_header == b"proxy-authorization: Basic bWU6cEBzcw==\r\n"


def test_an_exempt_host_is_dialled_directly() -> None:
    dialer = Dialer(Network(https_proxy="http://proxy:3128", no_proxy="example.com"))

    assert dialer.way(HTTPS).proxy is None


@pytest.mark.parametrize("url", ["socks5://p:1", "http://", "http://p:99999", "http://[::1", "http://p:0"])
def test_a_proxy_that_makes_no_sense_names_its_setting_but_not_its_password(url: str) -> None:
    with pytest.raises(Unreachable) as caught:
        Dialer(Network(https_proxy=url.replace("//", "//me:geheim@"))).way(HTTPS)

    assert caught.value.code == "upstream_proxy"
    assert "HTTPS_PROXY" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_proxy_may_be_written_without_a_scheme() -> None:
    proxy = Proxy("proxy:3128", "HTTPS_PROXY")

    assert (proxy.host, proxy.port, proxy.tls) == ("proxy", 3128, False)


def test_a_proxys_password_is_in_none_of_its_texts() -> None:
    way = Dialer(Network(https_proxy="http://me:geheim@proxy:1")).way(HTTPS)

    assert way.proxy is not None
    assert "geheim" not in repr(way) + str(way.proxy.failed("is ill"))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (Origin("https", "h", 443), b"h"),
        (Origin("https", "h", 8443), b"h:8443"),
        (Origin("http", "h", 80), b"h"),
        (Origin("http", "::1", 8000), b"[::1]:8000"),
        (Origin("http", "[::1]", 80), b"[::1]"),
        (Origin("https", "bücher.example", 443), b"xn--bcher-kva.example"),
        (Origin("unix", "/run/x.sock", 0), b"localhost"),
    ],
)
def test_the_host_header_is_written_as_in_a_url(origin: Origin, host: bytes) -> None:
    assert Dialer(Network()).way(origin).host == host


def test_a_host_that_is_no_name_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        Dialer(Network()).way(Origin("https", "ü" * 80, 443))


def test_the_families_take_turns_beginning_with_the_resolvers_favourite() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    found: list[tuple[int, tuple[str | int, ...] | tuple[int, bytes]]]
    found = [(six, ("a", 1)), (six, ("b", 1)), (six, ("c", 1)), (four, ("d", 1))]

    assert [address[0] for _, address in interleaved(found)] == ["a", "d", "b", "c"]
    assert interleaved([]) == []


# racing


@pytest.fixture
def door() -> Iterator[tuple[str, int]]:
    """An address that answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()


@pytest.fixture
def wall() -> Iterator[tuple[str, int]]:
    """An address that refuses."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()


@pytest.fixture
def swamp() -> Iterator[tuple[str, int]]:
    """An address that never answers: its queue is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        yield listening.getsockname()
        for filler in fillers:
            filler.close()


@on_both_loops
async def test_an_address_that_answers_is_taken_without_delay(door: tuple[str, int]) -> None:
    async with asyncio.timeout(STAGGER_S / 2):
        sock = await race([(socket.AF_INET, door)])

    with sock:
        assert sock.getpeername() == door
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@on_both_loops
async def test_a_refusal_moves_on_at_once(wall: tuple[str, int], door: tuple[str, int]) -> None:
    async with asyncio.timeout(STAGGER_S / 2):
        sock = await race([(socket.AF_INET, wall), (socket.AF_INET, door)])

    with sock:
        assert sock.getpeername() == door


@on_both_loops
async def test_silence_moves_on_after_the_stagger(swamp: tuple[str, int], door: tuple[str, int]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    sock = await race([(socket.AF_INET, swamp), (socket.AF_INET, door)])

    with sock:
        assert sock.getpeername() == door
    assert STAGGER_S * 0.9 <= loop.time() - began < STAGGER_S * 6


@on_both_loops
async def test_when_all_refuse_the_first_refusal_is_told(wall: tuple[str, int]) -> None:
    with pytest.raises(ConnectionRefusedError):
        await race([(socket.AF_INET, wall), (socket.AF_INET6, ("::1", wall[1]))])


@on_both_loops
async def test_no_address_at_all_is_an_error() -> None:
    with pytest.raises(OSError, match="no address"):
        await race([])


@on_both_loops
async def test_a_cancelled_race_leaves_nothing_running(swamp: tuple[str, int]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.03):
            await race([(socket.AF_INET, swamp), (socket.AF_INET, swamp)])


@on_both_loops
async def test_a_unix_socket_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"nothing\.sock"):
        await unix(str(tmp_path / "nothing.sock"), asyncio.Protocol)
