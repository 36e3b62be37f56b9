"""The line between worker and hub: both sides over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from gateway import link as link_module
from gateway.link import (
    HEAD,
    TOKEN_LENGTH,
    VERSION,
    CallFailed,
    FrameTooLarge,
    LinkClient,
    LinkDown,
    frame,
    reader,
)
from gateway.link_server import Handler, LinkServer
from gateway.processes.doors import bind_unix
from tests.fakes.waiting import until

LOOPS = ("asyncio", "uvloop")

Connect = Callable[..., Awaitable[tuple[LinkClient, LinkServer]]]


async def _double(params: object) -> object:
    assert isinstance(params, int)
    return params * 2


@pytest.fixture
async def connect(tmp_path: Path) -> AsyncIterator[Connect]:
    """Start a server with these handlers and a client that is connected to it."""
    opened: list[LinkClient | LinkServer] = []

    async def opening(**handlers: Handler) -> tuple[LinkClient, LinkServer]:
        server = LinkServer(handlers)
        await server.listen(bind_unix(tmp_path / "link.sock"))
        client = LinkClient(str(tmp_path / "link.sock"))
        client.start()
        opened.extend((client, server))
        assert await client.wait_connected(5)
        return client, server

    yield opening
    for one in opened:
        await one.close()


async def test_a_call_brings_back_its_own_answer_among_many(connect: Connect) -> None:
    async def slow_if_even(params: object) -> object:
        assert isinstance(params, int)
        await asyncio.sleep(0.01 if params % 2 == 0 else 0)
        return {"was": params}

    client, _ = await connect(slow_if_even=slow_if_even)
    answers = await asyncio.gather(*(client.call("slow_if_even", n, timeout_s=5) for n in range(200)))
    assert answers == [{"was": n} for n in range(200)]
    assert client.connected
    assert client.last_success_us > 0


async def test_what_is_only_told_arrives_and_its_answer_disturbs_nobody(connect: Connect) -> None:
    heard: list[object] = []

    async def hear(params: object) -> object:
        heard.append(params)
        if params == "trouble":
            raise CallFailed("trouble", "nobody asked")
        return "thanks"

    client, _ = await connect(hear=hear, double=_double)
    for told in ("news", "trouble", 3):
        client.notify("hear", told)
    assert await client.call("double", 4, timeout_s=5) == 8
    await until(lambda: len(heard) == 3)
    assert heard == ["news", "trouble", 3]

    await client.close()
    client.notify("hear", "too late")
    assert len(heard) == 3


async def test_what_is_asked_and_told_at_once_is_written_at_once_and_in_order(connect: Connect) -> None:
    heard: list[object] = []

    async def hear(params: object) -> object:
        heard.append(params)
        return params

    client, server = await connect(hear=hear)
    line = client._line
    assert line is not None
    assert line.transport is not None
    written: list[bytes] = []
    line.write = written.append  # type: ignore[method-assign, assignment]
    loop = asyncio.get_running_loop()
    calls = [loop.create_task(client.call("hear", n, timeout_s=5)) for n in range(3)]
    await asyncio.sleep(0)
    client.notify("hear", "news")
    calls[0].cancel()
    await until(calls[0].done)
    together, never_mind = (message for message in written if b"ping" not in message)
    assert never_mind == HEAD.pack(0, HEAD.unpack(together[: HEAD.size])[1])

    line.transport.write(b"".join(written))
    assert await asyncio.gather(*calls[1:]) == [1, 2]
    await until(lambda: heard[-1:] == ["news"])
    assert server.counters.failures == 0


async def test_what_a_handler_refuses_arrives_as_code_and_message(connect: Connect) -> None:
    async def refuse(params: object) -> object:
        raise CallFailed("no_such_key", "nobody issued it")

    client, _ = await connect(refuse=refuse)
    with pytest.raises(CallFailed, match="nobody issued it") as caught:
        await client.call("refuse", None, timeout_s=5)
    assert caught.value.code == "no_such_key"


async def test_an_answer_is_read_in_the_shape_that_the_caller_names(connect: Connect) -> None:
    class Point(msgspec.Struct):
        x: int

    async def answer(params: object) -> object:
        if params == "refuse":
            raise CallFailed("no_such_point", "nobody drew it")
        return params

    client, _ = await connect(answer=answer)
    assert await client.call("answer", {"x": 1}, timeout_s=5, read=reader(Point)) == Point(1)
    with pytest.raises(msgspec.ValidationError):
        await client.call("answer", {"x": "one"}, timeout_s=5, read=reader(Point))
    with pytest.raises(CallFailed, match="nobody drew it"):
        await client.call("answer", "refuse", timeout_s=5, read=reader(Point))
    assert await client.call("answer", {"x": "one"}, timeout_s=5) == {"x": "one"}


async def test_a_bug_in_a_handler_or_an_unknown_method_is_answered_and_the_line_lives(
    connect: Connect,
) -> None:
    async def bug(params: object) -> object:
        raise ZeroDivisionError

    client, server = await connect(bug=bug, double=_double)
    with pytest.raises(CallFailed, match="internal_error: ZeroDivisionError"):
        await client.call("bug", None, timeout_s=5)
    with pytest.raises(CallFailed, match="unknown_method"):
        await client.call("nothing", None, timeout_s=5)
    assert await client.call("double", 4, timeout_s=5) == 8
    assert server.counters.failures == 2


async def test_a_caller_that_is_cancelled_or_out_of_time_stops_the_work_at_the_other_side(
    connect: Connect,
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(params: object) -> object:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return None

    client, server = await connect(endless=endless)
    call = asyncio.get_running_loop().create_task(client.call("endless", None, timeout_s=60))
    await begun.wait()
    call.cancel()
    async with asyncio.timeout(5):
        await ended.wait()
    ended.clear()
    with pytest.raises(TimeoutError):
        await client.call("endless", None, timeout_s=0.02)
    async with asyncio.timeout(5):
        await ended.wait()
    await until(lambda: server.counters.cancelled == 2)
    assert await client.call("ping", "still there", timeout_s=5) == "still there"


async def test_each_of_many_calls_is_given_up_at_its_own_deadline(connect: Connect) -> None:
    async def endless(params: object) -> object:
        return await asyncio.Event().wait()

    client, server = await connect(endless=endless)
    loop = asyncio.get_running_loop()
    patient = loop.create_task(client.call("endless", None, timeout_s=60))
    given_up: list[float] = []

    async def wait(timeout_s: float) -> None:
        began = loop.time()
        with pytest.raises(TimeoutError):
            await client.call("endless", None, timeout_s=timeout_s)
        assert loop.time() - began >= timeout_s - 0.002
        given_up.append(timeout_s)

    await asyncio.gather(*(wait(timeout_s) for timeout_s in (0.15, 0.03, 0.09)))
    await wait(0.01)
    assert given_up == [0.03, 0.09, 0.15, 0.01]
    assert not patient.done()
    await until(lambda: server.counters.cancelled == 4)
    patient.cancel()


async def test_a_message_over_the_limit_is_refused_on_either_side_and_the_line_lives(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "MAX_FRAME", 1000)

    async def big(params: object) -> object:
        return b"x" * 2000

    client, _ = await connect(big=big)
    with pytest.raises(FrameTooLarge):
        await client.call("ping", b"x" * 2000, timeout_s=5)
    with pytest.raises(CallFailed, match="answer_too_large"):
        await client.call("big", None, timeout_s=5)
    assert await client.call("ping", 1, timeout_s=5) == 1


async def test_a_peer_that_announces_too_large_a_message_is_cut_off(connect: Connect, tmp_path: Path) -> None:
    client, _ = await connect()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "link.sock"))
    writer.write(VERSION + TOKEN_LENGTH.pack(0) + HEAD.pack(link_module.MAX_FRAME + 1, 1))
    assert await reader.read() == VERSION
    writer.close()
    assert await client.call("ping", 1, timeout_s=5) == 1


@pytest.mark.parametrize("hello", [b"\x02" + TOKEN_LENGTH.pack(0), b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_peer_of_another_version_is_cut_off(connect: Connect, tmp_path: Path, hello: bytes) -> None:
    await connect()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "link.sock"))
    writer.write(hello)
    assert await _hung_up(reader)
    writer.close()


async def test_a_wrong_token_is_cut_off_and_the_right_one_let_in_over_tcp() -> None:
    door = socket.create_server(("127.0.0.1", 0))
    server = LinkServer({"double": _double}, token=b"secret")
    await server.listen(door)
    address = door.getsockname()[:2]
    stranger, friend = LinkClient(address, token=b"guess"), LinkClient(address, token=b"secret")
    stranger.start()
    friend.start()
    try:
        assert await friend.wait_connected(5)
        assert await friend.call("double", 21, timeout_s=5) == 42
        assert not await stranger.wait_connected(0.1)
        with pytest.raises(LinkDown):
            await stranger.call("double", 21, timeout_s=5)
    finally:
        await stranger.close()
        await friend.close()
        await server.close()


async def test_calls_fail_with_the_line_and_it_comes_back_by_itself(connect: Connect, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def endless(params: object) -> object:
        begun.set()
        return await asyncio.Event().wait()

    client, server = await connect(endless=endless)
    call = asyncio.get_running_loop().create_task(client.call("endless", None, timeout_s=60))
    await begun.wait()
    await server.close()
    with pytest.raises(LinkDown):
        await call
    with pytest.raises(LinkDown):  # not only once the line's own task has noticed
        await client.call("double", 1, timeout_s=60)
    await until(lambda: not client.connected)
    with pytest.raises(LinkDown):
        await client.call("ping", None, timeout_s=60)

    second = LinkServer({"double": _double})
    await second.listen(bind_unix(tmp_path / "link.sock"))
    assert await client.wait_connected(10)
    assert await client.call("double", 2, timeout_s=5) == 4
    await second.close()


async def test_each_time_the_line_comes_up_whoever_asked_for_it_is_called(tmp_path: Path) -> None:
    heard: list[object] = []

    async def hear(params: object) -> object:
        heard.append(params)
        return None

    client = LinkClient(str(tmp_path / "link.sock"))
    client.when_up(lambda: client.notify("hear", "here I am"))
    client.notify("hear", "nobody is there")
    client.start()
    for times in (1, 2):
        server = LinkServer({"hear": hear})
        await server.listen(bind_unix(tmp_path / "link.sock"))
        await until(lambda times=times: len(heard) == times)  # type: ignore[misc]
        await server.close()
        await until(lambda: not client.connected)
    await client.close()

    assert heard == ["here I am"] * 2


async def test_it_is_not_connected_while_the_socket_is_held_but_nobody_serves(tmp_path: Path) -> None:
    door = bind_unix(tmp_path / "link.sock")
    client = LinkClient(str(tmp_path / "link.sock"))
    client.start()
    assert not await client.wait_connected(0.1)
    server = LinkServer({})
    await server.listen(door)
    assert await client.wait_connected(5)
    await client.close()
    await server.close()


async def test_newcomers_get_the_latest_value_of_each_topic_and_everybody_the_next(
    connect: Connect, tmp_path: Path
) -> None:
    client, server = await connect()
    server.publish("keys", 1)
    server.publish("keys", 2)
    server.publish("models", ["a"])
    early: list[object] = []
    client.subscribe("keys", early.append)
    await until(lambda: 2 in early)

    newcomer = LinkClient(str(tmp_path / "link.sock"))
    keys: list[object] = []
    models: list[object] = []
    newcomer.subscribe("keys", keys.append)
    newcomer.start()
    await until(lambda: keys == [2])
    newcomer.subscribe("models", models.append)
    await until(lambda: models == [["a"]])
    server.publish("keys", 3)
    await until(lambda: keys == [2, 3] and early[-1] == 3)
    await newcomer.close()


async def test_a_worker_that_does_not_read_gets_only_the_latest_and_holds_nobody_up(
    connect: Connect, tmp_path: Path
) -> None:
    client, server = await connect()
    slow_socket = socket.socket(socket.AF_UNIX)
    slow_socket.connect(str(tmp_path / "link.sock"))
    slow_socket.sendall(VERSION + TOKEN_LENGTH.pack(0))
    await until(lambda: server.guests == 2)
    seen: list[object] = []
    client.subscribe("snapshot", seen.append)
    for number in range(60):
        server.publish("snapshot", {"number": number, "padding": b"x" * 200_000})
        await until(lambda: bool(seen) and seen[-1]["number"] == number)  # type: ignore[index]  # noqa: B023

    reader, writer = await asyncio.open_unix_connection(sock=slow_socket)
    assert await reader.readexactly(1) == VERSION
    numbers = []
    while 59 not in numbers:
        length, _ = HEAD.unpack(await reader.readexactly(HEAD.size))
        _, payload = msgspec.msgpack.decode(await reader.readexactly(length))
        numbers.append(payload["number"])
    assert numbers == sorted(numbers)
    assert len(numbers) < 30
    writer.close()


async def test_a_caller_waits_while_the_other_side_reads_nothing(tmp_path: Path) -> None:
    accepted: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    go_on = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append((reader, writer))
        await reader.readexactly(3)
        writer.write(VERSION)
        await go_on.wait()
        while True:
            try:
                length, number = HEAD.unpack(await reader.readexactly(HEAD.size))
            except asyncio.IncompleteReadError:
                writer.close()
                return
            await reader.readexactly(length)
            if length:
                writer.write(frame(number, msgspec.msgpack.encode(("", length))))

    server = await asyncio.start_unix_server(mute, str(tmp_path / "link.sock"))
    client = LinkClient(str(tmp_path / "link.sock"))
    client.start()
    assert await client.wait_connected(5)
    with pytest.raises(TimeoutError):
        await client.call("first", b"x" * 4_000_000, timeout_s=0.05)
    line = client._line
    assert line is not None
    assert line.transport is not None
    waiting_bytes = line.transport.get_write_buffer_size()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await client.call("waits for room", b"x" * 1_000_000, timeout_s=0.02)
    assert line.transport.get_write_buffer_size() <= waiting_bytes
    waiting = asyncio.get_running_loop().create_task(client.call("in the end", b"x", timeout_s=10))
    await asyncio.sleep(0)
    go_on.set()
    assert isinstance(await waiting, int)
    await client.close()
    server.close()


async def test_garbage_instead_of_msgpack_ends_the_connection(connect: Connect, tmp_path: Path) -> None:
    await connect()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "link.sock"))
    writer.write(VERSION + TOKEN_LENGTH.pack(0) + frame(1, b"\xc1\xc1"))
    assert await _hung_up(reader)
    writer.close()


async def test_messages_arrive_whole_however_the_stream_is_cut(connect: Connect, tmp_path: Path) -> None:
    await connect(double=_double)
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "link.sock"))
    stream = VERSION + TOKEN_LENGTH.pack(0)
    stream += b"".join(frame(n, msgspec.msgpack.encode(("double", n))) for n in (1, 2, 3))
    for byte in stream:
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert await reader.readexactly(1) == VERSION
    for n in (1, 2, 3):
        length, number = HEAD.unpack(await reader.readexactly(HEAD.size))
        assert (number, msgspec.msgpack.decode(await reader.readexactly(length))) == (n, ["", 2 * n])
    writer.close()


async def test_what_is_only_told_is_not_answered(connect: Connect, tmp_path: Path) -> None:
    _, server = await connect(double=_double)
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "link.sock"))
    writer.write(VERSION + TOKEN_LENGTH.pack(0))
    for number, told in ((0, 1), (0, "nonsense"), (7, 2)):
        writer.write(frame(number, msgspec.msgpack.encode(("double", told))))
    assert await reader.readexactly(1) == VERSION
    length, number = HEAD.unpack(await reader.readexactly(HEAD.size))
    assert (number, msgspec.msgpack.decode(await reader.readexactly(length))) == (7, ["", 4])
    assert server.counters.failures == 1
    writer.close()


async def _hung_up(reader: asyncio.StreamReader) -> bool:
    """Wait for the other side's end, polite or not."""
    async with asyncio.timeout(5):
        try:
            while await reader.read(1024):
                pass
        except ConnectionResetError:
            pass
    return True
