from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.retry_after import retry_after_s

DATE = "Sat, 21 Nov 2026 12:00:00 GMT"


def wait(status: int = 429, /, **headers: str) -> float | None:
    return retry_after_s(
        status, [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0"}, 0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "350", "retry_after": "1"}, 0.35),
        ({"retry_after": "Sat, 21 Nov 2026 12:00:09 GMT", "date": DATE}, 9),
        ({"retry_after": "Sat, 21 Nov 2026 11:00:00 GMT", "date": DATE}, 0),
        ({"retry_after": "Sat, 21 Nov 2026 12:00:09 GMT"}, None),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "99999999"}, None),
        ({}, None),
    ],
)
def test_a_pause_is_read_in_each_way_it_is_asked_for(headers: dict[str, str], seconds: float | None) -> None:
    assert wait(503, **headers) == seconds


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("1s", 1), ("6m0s", 360), ("1h2m3s", 3723), ("20ms", 0.02), ("7.66s", 7.66), ("12", 12), ("1d", 86_400)],
)
def test_a_limit_says_when_it_is_full_again(said: str, seconds: float) -> None:
    assert wait(x_ratelimit_reset_requests=said) == pytest.approx(seconds)


def test_of_two_limits_the_one_that_is_used_up_counts() -> None:
    limits = {"x_ratelimit_reset_requests": "2s", "x_ratelimit_reset_tokens": "40s"}

    assert wait(**limits, x_ratelimit_remaining_requests="0", x_ratelimit_remaining_tokens="17") == 2
    assert wait(**limits, x_ratelimit_remaining_requests="0", x_ratelimit_remaining_tokens="0") == 40
    assert wait(**limits) == 2


def test_anthropics_resets_are_moments() -> None:
    headers = {
        "date": DATE,
        "anthropic_ratelimit_requests_remaining": "3",
        "anthropic_ratelimit_requests_reset": "2026-11-21T12:00:01Z",
        "anthropic_ratelimit_input_tokens_remaining": "0",
        "anthropic_ratelimit_input_tokens_reset": "2026-11-21T12:00:30Z",
    }

    assert wait(**headers) == 30


def test_a_reset_says_nothing_on_an_answer_that_is_no_limit() -> None:
    assert wait(500, x_ratelimit_reset_requests="1s") is None


@given(st.text(alphabet=st.characters(max_codepoint=255)), st.text(alphabet=st.characters(max_codepoint=255)))
def test_nonsense_asks_for_nothing_and_raises_nothing(said: str, limit: str) -> None:
    headers = [
        (b"date", DATE.encode()),
        (b"retry-after", said.encode("latin-1")),
        (b"x-ratelimit-reset-tokens", limit.encode("latin-1")),
    ]

    found = retry_after_s(429, headers)

    assert found is None or 0 <= found < 86_400 * 7
