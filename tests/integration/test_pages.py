"""A browser walks the pages, through a worker as everybody's does."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fakes.browser import CHROMIUM, WAIT_MS, chromium, visit
from tests.fakes.callers import posted, question, raw
from tests.fakes.tidegate import PATIENCE_S, Tidegate, eventually

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here (Debian: chromium)")

CANARY = (
    """<img src=x onerror="window.canary=1"><script>window.canary=2</script>{{constructor}}`${1}`</script>"""
)
KEYS = {"red": "tg-key-of-red", "blue": "tg-key-of-blue"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tidegate]:
    """A gateway that remembers, however busy the machine is."""
    memory = {"enabled": True, "deadline_ms": 10_000}
    with Tidegate(tmp_path_factory.mktemp("house"), {"memory": memory}) as gateway:
        eventually(lambda: gateway.get("/api/calls").status == 200, what="the ledger")
        yield gateway


def demo(house: Tidegate) -> str:
    """Run `tidegate demo` against the house; return what it printed."""
    command = [sys.executable, "-m", "gateway", "demo", "--url", house.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def remembered(told: str) -> str:
    """Return what the demo printed if its second call was given a memory; a busy machine may be late."""
    return told if "got no memory" not in told else ""


def rows(page: Page) -> list[str]:
    """Return the text of the table's rows."""
    return page.locator(".tg-table tbody tr").all_inner_texts()


def test_from_the_demo_to_the_error_of_a_call(browser: Browser, house: Tidegate, tmp_path: Path) -> None:
    told = eventually(lambda: remembered(demo(house)), what="a memory within the demo's patience")
    asked, failed = re.findall(r"http://\S+(/events/demo-\S+)", told)
    assert told.count("demo-") == 6
    with visit(browser, house.port) as seen:
        page = seen.open("/")
        page.screenshot(path=tmp_path / "events.png")
        row = page.locator("tr", has_text=failed.removeprefix("/events/"))
        expect(row).to_contain_text("1 failed")
        row.get_by_role("link", name=failed.removeprefix("/events/")).click()
        page.wait_for_url(f"**{failed}")
        expect(page.locator("tbody tr", has_text="retrieval")).to_contain_text("ok")
        page.screenshot(path=tmp_path / "event.png")
        page.locator("tbody tr", has_text="synthesis").get_by_role("link").click()
        page.wait_for_url("**/calls/*")
        expect(page.get_by_role("alert")).to_contain_text("212 requests wait before this one")
        page.screenshot(path=tmp_path / "call.png", full_page=True)

        page = seen.open(asked)
        expect(page.locator("tbody tr", has_text="choosing a place")).to_contain_text("1 injected")
        page.locator("tbody td.call a").click()
        page.wait_for_url("**/calls/*")
        memory = page.locator("section", has=page.get_by_role("heading", name="Memory"))
        expect(memory).to_contain_text("allergic to peanuts")
        page.screenshot(path=tmp_path / "memory.png", full_page=True)

        assert seen.strangers() == []
        assert seen.sockets
        assert seen.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_readers_colours_and_width(
    browser: Browser, house: Tidegate, scheme: str
) -> None:
    with visit(browser, house.port, scheme=scheme, width=700) as seen:
        page = seen.open("/")
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shade = sum(map(int, re.findall(r"\d+", paper)[:3]))

        assert shade < 150 if scheme == "dark" else shade > 700
        assert page.evaluate("document.documentElement.scrollWidth") <= 700


def test_every_column_is_in_sight_at_1280_pixels_however_long_the_ids_are(
    browser: Browser, house: Tidegate, tmp_path: Path
) -> None:
    event, user, model = "pipeline-" + "e" * 90, "auth0-" + "u" * 90, "somebody/" + "m" * 90
    named = {"x-tidegate-event-id": event, "x-tidegate-user-id": user, "x-tidegate-step": "orchestration"}
    for wanted in ("sandbox/echo", model):
        asked = {"model": wanted, "messages": [{"role": "user", "content": "Where is the harbour? " * 9}]}
        house.request("POST", "/v1/chat/completions", asked, named)
    house.await_calls(2, event_id=event)
    with visit(browser, house.port) as seen:
        for path, cut in (
            (f"/?user={user}", (user, model, event)),
            (f"/calls?user={user}", (user, model, event)),
            (f"/events/{event}", (user, model)),
        ):
            page = seen.open(path)
            page.locator("td.said").first.wait_for()
            page.screenshot(path=tmp_path / f"{len(path)}.png")
            table = page.locator(".tg-scroll:has(thead)")
            assert table.evaluate("table => table.scrollWidth - table.clientWidth") == 0, path
            for name in cut:
                assert page.locator(f"td[title*='{name}']").count() >= 1, path


def test_refresh_shows_what_happened_since_without_loading_the_page_anew(
    browser: Browser, house: Tidegate
) -> None:
    with visit(browser, house.port) as seen:
        page = seen.open("/?user=fresh")
        expect(page.get_by_text("No event matches")).to_be_visible()
        page.evaluate("window.loaded = true")
        page.get_by_label("Thread").fill("half a wo")
        house.request(
            "POST",
            "/v1/chat/completions",
            {"model": "sandbox/echo", "messages": [{"role": "user", "content": "now"}]},
            {"x-tidegate-user-id": "fresh", "x-tidegate-event-id": "fresh-event"},
        )
        house.await_calls(1, user_id="fresh")
        page.get_by_role("button", name="Refresh").click()
        expect(page.locator("tbody tr")).to_contain_text("fresh-event")

        expect(page.get_by_label("Thread")).to_have_value("half a wo")
        assert page.evaluate("window.loaded")


def test_an_event_whose_client_hung_up_is_not_called_ok(browser: Browser, house: Tidegate) -> None:
    body = question("sandbox/pace-50", "x " * 40, stream=True)
    with raw(house) as client:
        client.sendall(posted(body, "x-tidegate-event-id: left"))
        assert b"200 OK" in client.recv(65536)
    house.await_calls(1, event_id="left")
    with visit(browser, house.port) as seen:
        page = seen.open("/?text=left")
        expect(page.locator("tbody tr")).to_contain_text("1 cancelled")
        page.get_by_role("link", name="left").click()
        page.wait_for_url("**/events/left")
        expect(page.locator(".tg-facts tr", has_text="Cancelled")).to_contain_text("1")


def test_a_page_can_refresh_itself(browser: Browser, house: Tidegate) -> None:
    event = "watch/ed?"
    house.chat("first", event=event)
    house.await_calls(1, event_id=event)
    with visit(browser, house.port) as seen:
        page = seen.open(f"/events/{quote(event, safe='')}")
        page.get_by_role("link", name="auto refresh: off").click()
        expect(page.get_by_role("link", name="auto refresh: on")).to_be_visible()
        expect(page.locator("tbody tr", has_text="sandbox/echo")).to_have_count(1)
        house.chat("second", event=event)
        expect(page.locator("tbody tr", has_text="sandbox/echo")).to_have_count(2)


def test_filters_and_pages_live_in_the_address(browser: Browser, house: Tidegate) -> None:
    for number in range(52):
        house.chat(f"number {number}", event=f"many-{number:02}")
    house.await_calls(1, event_id="many-51")
    with visit(browser, house.port) as seen:
        page = seen.open("/")
        page.get_by_label("Text").fill("many-")
        page.get_by_label("From").fill("2026-01-01T05:30")
        page.get_by_role("button", name="Apply").click()
        page.wait_for_url("**text=many-*")
        assert page.url.endswith("/?text=many-&from=2026-01-01T00%3A00Z")
        expect(page.locator("tbody tr")).to_have_count(50)
        page.get_by_role("link", name="older").click()
        page.wait_for_url("**after=*")
        expect(page.locator("tbody tr")).to_have_count(2)
        assert [row.split()[1] for row in rows(page)] == ["many-01", "many-00"]
        expect(page.get_by_label("From")).to_have_value("2026-01-01T05:30")
        page.get_by_role("link", name="newer").click()
        expect(page.locator("tbody tr")).to_have_count(50)


def test_a_page_comes_back_by_itself_after_a_kill(browser: Browser, tmp_path: Path) -> None:
    with Tidegate(tmp_path / "house") as house, visit(browser, house.port) as seen:
        call = house.chat("before", event="before-the-kill").headers["x-tidegate-call-id"]
        house.chat("other", event="another")
        house.await_calls(2)
        # bodies go in right after the calls they belong to
        eventually(lambda: house.get(f"/api/calls/{call}").json()["answer"], what="its answer")
        page = seen.open("/?text=before")
        expect(page.locator("tbody tr")).to_have_count(1)
        before = rows(page)
        page.evaluate("window.loaded = true")

        house.kill("telemetry")

        page.wait_for_function("window.loaded === undefined", timeout=WAIT_MS)
        expect(page.locator("tbody tr")).to_have_count(1, timeout=WAIT_MS)
        assert rows(page) == before
        assert page.url.endswith("/?text=before")


def test_what_others_wrote_is_text_and_nothing_else(browser: Browser, house: Tidegate) -> None:
    event = f"e{CANARY}"
    house.request(
        "POST",
        "/v1/chat/completions",
        {
            "model": "sandbox/echo",
            "messages": [{"role": "user", "content": CANARY}],
            "sandbox": {"status": 500, "error": {"message": CANARY}},
        },
        {
            "x-tidegate-event-id": quote(event),
            "x-tidegate-user-id": quote(f"u{CANARY}"),
            "x-tidegate-thread-id": quote(CANARY),
            "x-tidegate-tags": quote(CANARY),
            "x-tidegate-property-odd": quote(CANARY),
        },
    )
    house.request(
        "POST",
        "/v1/chat/completions",
        {"model": CANARY, "messages": [{"role": "user", "content": CANARY}]},
        {"x-tidegate-event-id": quote(event)},
    )
    called = house.await_calls(1, event_id=event)
    pages = {
        f"/?text={quote(CANARY)}": event,
        f"/events/{quote(event, safe='')}": event,
        f"/?user={quote(CANARY)}&model={quote(CANARY)}": "No event matches",
        f"/?from={quote(CANARY)}": CANARY,
        f"/calls/{quote(CANARY, safe='')}": CANARY,
        f"/calls?sort={quote(CANARY)}": CANARY,
        f"/calls?user={quote(f'u{CANARY}')}": event,
        "/calls?q=canary": CANARY,
        f"/costs?user={quote(f'u{CANARY}')}&by=user&then=model": f"u{CANARY}",
        "/users": f"u{CANARY}",
        "/threads": CANARY,
        "/errors": CANARY,
        **{f"/calls/{call['call_id']}": event for call in called},
    }
    with visit(browser, house.port) as seen:
        for path, shown in pages.items():
            page = seen.open(path)
            expect(page.get_by_text(shown).first).to_be_attached()
            assert page.evaluate("window.canary") is None, path
            assert page.locator("img").count() == 0, path
        assert seen.strangers() == []


def test_with_keys_a_browser_signs_in_and_sees_its_own_project_only(browser: Browser, tmp_path: Path) -> None:
    hashed = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}
    keys = [{"name": name, "project": name, "hash": digest} for name, digest in hashed.items()]
    with Tidegate(tmp_path / "house", {"keys": keys}) as house, visit(browser, house.port) as seen:
        called = {}
        for name, key in KEYS.items():
            bearer = {"authorization": f"Bearer {key}", "x-tidegate-event-id": "shared"}
            body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": f"said by {name}"}]}
            house.request("POST", "/v1/chat/completions", body, bearer)
            (called[name],) = house.await_calls(1, bearer)
        theirs = f"/calls/{called['blue']['call_id']}"

        page = seen.page
        page.goto(f"{seen.home}/events/shared")
        for key in ("tg-nobodys", KEYS["red"]):
            page.get_by_label("A key of this gateway").fill(key)
            page.get_by_role("button", name="Use the key").click()
        page.wait_for_selector(".tg-footer")
        assert page.url == f"{seen.home}/events/shared"
        expect(page.locator("tbody tr", has_text="sandbox/echo")).to_contain_text("said by red")
        assert "said by blue" not in page.content()
        page = seen.open(theirs)
        expect(page.get_by_text("Not found")).to_be_visible()
        assert "said by blue" not in page.content()
        for path in ("/calls?q=said", "/costs?by=project&then=key"):
            page = seen.open(path)
            assert "blue" not in page.content(), path
        page = seen.open("/calls?project=blue")
        expect(page.get_by_role("status")).to_contain_text("this key sees the calls of project 'red' only")
        page = seen.open("/")
        expect(page.locator("tbody tr")).to_have_count(1)
        eventually(lambda: seen.sockets, what="a WebSocket")
        page.get_by_role("link", name="Account").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("A key of this gateway")).to_be_visible()
        assert seen.strangers() == []

        stranger = house.get(theirs, {"authorization": f"Bearer {KEYS['red']}"})
        assert stranger.status == 404
        assert b"said by blue" not in stranger.body
        assert house.get(theirs).status == 401


def test_the_pages_leave_the_api_its_paths_and_its_refusals(house: Tidegate) -> None:
    assert house.get("/docs").status == 200
    unknown, wrong = house.get("/api/nothing"), house.request("POST", "/api/calls", {})

    assert (unknown.status, unknown.json()["error"]["code"]) == (404, "unknown_url")
    assert wrong.status == 405
    page = house.get("/")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert house.get("/events/nothing-like-it").status == 404
