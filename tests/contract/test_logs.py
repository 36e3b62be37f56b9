"""Lists of logs, threads and users, over both kinds of store."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.answers import Refusal
from telemetry.log_ids import call_id_of
from telemetry.logs import amend, people, questions
from telemetry.logs.amend import Amendment
from telemetry.logs.asking import Listing
from telemetry.logs.columns import COLUMNS
from telemetry.logs.filters import OPERATORS, Filter
from telemetry.logs.relation import Relation
from telemetry.migrate import migrate
from telemetry.questions import Scope
from telemetry.records import Cost, Request
from telemetry.rows import PAYLOADS, SPANS, Row, begin, row_of
from telemetry.store.base import Store
from tests.fakes.ledger import BASE_US, outcome, payload, settled

NOW_US = BASE_US + 3_600_000_000
SCOPE = Scope("p1", "prod")
COUNT = 12


@pytest.fixture(scope="module", params=["embedded", "server"])
def store(request: pytest.FixtureRequest) -> Store:
    chosen: Store = request.getfixturevalue(request.param)
    _fill(chosen)
    return chosen


@pytest.fixture
def relation(store: Store) -> Relation:
    return Relation(store, SCOPE)


def _fill(store: Store) -> None:
    """Calls 1 to 12, of which every third is a log that failed; 13 is in the other environment, 14 of another project."""
    migrate(store)
    rows = []
    for number in range(1, COUNT + 1):
        log = number % 3 == 0
        how = outcome(
            status="error" if log else "ok",
            http_status=500 if log else 200,
            error_message="Überlast" if log else "",
            total_us=number * 1_000_000,
            first_token_us=0 if log else 500_000,
            cost=Cost(None, {}, reason="unknown_model")
            if log
            else Cost(number * 1_000, {"x": number * 1_000}),
        )
        rows.append(
            _row(
                number,
                how=how,
                kind="log" if log else "",
                log_id=f"log-{number}" if log else "",
                metrics={"relevance": number / 10} if number % 2 else {},
                properties={
                    "team": "even" if number % 2 == 0 else "odd",
                    "customer_email": f"{number}@example.org",
                },
                parameters={"temperature": 0.5} if number < 4 else {},
            )
        )
    rows += [_row(13, environment="test"), _row(14, project="p2")]
    store.insert("spans", SPANS.block(rows), token="fill")
    said = row_of(Request(payload(1, b'{"messages":[]}')), origin="here", preview=begin)
    assert said is not None
    store.insert("span_payloads", PAYLOADS.block([said]), token="fill-bodies")


def _row(number: int, **changes: Any) -> Row:
    made = row_of(settled(number, **changes), origin="here", preview=begin)
    assert made is not None
    return made


def numbers(relation: Relation, *filters: Filter, **wanted: Any) -> list[int]:
    listing = Listing(filters=list(filters), **{"sort_by": "start_time", **wanted})
    found = questions.listed(relation, listing, now_us=NOW_US)["results"]
    return [
        int(row["unique_id"].removeprefix("log-") if "log" in row["unique_id"] else row["unique_id"][-12:])
        for row in found
    ]


def test_a_list_is_of_one_scope_newest_first_page_by_page(store: Store, relation: Relation) -> None:
    assert numbers(relation) == list(range(COUNT, 0, -1))
    assert numbers(relation, page=2, page_size=5) == [7, 6, 5, 4, 3]
    assert numbers(relation, sort_by="cost", page_size=2) == [11, 10]
    assert numbers(relation, sort_by="latency", descending=False, page_size=2) == [1, 2]
    assert numbers(Relation(store, Scope("p1", "test"))) == [13]
    assert set(range(1, 15)) <= set(numbers(Relation(store, Scope(open=True))))
    assert numbers(Relation(store, Scope(open=True), "test")) == [13]
    assert numbers(Relation(store, SCOPE, "test")) == []
    last = questions.listed(
        relation, Listing(filters=[], sort_by="start_time", page=3, page_size=5), now_us=NOW_US
    )
    assert (last["next"], last["previous"], last["count"]) == (None, 2, COUNT)


@pytest.mark.parametrize(
    ("field", "operator", "value", "found"),
    [
        ("unique_id", "", "log-3", [3]),
        ("customer_identifier", "", "user-1", [10, 7, 4, 1]),
        ("customer_identifier", "in", ["user-1", "user-2"], [11, 10, 8, 7, 5, 4, 2, 1]),
        ("customer_identifier", "not", ["user-1", "user-2"], [12, 9, 6, 3]),
        ("custom_identifier", "startswith", "event-4", [9, 4]),
        ("custom_identifier", "endswith", "4", [9, 4]),
        ("thread_identifier", "", "thread-1", [11, 9, 7, 5, 3, 1]),
        ("metadata__team", "", "even", [12, 10, 8, 6, 4, 2]),
        ("metadata__team", "isnull", "false", list(range(12, 0, -1))),
        ("metadata__absent", "isnull", True, list(range(12, 0, -1))),
        ("customer_email", "contains", "1@", [11, 1]),
        ("error_message", "icontains", "überLAST", [12, 9, 6, 3]),
        ("error_message", "iexact", "ÜBERLAST", [12, 9, 6, 3]),
        ("status", "", "success", [11, 10, 8, 7, 5, 4, 2, 1]),
        ("failed", "", True, [12, 9, 6, 3]),
        ("status_code", "gte", 500, [12, 9, 6, 3]),
        ("cost", "gt", 0.00001, [11]),
        ("cost", "lte", "0.000001", [1]),
        ("cost", "isnull", "true", [12, 9, 6, 3]),
        ("cost", "not", 0.000001, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]),
        ("latency", "lt", 3, [2, 1]),
        ("time_to_first_token", "isnull", "1", [12, 9, 6, 3]),
        ("temperature", "", 0.5, [3, 2, 1]),
        ("scores__relevance", "gte", 0.9, [11, 9]),
        ("scores__relevance", "isnull", True, [12, 10, 8, 6, 4, 2]),
        ("log_method", "", "logging_api", [12, 9, 6, 3]),
        ("stream", "", "true", list(range(12, 0, -1))),
        ("start_time", "gt", (BASE_US + 10_500) / 1e6, [12, 11]),
        ("model", "gt", "gpt-3", list(range(12, 0, -1))),
    ],
)
def test_filters_find_what_they_say(
    relation: Relation, field: str, operator: str, value: Any, found: list[int]
) -> None:
    assert numbers(relation, Filter(field=field, operator=operator, value=value)) == found


KINDS = {
    "text": ("1", set[str]()),
    "number": ("1", {"contains", "icontains", "iexact", "startswith", "endswith"}),
    "flag": ("1", set(OPERATORS) - {"", "not", "in", "isnull"}),
    "time": ("2026-11-21", {"contains", "icontains", "iexact", "startswith", "endswith", "isnull"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_can_be_sorted_by_and_asked_with_every_operator(relation: Relation, kind: str) -> None:
    value, without = KINDS[kind]
    names = [name for name, column in COLUMNS.items() if column.kind == kind]
    asked = [
        Filter(field=name, operator=operator, value=value, connector="OR")
        for name in names
        for operator in OPERATORS
        if operator not in without
    ]
    for start in range(0, len(asked), 32):
        numbers(relation, *asked[start : start + 32], sort_by="cost")
    for name in names[::4]:
        numbers(relation, sort_by=name, descending=False)


def test_what_was_said_later_counts_and_sums_stay(store: Store) -> None:
    scope = Scope("amended", "prod")
    store.insert(
        "spans",
        SPANS.block([_row(n, project="amended", log_id=f"log-100{n}") for n in (1, 2)]),
        token="amended",
    )
    relation = Relation(store, scope)
    found = questions.find(relation, "log-1001")

    def say(at: int, **fields: str) -> None:
        amend.write(
            store,
            Amendment(
                target="log",
                id=found.call_id,
                project="amended",
                environment="prod",
                key_id="k",
                started_at_us=found.started_at_us,
                fields=fields,
                made_at_us=NOW_US + at,
            ),
        )

    say(1, user_id="eve", **{"property:feature": "new", "property:note": "a"})
    say(3, **{"property:note": "c"})
    say(2, **{"property:note": "b"})

    relation = Relation(store, scope)
    eve = Filter(field="customer_identifier", value="eve")
    (row,) = questions.listed(relation, Listing(filters=[eve], sort_by="start_time"), now_us=NOW_US)[
        "results"
    ]
    assert (row["unique_id"], row["note"], row["metadata"]) == (
        "log-1001",
        "c",
        {"feature": "new", "note": "c"},
    )
    before = Filter(field="customer_identifier", value="user-1")
    assert (
        questions.listed(relation, Listing(filters=[before], sort_by="start_time"), now_us=NOW_US)["results"]
        == []
    )
    sums = questions.summary(relation, Listing(filters=[]))
    assert (sums["number_of_requests"], sums["total_cost_nano_usd"]) == (2, 2 * 12_345)
    assert questions.summary(Relation(store, SCOPE), Listing(filters=[eve]))["number_of_requests"] == 0


def test_sums_say_what_they_leave_out(relation: Relation) -> None:
    sums = questions.summary(relation, Listing(filters=[]))
    assert sums["number_of_requests"] == COUNT
    assert (sums["error_count"], sums["unpriced_requests"]) == (4, 4)
    assert sums["total_cost_nano_usd"] == 1_000 * sum(n for n in range(1, 13) if n % 3)
    assert sums["scores"]["relevance"] == pytest.approx(0.6)
    assert sums["average_ttft"] == 0.5
    nothing = questions.summary(relation, Listing(filters=[Filter(field="model", value="none")]))
    assert (nothing["number_of_requests"], nothing["average_latency"]) == (0, None)


def test_threads_come_with_all_their_calls_the_latest_first(relation: Relation) -> None:
    page = people.threads(
        relation, Listing(filters=[Filter(field="status_code", value=500)], page_size=1), now_us=NOW_US
    )
    (thread,) = page["results"]
    assert (thread["thread_identifier"], thread["log_count"], thread["error_count"]) == ("thread-0", 6, 2)
    assert page["next"] == 2
    every = people.threads(relation, Listing(filters=[]), now_us=NOW_US)["results"]
    assert [one["thread_identifier"] for one in every] == ["thread-0", "thread-1"]


def test_users_are_sorted_and_narrowed_by_what_they_used(relation: Relation) -> None:
    def users(*filters: Filter, **wanted: Any) -> list[tuple[str, int]]:
        listing = Listing(filters=list(filters), **{"sort_by": "total_cost", **wanted})
        found = people.users(relation, listing, now_us=NOW_US)["results"]
        return [(one["customer_identifier"], one["total_cost_nano_usd"]) for one in found]

    assert users() == [("user-2", 26_000), ("user-1", 22_000), ("user-0", 0)]
    assert users(Filter(field="total_cost", operator="gt", value=0), descending=False) == [
        ("user-1", 22_000),
        ("user-2", 26_000),
    ]
    assert users(Filter(field="number_of_requests", operator="gt", value=4)) == []
    assert users(Filter(field="customer_identifier", operator="endswith", value="0")) == [("user-0", 0)]
    (first,) = people.users(relation, Listing(filters=[], sort_by="total_cost", page_size=1), now_us=NOW_US)[
        "results"
    ]
    assert (first["average_ttft"], first["email"]) == (0.5, "11@example.org")
    with pytest.raises(Refusal, match="nobody knows"):
        people.user(relation, "zoe", ("p1", "prod"), now_us=NOW_US)


def test_a_call_is_found_by_its_own_id_as_well(relation: Relation) -> None:
    found = questions.find(relation, settled(1).call.call_id)
    assert questions.told(relation, found)["full_request"] == {"messages": []}
    assert questions.find(relation, "log-3").call_id == settled(3).call.call_id
    for unknown in (
        "log-13",
        call_id_of("p1", "prod", "log-13"),
        settled(13).call.call_id,
        settled(14).call.call_id,
        "",
        "'",
    ):
        with pytest.raises(Refusal) as refused:
            questions.find(relation, unknown)
        assert refused.value.status == 404
