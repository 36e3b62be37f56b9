"""The list of events: its pages, its filters, and who sees what."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from dashboards.pages.events import some
from telemetry.collector import Pipe
from telemetry.delivery import StoreConsumer
from telemetry.follower import Follower
from telemetry.questions import EventFilters, Questions, Scope
from telemetry.records import Request
from telemetry.store.base import Store
from tests.fakes.ledger import BASE_US, SegmentWriter, outcome, payload, served, settled

P1 = Scope(project="p1", environment="prod")
EVERYONE = Scope(open=True)
HOUR_US = 3_600_000_000
ALL_CALLS = EventFilters()


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Twelve events of two calls each, their calls interleaved; an old one, a failed one, one of p2."""
    with served(tmp_path_factory.mktemp("front") / "clickhouse") as store:
        journal = tmp_path_factory.mktemp("journal")
        writer = SegmentWriter(journal, "w1")
        for number in range(24):
            writer.write(settled(number, event_id=f"e{number % 12:02}", user_id="u1", thread_id="t1"))
        failed = outcome(
            status="error", http_status=503, error_message="Engine OVERLOADED", usage_source="none"
        )
        writer.write(settled(30, how=failed, event_id="bad", user_id="u2", thread_id="t2", model="other"))
        writer.write(settled(31, event_id="bad", user_id="u3", thread_id="t2"))
        writer.write(settled(40, event_id="e00", project="p2", user_id="stranger"))
        writer.write(settled(50, started_at_us=BASE_US - 40 * 24 * HOUR_US, event_id="old", user_id="u4"))
        body = b'{"messages":[{"role":"user","content":"where is the harbour"}]}'
        writer.write(Request(payload(60, body)), settled(60, event_id="asked", user_id="u5"))
        for number in range(70, 79):
            user = f"u{number}" if number < 78 else ""
            writer.write(settled(number, event_id="crowd", project="p4", user_id=user, model=f"m{number}"))
        writer.die()
        follower = Follower("store", journal, now_us=now_us)
        consumer = StoreConsumer(store, journal / "dead", origin="here", now_us=now_us)
        pipe = Pipe(follower, consumer, now_us=now_us)
        while pipe.step():
            pass
        yield store


def ids(store: Store, scope: Scope = P1, *, limit: int = 100, filters: EventFilters = ALL_CALLS) -> list[str]:
    """Return the events under these filters, in pages of `limit`."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = Questions(store).events(scope, filters, limit=limit, cursor=cursor, now_us=now_us())
        assert len(page.events) <= limit
        found += (event.event_id for event in page.events)
        cursor = page.next_cursor
    return found


ALL = ["asked", "bad", *(f"e{number:02}" for number in range(11, -1, -1)), "old"]


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_pages_hold_every_event_once_the_one_that_was_active_last_first(store: Store, limit: int) -> None:
    assert ids(store, limit=limit) == ALL


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (EventFilters(status="error"), ["bad"]),
        (EventFilters(user_id="u3"), ["bad"]),
        (EventFilters(user_id="u2", status="ok"), []),
        (EventFilters(thread_id="t2"), ["bad"]),
        (EventFilters(model="other"), ["bad"]),
        (EventFilters(text="overloaded"), ["bad"]),
        (EventFilters(text="E0"), [f"e{number:02}" for number in range(9, -1, -1)]),
        (EventFilters(to_us=BASE_US - 1), ["old"]),
        (EventFilters(from_us=BASE_US + 30_000), ["asked", "bad"]),
        (EventFilters(from_us=BASE_US + 22_000, to_us=BASE_US + 22_500), ["e10"]),
        (EventFilters(text="the HARBOUR"), ["asked"]),
        (EventFilters(text="%_'"), []),
    ],
)
def test_a_filter_finds_the_events_with_a_matching_call(
    store: Store, filters: EventFilters, found: list[str]
) -> None:
    assert ids(store, limit=3, filters=filters) == found


def test_an_event_is_summed_up_whole_whichever_of_its_calls_matched(store: Store) -> None:
    (bad,) = (
        Questions(store).events(P1, EventFilters(status="error"), limit=5, cursor="", now_us=now_us()).events
    )

    assert (bad.calls, bad.errors, bad.input_tokens, bad.cost_nano_usd) == (2, 1, 20, 24_690)
    assert (bad.user_ids, bad.models) == (["u2", "u3"], ["gpt-4o", "other"])
    assert bad.total_us == 1000 + 250_000


def test_of_many_users_and_models_six_are_named_and_five_shown(store: Store) -> None:
    scope = Scope(project="p4", environment="prod")
    (crowd,) = Questions(store).events(scope, ALL_CALLS, limit=5, cursor="", now_us=now_us()).events

    assert (len(crowd.user_ids), len(crowd.models)) == (6, 6)
    assert set(crowd.user_ids) <= {f"u{number}" for number in range(70, 78)}
    assert some(crowd.user_ids) == ", ".join([*crowd.user_ids[:5], "…"])
    assert some(crowd.user_ids[:5]) == ", ".join(crowd.user_ids[:5])


def test_a_project_sees_neither_the_events_nor_the_sums_of_another(store: Store) -> None:
    (e00,) = Questions(store).events(P1, EventFilters(text="e00"), limit=5, cursor="", now_us=now_us()).events

    assert ids(store, Scope(project="p2", environment="prod")) == ["e00"]
    assert (e00.calls, e00.user_ids) == (2, ["u1"])
    assert ids(store, Scope(project="p3", environment="prod")) == []
    assert ids(store, Scope(project="p1", environment="test")) == []
    assert set(ids(store, EVERYONE)) == {*ALL, "crowd"}
