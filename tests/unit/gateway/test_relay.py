"""Which of a client's headers the process behind gets to see."""

from __future__ import annotations

from gateway.relay import HOP_BY_HOP, forwarded


def test_headers_of_the_request_pass_in_their_order_with_who_asked_added() -> None:
    sent = [(b"host", b"a"), (b"cookie", b"x"), (b"cookie", b"y"), (b"authorization", b"Bearer k")]
    assert forwarded(sent, b"10.0.0.9", b"https") == [
        *sent,
        (b"x-forwarded-for", b"10.0.0.9"),
        (b"x-forwarded-proto", b"https"),
    ]


def test_headers_of_the_connection_and_those_it_names_stay_behind_but_never_the_host() -> None:
    sent = [(name, b"1") for name in sorted(HOP_BY_HOP)]
    sent += [
        (b"connection", b"X-Mine , host"),
        (b"x-mine", b"1"),
        (b"host", b"a"),
        (b"expect", b"100-continue"),
    ]
    assert [name for name, _ in forwarded(sent, b"p", b"http")] == [
        b"host",
        b"x-forwarded-for",
        b"x-forwarded-proto",
    ]


def test_what_only_the_gateway_may_say_is_taken_from_the_client() -> None:
    names = [b"x-forwarded-for", b"x-forwarded-host", b"forwarded", b"x-real-ip", b"x-tidegate-principal"]
    assert forwarded([(name, b"evil") for name in names], b"p", b"http") == [
        (b"x-forwarded-for", b"p"),
        (b"x-forwarded-proto", b"http"),
    ]
