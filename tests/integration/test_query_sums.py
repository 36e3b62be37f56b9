"""Lists, sums and percentiles of the query API against the same computed slowly, over seeded calls."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from telemetry.api import build
from telemetry.store.base import Store
from tests.fakes.ledger import BASE_US, served
from tests.fakes.seeded import DAY_US, FILTERS, KEYS, Made, fill, groups, make, moment, settled, sums

HOME = make(320)
ABROAD = [*make(80, environment="test"), *make(80, project="p2")]
EVER = {"from": "2020-01-01", "to": moment(BASE_US).date().isoformat()}
LAST_MONTH = moment(BASE_US - 20 * DAY_US).date().isoformat()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with served(tmp_path_factory.mktemp("front") / "clickhouse") as store:
        fill(store, tmp_path_factory.mktemp("journal"), settled([*HOME, *ABROAD]))
        yield store


def client_of(
    store: Store, project: str = "p1", environment: str = "prod", *, open_: bool = False
) -> TestClient:
    who = {"project": project, "environment": environment, "open": open_}
    return TestClient(app_of(store), headers={"x-tidegate-principal": msgspec.json.encode(who).decode()})


APPS: dict[int, FastAPI] = {}


def app_of(store: Store) -> FastAPI:
    """Build it once: describing itself takes it longer than most answers."""
    if id(store) not in APPS:
        APPS[id(store)] = build(lambda: store, now_us=lambda: BASE_US)
    return APPS[id(store)]


@pytest.fixture
def client(ledger: Store) -> TestClient:
    return client_of(ledger)


def ask(client: TestClient, path: str, **parameters: Any) -> dict[str, Any]:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def pages(client: TestClient, path: str, rows: str = "rows", **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = ask(client, path, **parameters, cursor=cursor)
        assert len(answer[rows]) <= parameters.get("limit", 1000)
        found += answer[rows]
        cursor = answer["next_cursor"]
    return found


def random_filters(source: random.Random) -> dict[str, str]:
    """Choose some that find at least one call."""
    one = source.choice(HOME)
    names = source.sample(sorted(FILTERS), source.randrange(1, 4))
    return {name: value for name in names for value in FILTERS[name](one)[:1] if value}


def narrowed(made: Sequence[Made], filters: dict[str, str]) -> list[Made]:
    return [one for one in made if all(value in FILTERS[name](one) for name, value in filters.items())]


def by_time(made: Sequence[Made]) -> list[str]:
    ordered = sorted(made, key=lambda one: (one.call.started_at_us, one.call.call_id))
    return [one.call.call_id for one in ordered]


# lists of calls


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_filter_finds_the_calls_it_names_and_no_others(client: TestClient, name: str) -> None:
    value = next(value for one in HOME for value in FILTERS[name](one) if value)
    expected = by_time(narrowed(HOME, {name: value}))
    assert 0 < len(expected) <= len(HOME)
    for sort, wanted in (("newest", expected[::-1]), ("oldest", expected)):
        found = pages(client, "/api/calls", "calls", **{name: value}, sort=sort, limit=len(expected) // 2 + 1)
        assert [one["call_id"] for one in found] == wanted


@pytest.mark.parametrize("seed", range(8))
def test_filters_together_find_what_all_of_them_find(client: TestClient, seed: int) -> None:
    source = random.Random(seed)
    filters = random_filters(source)
    within = {"from": LAST_MONTH} if source.random() < 0.5 else {}
    expected = [one for one in narrowed(HOME, filters) if not within or one.day >= LAST_MONTH]
    found = pages(client, "/api/calls", "calls", **filters, **within, limit=len(expected) // 3 + 1)
    assert [one["call_id"] for one in found] == by_time(expected)[::-1]


def test_calls_can_be_found_by_least_cost_and_least_latency(client: TestClient) -> None:
    expected = [one for one in HOME if (one.cost or 0) >= 700_000_000 and one.outcome.total_us >= 200_000]
    assert expected
    limits = {"min_cost_nano_usd": 700_000_000, "min_latency_us": 200_000}
    found = pages(client, "/api/calls", "calls", **limits, limit=1000)
    assert [one["call_id"] for one in found] == by_time(expected)[::-1]


@pytest.mark.parametrize("sort", ["slowest", "most_expensive"])
def test_rankings_go_from_the_greatest_down(client: TestClient, sort: str) -> None:
    def value(one: Made) -> int | None:
        return one.outcome.total_us if sort == "slowest" else one.cost

    known = [one for one in HOME if one.day >= LAST_MONTH and value(one) is not None]
    ranked = sorted(
        known, key=lambda one: (value(one), one.call.started_at_us, one.call.call_id), reverse=True
    )
    found = pages(client, "/api/calls", "calls", sort=sort, limit=90, **{"from": LAST_MONTH})
    assert [one["call_id"] for one in found] == [one.call.call_id for one in ranked]


def test_a_moment_bounds_a_list_to_the_microsecond(client: TestClient) -> None:
    times = sorted({one.call.started_at_us for one in HOME})
    first, last = times[100], times[200]
    bounds = {"from": moment(first).isoformat(), "to": moment(last).isoformat()}
    found = pages(client, "/api/calls", "calls", limit=1000, **bounds)
    expected = [one for one in HOME if first <= one.call.started_at_us < last]
    assert [one["call_id"] for one in found] == by_time(expected)[::-1]


# sums


def check_sums(row: dict[str, Any], made: Sequence[Made]) -> None:
    expected = sums(made)
    assert {name: row[name] for name in expected} == expected
    if expected.get("cost_nano_usd") is None and made:
        assert (row["cost_usd"], row["cost_reason"]) == (None, "no_priced_calls")
    else:
        whole, _, rest = row["cost_usd"].partition(".")
        assert int(whole + rest) == row["cost_nano_usd"]


@pytest.mark.parametrize("seed", range(14))
def test_costs_by_any_grouping_add_up_to_the_ledgers_total(client: TestClient, seed: int) -> None:
    source = random.Random(seed)
    from_rollup = seed % 2 == 0
    names = ["day", "week", "month", "user", "key", "model", "provider", "environment", "project", "kind"]
    by = source.sample(names if from_rollup else sorted(KEYS), source.randrange(4))
    filters = random_filters(source) if seed % 3 == 0 else {}
    if from_rollup:
        filters = {
            name: value for name, value in filters.items() if name in ("user_id", "key_id", "provider")
        }
    first = source.choice((EVER["from"], LAST_MONTH))
    made = [one for one in narrowed(HOME, filters) if one.day >= first]
    answer = ask(client, "/api/costs", group_by=",".join(by), **filters, **EVER | {"from": first}, limit=1000)
    rows = pages(
        client,
        "/api/costs",
        group_by=",".join(by),
        **filters,
        **EVER | {"from": first},
        limit=len(answer["rows"]) // 3 + 1,
    )

    expected = groups(made, by)
    assert [tuple(row["group"].values()) for row in rows] == sorted(expected)
    for row in rows:
        assert list(row["group"]) == by
        check_sums(row, expected[tuple(row["group"].values())])
    check_sums(answer["total"], made)
    assert sum(row["cost_nano_usd"] or 0 for row in rows) == (answer["total"]["cost_nano_usd"] or 0)
    assert sum(row["calls"] for row in rows) == answer["total"]["calls"] == len(made)
    reasons = [one.outcome.cost.reason for one in made if one.cost is None]
    assert answer["unpriced_reasons"] == {reason: reasons.count(reason) for reason in reasons}
    if from_rollup:
        assert answer["source"] == "rollup"


def test_a_tag_may_share_a_call_but_the_total_counts_it_once(client: TestClient) -> None:
    answer = ask(client, "/api/costs", group_by="tag", **EVER)
    for row in answer["rows"]:
        tag = row["group"]["tag"]
        check_sums(row, [one for one in HOME if tag in (one.call.tags or ("",))])
    assert len(answer["rows"]) == 4
    assert sum(row["calls"] for row in answer["rows"]) > answer["total"]["calls"] == len(HOME)


@pytest.mark.parametrize(("path", "by"), [("users", "user"), ("keys", "key"), ("models", "model"),
                                          ("providers", "provider"), ("threads", "thread")])  # fmt: skip
def test_lists_come_with_sums_the_greatest_first(client: TestClient, path: str, by: str) -> None:
    expected = groups(HOME, [by])
    orders: dict[str, Callable[[list[Made]], int]] = {
        "cost": lambda made: -(sums(made)["cost_nano_usd"] or 0),
        "calls": lambda made: -len(made),
        "errors": lambda made: -sums(made)["errors"],
        "last": lambda made: -max(one.call.started_at_us for one in made),
    }
    for sort, order in orders.items():
        rows = pages(client, f"/api/{path}", sort=sort, limit=len(expected) // 2, **EVER)
        ranked = [key for _, key in sorted((order(made), key) for key, made in expected.items())]
        assert [(row["group"][by],) for row in rows] == ranked, sort
        for row in rows:
            made = expected[row["group"][by],]
            check_sums(row, made)
            if sort == "last":
                last_us = max(one.call.started_at_us for one in made)
                assert row["last_at"] == f"{moment(last_us):%Y-%m-%dT%H:%M:%S.%f}Z"


def test_errors_are_counted_by_kind_with_the_newest_message(client: TestClient) -> None:
    failed = [one for one in HOME if one.outcome.error_type]
    expected = groups(failed, ["error_type", "provider", "model"])
    rows = pages(client, "/api/errors", limit=5, **EVER)
    keys = [(row["error_type"], row["provider"], row["model"]) for row in rows]
    assert keys == sorted(expected, key=lambda key: (-len(expected[key]), key))
    for row, key in zip(rows, keys, strict=True):
        newest = max(expected[key], key=lambda one: (one.call.started_at_us, one.call.call_id))
        assert row["count"] == len(expected[key])
        assert row["last_message"] == newest.outcome.error_message
        assert row["last_call_id"] == newest.call.call_id
        assert row["last_http_status"] == 502


# percentiles


def check_percentiles(told: dict[str, float | None], values: Sequence[float]) -> None:
    """Each lies within one percent of the values next to its rank."""
    if not values:
        assert set(told.values()) == {None}
        return
    ordered = sorted(values)
    for name, value in told.items():
        rank = float(f"0.{name[1:]}") * (len(ordered) - 1)
        low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
        assert value is not None
        assert low * 0.989 <= value <= high * 1.011, (name, ordered)


def check_latency(told: dict[str, Any], made: Sequence[Made], *, measured: str = "ok") -> None:
    went = [one.outcome for one in made if one.outcome.status == measured and one.outcome.total_us]
    assert told["measured"] == len(went)
    check_percentiles(told["total_us"], [one.total_us for one in went])
    check_percentiles(told["first_token_us"], [one.first_token_us for one in went if one.first_token_us])
    check_percentiles(told["overhead_us"], [one.overhead_us for one in went])
    speeds = [one.usage.output_text * 1e6 / one.total_us for one in went if one.usage.output_text]
    check_percentiles(told["output_tokens_per_s"], speeds)


@pytest.mark.parametrize(
    "by",
    ["", "provider,route", "deployment", "environment", "model,hour"],
)
def test_percentiles_are_those_of_the_calls(client: TestClient, by: str) -> None:
    expected = groups(HOME, list(filter(None, by.split(","))))
    rows = pages(client, "/api/latency", group_by=by, limit=300, **EVER)
    assert [tuple(row["group"].values()) for row in rows] == sorted(expected)
    for row in rows:
        made = expected[tuple(row["group"].values())]
        assert row["calls"] == len(made)
        check_latency(row, made)


def test_percentiles_of_failures_are_those_of_failures(client: TestClient) -> None:
    (row,) = ask(client, "/api/latency", status="error", **EVER)["rows"]
    check_latency(row, HOME, measured="error")


def test_steps_come_with_what_they_measure_of_themselves(client: TestClient) -> None:
    rows = pages(client, "/api/steps", limit=1, **EVER)
    expected = groups([one for one in HOME if one.call.step], ["step"])
    assert [(row["step"],) for row in rows] == sorted(expected)
    for row in rows:
        made = expected[row["step"],]
        check_sums(row, made)
        check_latency(row["latency"], made)
        assert set(row["metrics"]) == {"hit", "relevance"}
        for name, told in row["metrics"].items():
            values = [one.call.metrics[name] for one in made]
            assert told["count"] == len(values)
            assert told["mean"] == pytest.approx(sum(values) / len(values))
            assert (told["min"], told["max"]) == (min(values), max(values))
            levels = statistics.quantiles(values, n=20, method="inclusive")
            assert (told["p50"], told["p95"]) == (pytest.approx(levels[9]), pytest.approx(levels[18]))


# side by side


def check_side(side: dict[str, Any], made: Sequence[Made]) -> None:
    check_sums(side, made)
    check_latency(side["latency"], made)
    assert side["error_rate"] == pytest.approx(sums(made)["errors"] / len(made))
    assert side["cost_per_call_nano_usd"] == pytest.approx(sums(made)["cost_nano_usd"] / sums(made)["priced"])


@pytest.mark.parametrize("by", ["served_model", "variant", "property:variant"])
def test_two_sides_are_compared(client: TestClient, by: str) -> None:
    values = sorted({value for one in HOME for value in FILTERS[by](one) if value})
    a, b = values[0], values[1]
    told = ask(client, "/api/compare", by=by, a=a, b=b, kind="llm", **EVER)
    left, right = (narrowed(HOME, {by: value, "kind": "llm"}) for value in (a, b))
    assert (told["by"], told["a"]["value"], told["b"]["value"]) == (by, a, b)
    check_side(told["a"], left)
    check_side(told["b"], right)
    assert told["difference"]["calls"] == len(right) - len(left)
    assert told["ratio"]["calls"] == pytest.approx(len(right) / len(left))
    p95 = told["b"]["latency"]["total_us"]["p95"] - told["a"]["latency"]["total_us"]["p95"]
    assert told["difference"]["latency.total_us.p95"] == pytest.approx(p95)


def test_two_environments_are_compared_by_who_may_see_both(ledger: Store, client: TestClient) -> None:
    told = ask(client_of(ledger, open_=True), "/api/compare", by="environment", a="prod", b="test", **EVER)
    both = [*HOME, *ABROAD]
    check_side(told["a"], narrowed(both, {"environment": "prod"}))
    check_side(told["b"], narrowed(both, {"environment": "test"}))
    refused = client.get("/api/compare?by=environment&a=prod&b=test")
    assert (refused.status_code, refused.json()["error"]["param"]) == (403, "b")


def test_two_times_are_compared_and_nothing_is_no_zero(client: TestClient) -> None:
    middle = moment(BASE_US - 20 * DAY_US).date().isoformat()
    today = moment(BASE_US).date().isoformat()
    told = ask(
        client, "/api/compare", by="time", a_from="2020-01-01", a_to="2020-01-02", b_from=middle, b_to=today
    )
    check_sums(told["b"], [one for one in HOME if one.day >= middle])
    assert (told["a"]["calls"], told["a"]["error_rate"]) == (0, None)
    assert told["difference"]["error_rate"] is told["ratio"]["calls"] is None


# who sees what


PATHS = [
    "/api/calls?limit=1000",
    *(f"/api/calls?sort={sort}&from={LAST_MONTH}" for sort in ("oldest", "slowest", "most_expensive")),
    "/api/events?limit=1000",
    *(
        f"/api/costs?group_by={by}"
        for by in (
            "user",
            "key",
            "model,provider",
            "route,agent,step",
            "event",
            "thread",
            "deployment",
            "property:variant",
            "tag",
            "project,environment",
        )
    ),
    *(f"/api/{name}" for name in ("users", "keys", "models", "providers", "threads", "errors", "steps")),
    *(f"/api/latency?group_by={by}" for by in ("user", "deployment,step", "project,environment")),
    *(f"/api/calls/export?format={shape}" for shape in ("csv", "jsonl")),
    "/api/costs/export?group_by=user,thread",
    "/api/compare?by=kind&a=llm&b=embedding",
    "/api/steps/memory",
]


def ever(path: str) -> str:
    """Ask for all the time there is, unless the path names its own."""
    if "from=" in path:
        return path
    return f"{path}{'&' if '?' in path else '?'}from={EVER['from']}&to={EVER['to']}"


@pytest.mark.parametrize("path", PATHS)
def test_every_path_shows_an_environment_its_own_calls_only(ledger: Store, path: str) -> None:
    homes = {("p1", "prod"), ("p1", "test"), ("p2", "prod")}
    everybody = b""
    for home in sorted(homes):
        answer = client_of(ledger, *home).get(ever(path))
        assert answer.status_code == 200, answer.text
        assert answer.content
        everybody += answer.content
        for other in homes - {home}:
            assert "-".join(other).encode() not in answer.content
    if not any(name in path for name in ("day", "week", "month", "hour", "project", "environment", "compare",
                                         "by=kind", "by=status", "by=cost_reason", "by=error_type")):  # fmt: skip
        assert all("-".join(home).encode() in everybody for home in homes)


def test_sums_are_of_ones_own_calls_only(ledger: Store) -> None:
    abroad = client_of(ledger, "p2")
    own = [one for one in ABROAD if one.call.project == "p2"]
    check_sums(ask(abroad, "/api/costs", **EVER)["total"], own)
    check_sums(ask(abroad, "/api/costs", group_by="route", **EVER)["total"], own)
    (row,) = ask(abroad, "/api/latency", **EVER)["rows"]
    check_latency(row, own)
    both = ask(abroad, "/api/compare", by="kind", a="llm", b="embedding", **EVER)
    assert both["a"]["calls"] == len(narrowed(own, {"kind": "llm"}))
    everybody = client_of(ledger, open_=True)
    check_sums(ask(everybody, "/api/costs", **EVER)["total"], [*HOME, *ABROAD])
    check_sums(
        ask(everybody, "/api/costs", project="p1", environment="test", **EVER)["total"],
        [one for one in ABROAD if one.call.environment == "test"],
    )


@pytest.mark.parametrize("name", ["project", "environment"])
def test_nobody_narrows_to_what_is_not_theirs(client: TestClient, name: str) -> None:
    for path in ("/api/calls", "/api/costs", "/api/calls/export", "/api/latency", "/api/search?q=a"):
        answer = client.get(f"{path}{'&' if '?' in path else '?'}{name}=another")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, f"not_your_{name}"), path


# what is refused


@pytest.mark.parametrize(
    ("path", "code", "param"),
    [
        ("/api/calls?user=u1", "unknown_parameter", "user"),
        ("/api/calls?property:=x", "unknown_parameter", "property:"),
        ("/api/calls?from=yesterday", "bad_date", "from"),
        ("/api/calls?from=2026-02-30", "bad_date", "from"),
        ("/api/calls?to=1969-12-31T00:00:00Z", "bad_date", "to"),
        ("/api/calls?from=2026-02-02&to=2026-02-01", "bad_range", "from"),
        ("/api/calls?sort=newer", "bad_parameter", "sort"),
        ("/api/calls?stream=perhaps", "bad_parameter", "stream"),
        ("/api/calls?min_cost_nano_usd=-1", "bad_parameter", "min_cost_nano_usd"),
        ("/api/calls?min_latency_us=99999999999999999999", "bad_parameter", "min_latency_us"),
        ("/api/calls?sort=slowest&from=2020-01-01", "range_too_long", "from"),
        ("/api/costs?group_by=day,colour", "bad_group_by", "group_by"),
        ("/api/costs?group_by=day,day", "bad_group_by", "group_by"),
        ("/api/costs?group_by=property:", "bad_group_by", "group_by"),
        ("/api/costs?cursor=nonsense", "bad_cursor", "cursor"),
        ("/api/costs?sort=beauty", "bad_parameter", "sort"),
        ("/api/compare", "bad_parameter", "by"),
        ("/api/compare?by=beauty&a=1&b=2", "bad_by", "by"),
        ("/api/compare?by=model&a=1", "bad_side", "b"),
        ("/api/compare?by=model&a=1&b=2&model=3", "bad_by", "model"),
        ("/api/compare?by=time&a_from=2026-01-01&a_to=2026-01-02", "bad_side", "b_from"),
        ("/api/search", "bad_parameter", "q"),
        ("/api/search?q=-", "bad_words", "q"),
        ("/api/search?q=a&from=2020-01-01", "range_too_long", "from"),
        ("/api/calls/export?format=xlsx", "bad_parameter", "format"),
    ],
)
def test_refusals_name_the_parameter_and_the_remedy(
    client: TestClient, path: str, code: str, param: str
) -> None:
    answer = client.get(path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param), error


def test_a_cursor_of_another_list_is_refused(client: TestClient) -> None:
    slowest = ask(client, "/api/calls", sort="slowest", limit=1, **{"from": LAST_MONTH})["next_cursor"]
    users = ask(client, "/api/users", limit=1, **EVER)["next_cursor"]
    for path in (f"/api/calls?cursor={slowest}", f"/api/calls?cursor={users}", f"/api/costs?cursor={users}"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_cursor")


def test_everything_is_described_with_its_parameters(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path in (
        "calls",
        "costs",
        "users",
        "errors",
        "latency",
        "steps",
        "compare",
        "search",
        "calls/export",
    ):
        told = paths[f"/api/{path}"]["get"]
        assert told["description"]
        names = {
            one["name"]: one.get("description", "") for one in told["parameters"] if one["in"] == "query"
        }
        assert set(FILTERS) - {"property:variant"} | {"property:<name>"} <= set(names)
        assert all(names[name] for name in names if name not in ("b_from", "b_to")), names
