"""The public door: limits, slow clients, hosts, origins, keys."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.tidegate import Tidegate

KEY = "tg-test-key"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    """A gateway with small limits."""
    server = {"max_body_mb": 1, "max_header_kb": 4, "header_timeout_s": 1, "body_timeout_s": 1}
    gateway = Tidegate(tmp_path_factory.mktemp("strict"), {"server": server}).start()
    yield gateway
    assert gateway.stop() == 0, gateway.log()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    """A gateway with two keys of two projects."""
    keys = [
        {
            "name": name,
            "hash": hashlib.sha256(f"{KEY}-{name}".encode()).hexdigest(),
            "project": name,
            "store": store,
        }
        for name, store in (("red", "full"), ("blue", "metadata"))
    ]
    gateway = Tidegate(tmp_path_factory.mktemp("closed"), {"keys": keys}).start()
    yield gateway
    assert gateway.stop() == 0, gateway.log()


def raw(gateway: Tidegate, sent: bytes) -> bytes:
    """Send these bytes; return everything that comes until the gateway closes."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


def test_a_body_over_the_limit_is_refused_by_its_length_alone(strict: Tidegate) -> None:
    answer = raw(
        strict, b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"server.max_body_mb" in answer


def test_a_body_over_the_limit_is_refused_while_it_arrives(strict: Tidegate) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"

    answer = raw(strict, head + (b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 18)

    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("size", [5_000, 300_000])
def test_headers_over_the_limit_are_refused(strict: Tidegate, size: int) -> None:
    answer = raw(strict, b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * size + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 431")
    assert b"server.max_header_kb" in answer


def test_what_is_not_http_gets_an_error_that_a_client_can_read(strict: Tidegate) -> None:
    answer = raw(strict, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"invalid_http"' in answer
    assert b'code="invalid_http"} ' in strict.get("/metrics").body


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /v1/chat/completions HTTP/1.1\r\nhost: loc"],
    ids=["nothing", "half of the headers"],
)
def test_a_client_that_does_not_get_to_the_point_is_closed(strict: Tidegate, sent: bytes) -> None:
    assert raw(strict, sent).startswith(b"HTTP/1.1 408")


def test_a_body_that_stops_arriving_is_given_up(strict: Tidegate) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n"

    with socket.create_connection(("127.0.0.1", strict.port), timeout=30) as connection:
        connection.sendall(head + b'{"model":')
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"server.body_timeout_s" in answer


def test_slow_clients_do_not_keep_others_from_being_served(strict: Tidegate) -> None:
    slow = [socket.create_connection(("127.0.0.1", strict.port)) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: loc")

        assert strict.chat().status == 200
        for connection in slow:
            connection.settimeout(30)
            assert connection.recv(100).startswith(b"HTTP/1.1 408")
    finally:
        for connection in slow:
            connection.close()


def test_open_mode_does_not_answer_a_foreign_host_or_page(house: Tidegate) -> None:
    host = house.get("/v1/models", {"host": "evil.example"})
    page = house.get("/v1/models", {"origin": "https://evil.example"})
    ledger = house.get("/api/calls", {"origin": "https://evil.example"})

    assert [host.status, page.status, ledger.status] == [403, 403, 403]
    assert host.json()["error"]["code"] == "host_not_allowed"


def test_with_keys_nothing_but_liveness_is_for_everybody(closed: Tidegate) -> None:
    paths = ["/v1/models", "/api/calls", "/metrics", "/docs", "/"]

    assert [closed.get(path).status for path in paths] == [401] * len(paths)
    assert closed.chat().status == 401
    assert closed.get("/health/live").status == 200


def test_whoever_may_call_is_told_of_a_base_url_that_has_too_much(closed: Tidegate) -> None:
    red = {"authorization": f"Bearer {KEY}-red"}
    answers = [closed.request("POST", "/v1/v1/chat/completions", {}, headers) for headers in (red, {})]

    assert [answer.status for answer in answers] == [404, 401]


def test_one_project_does_not_see_the_calls_of_another(closed: Tidegate) -> None:
    red, blue = ({"authorization": f"Bearer {KEY}-{name}"} for name in ("red", "blue"))
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "canary-7f3a"}]}
    call_id = closed.request(
        "POST",
        "/v1/chat/completions",
        body,
        {**red, "x-tidegate-event-id": "shared", "x-tidegate-user-id": "u"},
    ).headers["x-tidegate-call-id"]

    closed.await_calls(1, red, event_id="shared")
    assert closed.calls(blue, event_id="shared") == []
    assert closed.get(f"/api/calls/{call_id}", blue).status == 404
    for path in ("/api/events/shared", "/api/users/u/cost", "/api/threads/t", "/api/calls"):
        assert b"canary-7f3a" not in closed.get(path, blue).body
        assert call_id.encode() not in closed.get(path, blue).body


def test_a_forged_principal_is_ignored(closed: Tidegate) -> None:
    blue = {"authorization": f"Bearer {KEY}-blue", "x-tidegate-principal": '{"project":"red","open":true}'}
    red = {"authorization": f"Bearer {KEY}-red"}
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "x"}]}
    closed.request("POST", "/v1/chat/completions", body, {**red, "x-tidegate-event-id": "forged"})

    closed.await_calls(1, red, event_id="forged")
    assert closed.calls(blue, event_id="forged") == []


def test_a_key_that_stores_metadata_leaves_no_text(closed: Tidegate) -> None:
    blue = {"authorization": f"Bearer {KEY}-blue", "x-tidegate-event-id": "quiet"}
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "canary-91c2"}]}
    closed.request("POST", "/v1/chat/completions", body, blue)

    calls = closed.await_calls(1, blue, event_id="quiet")
    assert b"canary-91c2" not in closed.get(f"/api/calls/{calls[0]['call_id']}", blue).body
    assert all(b"canary-91c2" not in path.read_bytes() for path in journal_files(closed))


def journal_files(gateway: Tidegate) -> list[Path]:
    return [path for path in (gateway.data / "journal").rglob("*") if path.is_file()]
