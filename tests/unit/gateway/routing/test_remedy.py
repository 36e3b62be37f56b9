from __future__ import annotations

import pytest

from gateway.errors import (
    BrokenAnswer,
    Refused,
    StreamRefused,
    Unreachable,
    UpstreamFailed,
    UpstreamTimeout,
)
from gateway.routing.remedy import Remedy, cooldown_s, is_fault, remedy


def refused(status: int, body: bytes = b"{}", *, retryable: bool = False) -> Refused:
    return Refused("no", status=status, headers=[], body=body, retryable=retryable)


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (refused(500), "again"),
        (refused(503), "again"),
        (refused(529), "again"),
        (refused(599), "again"),
        (refused(408), "again"),
        (refused(429), "later"),
        (refused(401), "elsewhere"),
        (refused(402), "elsewhere"),
        (refused(403), "elsewhere"),
        (refused(400), "none"),
        (refused(404), "none"),
        (refused(422), "none"),
        (refused(400, b'{"error":{"code":"context_length_exceeded"}}'), "longer"),
        (
            refused(400, b'{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}'),
            "longer",
        ),
        (refused(400, b'{"error":{"message":"The input token count (9) exceeds the maximum"}}'), "longer"),
        (refused(413, b'{"message":"Input is too long for requested model."}'), "longer"),
        (refused(400, b'{"error":{"code":"content_filter"}}'), "gentler"),
        (Unreachable("refused"), "again"),
        (BrokenAnswer("broke off"), "again"),
        (BrokenAnswer("broke off", retryable=False), "none"),
        (UpstreamTimeout("late", code="upstream_timeout_connect"), "elsewhere"),
        (UpstreamTimeout("late", code="upstream_timeout_first_byte"), "none"),
        (UpstreamTimeout("late", code="upstream_timeout_total"), "none"),
    ],
    ids=lambda value: (
        f"{type(value).__name__} {getattr(value, 'status', '')}" if not isinstance(value, str) else value
    ),
)
def test_each_failure_has_its_cure(error: UpstreamFailed, cure: Remedy) -> None:
    assert remedy(error) == cure


def test_a_timeout_after_the_request_was_sent_is_tried_elsewhere_only_if_the_route_says_so() -> None:
    late = UpstreamTimeout("late", code="upstream_timeout_first_byte")

    assert remedy(late, retry_timeouts=True) == "elsewhere"
    assert remedy(UpstreamTimeout("late", code="upstream_timeout_total"), retry_timeouts=True) == "elsewhere"


@pytest.mark.parametrize(
    ("event", "cure"),
    [
        (b'data: {"error":{"type":"overloaded_error"}}', "again"),
        (b'data: {"error":{"message":"maximum context length is 9"}}', "longer"),
        (b'data: {"error":{"type":"invalid_request_error"}}', "none"),
    ],
)
def test_an_error_at_the_beginning_of_a_stream_is_known_by_its_words(event: bytes, cure: Remedy) -> None:
    error = StreamRefused("no", status=200, headers=[], body=b"x" * 9000 + event, retryable=True)

    assert remedy(error) == cure
    assert is_fault(error) == (cure == "again")


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (refused(500), True),
        (refused(401), True),
        (refused(400), False),
        (refused(422), False),
        (Unreachable("nobody"), True),
        (Unreachable("the gateway is stopping", retryable=False), False),
        (BrokenAnswer("broke off", retryable=False), True),
        (UpstreamTimeout("late", code="upstream_timeout_idle", retryable=False), True),
    ],
)
def test_a_deployment_answers_for_its_own_faults_only(error: UpstreamFailed, *, fault: bool) -> None:
    assert is_fault(error) == fault


@pytest.mark.parametrize(
    ("status", "after_s", "seconds"),
    [(429, 2, 2), (503, 2, 2), (500, 2, 0), (429, None, 0), (429, 90_000, 600), (401, 2, 0), (400, 2, 0)],
)
def test_a_limit_cools_down_as_long_as_it_says(status: int, after_s: float | None, seconds: float) -> None:
    error = refused(status, retryable=status != 400)
    error.retry_after_s = after_s

    assert cooldown_s(error) == seconds
