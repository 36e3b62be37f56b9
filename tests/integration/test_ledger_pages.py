"""A browser walks the lists and the costs of a seeded ledger, with a key that sees one project of two."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from dashboards.lists import LISTS
from telemetry.answers import dollars
from telemetry.migrate import migrate
from telemetry.records import Answer, Attempt, Cost, Frame, Injection, Opened, Request, Usage
from telemetry.store.base import Store
from telemetry.store.server import open_server
from telemetry.upkeep.messages import Order
from telemetry.upkeep.rerate import Rerating, repair
from tests.fakes.browser import CHROMIUM, Visit, chromium, rows, visit
from tests.fakes.ledger import BASE_US, call, front, outcome, payload
from tests.fakes.seeded import DAY_US, Made, fill, groups, make, moment, settled, sums
from tests.fakes.tidegate import Tidegate, eventually, free_port

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here (Debian: chromium)")

KEY = "tg-key-of-p1"
MONTH = f"{moment(BASE_US - 15 * DAY_US):%Y-%m}"
NOW_US = BASE_US + DAY_US
REPRICED = 20_000
TRIES = (
    Attempt(
        deployment="anthropic/claude",
        provider="anthropic",
        model="claude",
        http_status=529,
        error_type="overloaded",
        asked_in="anthropic.messages",
        dropped=("seed", "logit_bias"),
        possible_cost_nano_usd=1_234_567,
    ),
    Attempt(deployment="azure/rare", provider="azure", model="rare", http_status=200),
)
RICH = Made(
    call(
        900_001,
        started_at_us=BASE_US,
        route="fast",
        variant="b",
        metrics={"relevance": 0.75},
        event_id="rich",
    ),
    outcome(
        attempts=TRIES,
        provider="azure",
        service_tier="flex",
        memory=Injection(
            status="injected", ids=("m-1", "m-9"), scores=(0.9, 0.0), tokens=40, profile_tokens=30
        ),
        cost=Cost(12_345, {"input_uncached": 12_345}, "azure/rare", "prices-1", cache_saved_nano_usd=777),
    ),
)
CORRECTED = Made(RICH.call, outcome(attempts=TRIES, provider="azure", cost=Cost(REPRICED)))
LOG = Made(
    call(900_002, started_at_us=BASE_US, kind="log", log_id="log-1", links_to=RICH.call.call_id, span_name="rerank"),
    outcome(),
)  # fmt: skip
CUT_OFF = outcome(
    status="interrupted", provider="", attempts=(), total_us=0, usage=Usage(), cost=Cost(reason="interrupted")
)
CUT = [
    Made(call(900_010 + at, started_at_us=BASE_US, user_id="cut", cost_upper_nano_usd=upper), CUT_OFF)
    for at, upper in enumerate((5, 70, None))
]
SAID = b'{"messages":[{"role":"user","content":"Where is the old harbour? \\u00dcber"}]}'
SEEDED = make(320)
HOME = [*SEEDED, CORRECTED, LOG, *CUT]
"""What the key sees, at the prices of now."""
EVER = f"from={moment(BASE_US - 45 * DAY_US):%Y-%m-%d}&to={moment(BASE_US):%Y-%m-%d}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with front(tmp_path_factory.mktemp("front") / "clickhouse") as running:
        yield running


@pytest.fixture(scope="module")
def store(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(open_server(url)) as store:
        migrate(store)
        abroad = [*make(80, environment="test"), *make(80, project="p2")]
        frames: list[Frame] = settled([*SEEDED, *abroad, RICH, LOG])
        frames += [Opened(one.call) for one in CUT]
        frames += [Request(payload(900_001, SAID, started_at_us=BASE_US)), Answer(payload(900_001, b"{}"))]
        fill(store, tmp_path_factory.mktemp("journal"), frames)
        order = Order(from_us=BASE_US, to_us=NOW_US, model="rare", reason="the list was wrong")
        price = Cost(REPRICED, {"output_text": REPRICED}, "azure/rare", "prices-2")
        Rerating(store, "here", lambda _: price, now_us=lambda: NOW_US).run(order)
        repair(store, "here")
        yield store


@pytest.fixture(scope="module")
def house(url: str, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    keys = [{"name": "red", "project": "p1", "hash": hashlib.sha256(KEY.encode()).hexdigest()}]
    settings = {"clickhouse": {"url": url}, "keys": keys}
    with Tidegate(tmp_path_factory.mktemp("house"), settings) as gateway:
        bearer = {"authorization": f"Bearer {KEY}"}
        eventually(lambda: gateway.get("/api/calls", bearer).status == 200, what="the ledger")
        yield gateway


@pytest.fixture(scope="module")
def signed_in(browser: Browser, house: Tidegate) -> Any:
    with visit(browser, house.port) as seen:
        page = seen.page
        page.goto(f"{seen.home}/calls")
        page.get_by_label("A key of this gateway").fill(KEY)
        page.get_by_role("button", name="Use the key").click()
        page.wait_for_selector(".tg-footer")
        return page.context.storage_state()


@pytest.fixture
def seen(browser: Browser, house: Tidegate, signed_in: Any) -> Iterator[Visit]:
    with visit(browser, house.port, state=signed_in) as started:
        yield started
        assert started.complaints == []
        assert started.strangers() == []


def of_month(made: Sequence[Made]) -> list[Made]:
    return [one for one in made if one.day.startswith(MONTH)]


def number(count: int) -> str:
    return f"{count:,}".replace(",", "\u202f")


def line(names: Sequence[str], made: Sequence[Made]) -> list[str]:
    """Return what the page must say of calls."""
    told = sums(made)
    cost = told["cost_nano_usd"]
    return [
        *(name or "–" for name in names),
        number(told["calls"]),
        *(number(told[name]) if told[name] else "–" for name in ("errors", "unpriced")),
        *(number(told[name]) for name in ("input_tokens", "cache_read", "output_tokens")),
        f"${dollars(told['cache_saved_nano_usd'])}",
        "–" if cost is None else f"${dollars(cost)}",
    ]


def lines(made: Sequence[Made], by: Sequence[str]) -> list[list[str]]:
    return sorted(line(names, own) for names, own in groups(made, by).items())


@pytest.mark.parametrize("by", [("user",), ("model", "provider"), ("day", "key"), ("project", "environment")])
def test_the_lines_of_a_month_are_the_sums_of_its_calls_on_the_page_and_in_the_file(
    seen: Visit, by: tuple[str, ...]
) -> None:
    page = seen.open(f"/costs?month={MONTH}&by={by[0]}&then={by[-1]}")
    shown = rows(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    saved = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))

    assert sorted(shown[:-1]) == lines(of_month(HOME), by)
    assert shown[-1] == ["all", *[""] * (len(by) - 1), *line([], of_month(HOME))]
    assert [[row[name] or "–" for name in by] + [row["calls"]] for row in saved] == [
        [*cells[: len(by)], cells[len(by)]] for cells in shown[:-1]
    ]
    assert [f"${row['cost_usd']}" if row["cost_usd"] else "–" for row in saved] == [
        row[-1] for row in shown[:-1]
    ]


def test_a_chart_has_a_bar_for_every_day_that_cost_something(seen: Visit) -> None:
    page = seen.open(f"/costs?month={MONTH}")
    bars = page.locator(".tg-chart svg path[fill='var(--accent)']")
    days = {one.day for one in of_month(HOME) if one.cost}
    expect(bars).to_have_count(len(days))


def test_what_no_sum_contains_stands_apart_and_leads_to_its_calls(seen: Visit) -> None:
    reasons = groups([one for one in HOME if one.cost is None], ("cost_reason",))
    interrupted = len(reasons.pop(("interrupted",)))
    page = seen.open(f"/costs?{EVER}")

    for (reason,), made in reasons.items():
        expect(page.locator("tr", has_text=reason).locator("td.calls")).to_have_text(str(len(made)))
    apart = page.locator("section", has_text="Interrupted calls")
    expect(apart).to_contain_text(f"{interrupted} calls were cut off")
    expect(apart).to_contain_text("2 of them cost between $0.00 and $0.000000075 in all")
    expect(apart).to_contain_text(f"Nobody can say what the other {interrupted - 2} cost at most")
    page.locator("tr", has_text="no_usage").locator("td.calls a").click()
    page.wait_for_url("**/calls?*")
    expect(page.locator("td.call")).to_have_count(len(reasons["no_usage",]))
    assert {row[-3] for row in rows(page)} == {"–"}


def test_from_a_users_month_to_single_calls(seen: Visit) -> None:
    page = seen.open(f"/costs?month={MONTH}")
    page.get_by_role("link", name="p1-prod-user1").click()
    page.wait_for_url("**user=p1-prod-user1*")
    own = [one for one in of_month(HOME) if one.call.user_id == "p1-prod-user1"]
    shown = rows(page)

    assert shown[:-1] == lines(own, ("day", "model"))
    assert shown[-1][-1] == line([], own)[-1]
    page.locator("td.calls a").first.click()
    page.wait_for_url("**/calls?*")
    expect(page.locator("td.call")).to_have_count(int(shown[0][2]))
    assert {row[5] for row in rows(page)} == {"p1-prod-user1"}


def test_months_and_days_follow_each_other(seen: Visit) -> None:
    page = seen.open("/costs?from=2024-02-10&to=2024-02-11&by=model")
    expect(page.get_by_text("2024-02-10 to 2024-02-11")).to_be_visible()
    expect(page.get_by_text("No calls in this time")).to_be_visible()
    page.locator("input[name=month]").fill("2024-02")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**month=2024-02*")
    expect(page.get_by_text("February 2024")).to_be_visible()
    expect(page.locator("input[name=from]")).to_have_value("")
    page.get_by_role("link", name="2024-03 →").click()
    expect(page.get_by_text("March 2024")).to_be_visible()
    assert "by=model" in page.url


def test_calls_are_found_by_words_and_by_what_they_have(seen: Visit) -> None:
    page = seen.open("/calls")
    page.get_by_label("Words in").fill("harbour über")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**q=harbour*")
    (found,) = rows(page)
    assert found[-2] == "request"
    assert "Where is the old harbour? Über" in found[-1]

    page = seen.open("/calls")
    page.get_by_role("link", name="More filters").click()
    page.get_by_label("Property").fill("variant = p1-prod-x")
    page.get_by_label("Step").fill("p1-prod-synthesis")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**property=*")
    wanted = [
        one.call.call_id[-12:]
        for one in sorted(SEEDED, key=lambda one: (one.call.started_at_us, one.call.call_id), reverse=True)
        if (one.call.properties.get("variant"), one.call.step) == ("p1-prod-x", "p1-prod-synthesis")
    ]
    assert [row[1] for row in rows(page)] == wanted[:50]


def test_calls_are_sorted_and_turned_page_by_page(seen: Visit) -> None:
    values: dict[str, Callable[[Made], Any]] = {
        "newest": lambda one: one.call.started_at_us,
        "slowest": lambda one: one.outcome.total_us,
        "most_expensive": lambda one: one.cost,
    }
    since = BASE_US - 20 * DAY_US
    within = f"from={moment(since):%Y-%m-%dT%H:%MZ}&to={moment(BASE_US):%Y-%m-%dT%H:%MZ}"
    for sort, value in values.items():
        wanted = [one for one in SEEDED if one.call.started_at_us >= since and value(one) is not None]
        wanted.sort(key=lambda one: (value(one), one.call.started_at_us, one.call.call_id), reverse=True)
        ids = [one.call.call_id[-12:] for one in wanted]
        page = seen.open(f"/calls?sort={sort}&{within}")
        assert [row[1] for row in rows(page)] == ids[:50], sort
        page.get_by_role("link", name="more →").click()
        page.wait_for_url("**after=*")
        assert [row[1] for row in rows(page)] == ids[50:100], sort


def test_a_call_tells_how_it_was_translated_and_what_it_costs_after_all(seen: Visit) -> None:
    page = seen.open(f"/calls/{RICH.call.call_id}")
    memory = page.locator("section", has=page.get_by_role("heading", name="Memory"))
    for told in ("Profile 30 tokens", "m-1 0.900", "m-9 profile"):
        expect(memory.get_by_role("row", name=told)).to_be_visible()
    tries = page.locator("section", has_text="Attempts").locator("tbody tr")
    expect(tries.first).to_contain_text("anthropic.messages")
    expect(tries.first).to_contain_text("seed, logit_bias")
    expect(tries.first).to_contain_text("≤ $0.001234567")
    corrected = page.locator("section", has_text="Cost, corrected")
    for told in ("First booked\t$0.000012345", "After all\t$0.00002", "the list was wrong"):
        expect(corrected).to_contain_text(told.replace("\t", ""))
    for told in ("fast", "flex", "prices-2", "relevance"):
        expect(page.get_by_text(told, exact=True).first).to_be_visible()

    page = seen.open(f"/calls/{LOG.call.call_id}")
    for told in ("log-1", "rerank"):
        expect(page.get_by_text(told, exact=True)).to_be_visible()
    page.get_by_role("link", name=RICH.call.call_id).click()
    page.wait_for_url(f"**/calls/{RICH.call.call_id}")

    page = seen.open(f"/calls/{CUT[1].call.call_id}")
    expect(page.get_by_text("$0.00 and $0.00000007")).to_be_visible()
    page = seen.open(f"/calls/{CUT[2].call.call_id}")
    expect(page.get_by_text("$0.00 and what nobody can say")).to_be_visible()


def test_how_memory_does_stands_below_the_steps_as_the_api_tells_it(seen: Visit, house: Tidegate) -> None:
    told = house.get(f"/api/steps/memory?{EVER}", {"authorization": f"Bearer {KEY}"}).json()
    page = seen.open(f"/steps?{EVER}")

    led = page.locator("section", has_text="Memory: orchestration")
    expect(led.locator("table").first.locator("td").first).to_have_text(
        number(told["orchestration"]["events"])
    )
    models = led.locator("table").last.locator("tbody tr")
    expect(models).to_have_count(len(told["orchestration"]["providers"]))
    having = page.locator("section", has_text="Memory: synthesis").locator("tbody tr")
    expect(having).to_have_count(len(told["synthesis"]))
    assert "Memory:" not in seen.open(f"/steps?{EVER}&model=gpt-4o").content()


def test_every_list_fits_a_narrow_window_and_shows_ones_own_project_only(
    browser: Browser, house: Tidegate, signed_in: Any
) -> None:
    with visit(browser, house.port, scheme="dark", width=700, state=signed_in) as seen:
        for path in (*LISTS, f"/costs?{EVER}&by=project&then=environment", f"/calls/{RICH.call.call_id}"):
            page = seen.open(path)
            page.locator("td").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= 700, path
            content = page.content()
            assert "p1" in content, path
            assert "p2-prod" not in content, path
            assert "p1-test" not in content, path
        for path in ("/calls?project=p2", "/costs?environment=test", "/steps?project=p2"):
            page = seen.open(path)
            expect(page.get_by_role("status")).to_contain_text("this key sees the calls of")
            assert "p1-test" not in page.content()
        assert seen.strangers() == []


def test_a_page_says_that_the_ledger_is_away(browser: Browser, tmp_path: Path) -> None:
    settings = {"clickhouse": {"url": f"http://127.0.0.1:{free_port()}/tidegate"}}
    with Tidegate(tmp_path, settings) as house, visit(browser, house.port) as seen:
        for path in ("/costs", "/calls"):
            assert house.get(path).status == 503
            page = seen.open(path)
            expect(page.get_by_role("status")).to_contain_text("the ledger is being opened")
