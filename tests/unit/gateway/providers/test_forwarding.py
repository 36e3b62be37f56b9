"""Which of a client's headers leave, whatever was remembered of the calls before."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.providers.base import Headers
from gateway.providers.forwarding import LONGEST_KEPT, MOST_KEPT, Forwarding


def made() -> Forwarding:
    return Forwarding(
        frozenset({b"accept", b"content-type"}),
        (b"x-goes-",),
        lambda secret: (b"key", secret.encode()),
        [(b"version", b"1")],
    )


NAMES = [b"accept", b"content-type", b"x-goes-on", b"x-stays", b"accept-encoding", b"version", b"cookie"]
CALLS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(NAMES), st.sampled_from([b"1", b"gzip", b"br, gzip"])),
        st.sampled_from(["", "one", "two"]),
        st.booleans(),
    ),
    max_size=20,
)


def expected(headers: dict[bytes, bytes], secret: str, *, stream: bool) -> Headers:
    sent = [(name, headers[name]) for name in headers if name in NAMES[:3]]
    if b"content-type" not in headers:
        sent.append((b"content-type", b"application/json"))
    coding = b"gzip" if b"gzip" in headers.get(b"accept-encoding", b"") and not stream else b"identity"
    sent.append((b"accept-encoding", coding))
    if b"version" not in headers:
        sent.append((b"version", b"1"))
    if secret:
        sent.append((b"key", secret.encode()))
    return sent


@given(CALLS)
@example([({b"version": b"1"}, "", True), ({b"cookie": b"1"}, "", True)])
def test_what_is_remembered_of_other_calls_changes_nothing(
    calls: list[tuple[dict[bytes, bytes], str, bool]],
) -> None:
    used = made()

    for headers, secret, stream in [*calls, *calls]:
        assert used.of(headers, secret, stream) == expected(headers, secret, stream=stream)


def test_calls_that_differ_in_what_stays_here_share_their_headers() -> None:
    used = made()

    first = used.of({b"accept": b"1", b"content-length": b"2", b"traceparent": b"a"}, "s", stream=False)
    second = used.of({b"accept": b"1", b"content-length": b"3", b"traceparent": b"b"}, "s", stream=False)

    assert first is second


def test_what_is_too_long_is_not_remembered() -> None:
    used, long = made(), {b"accept": b"a" * LONGEST_KEPT}

    assert used.of(long, "s", stream=False) is not used.of(long, "s", stream=False)


def test_many_different_calls_are_not_all_kept() -> None:
    used, first = made(), {b"x-goes-on": b"first", b"x-0": b""}
    kept = used.of(first, "s", stream=False)
    assert used.of(first, "s", stream=False) is kept

    for number in range(MOST_KEPT):
        used.of({b"x-goes-on": b"%d" % number, b"x-%d" % number: b""}, "s", stream=False)

    assert used.of(first, "s", stream=False) == kept
    assert used.of(first, "s", stream=False) is not kept
