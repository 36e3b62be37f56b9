"""What follows from a head alone is found once; what may change meanwhile is seen all the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import pytest

from gateway.endpoints import App
from gateway.exchange import Exchange
from gateway.http1.heads import Heads
from gateway.keyring import Keyring
from gateway.pipeline import Pipeline
from gateway.principal import Principal
from gateway.settings import Cors, Settings
from gateway.sign_in import SignIn
from gateway.stages.auth import Auth
from tests.fakes.door import Line, post
from tests.fakes.keys import SECOND, START_US, HandClock, digest, page, row

KEY = "tg-0123456789"
CALL = "/v1/chat/completions"


class Stages:
    """Keeps the calls and answers them."""

    def __init__(self) -> None:
        self.calls: list[Exchange] = []

    async def run(self, exchange: Exchange) -> None:
        self.calls.append(exchange)
        exchange.headers[b"x-left-behind"] = b"1"
        exchange.headers.pop(b"host")
        exchange.client.answer(200, exchange.body)


class House:
    """A door with its keys, and as many connections as there are requests."""

    def __init__(
        self, settings: Settings | None = None, *, static: bool = False, certain: bool = True
    ) -> None:
        self.clock = HandClock()
        keys = {digest(KEY): Principal(key_id="static")} if static else {}
        self.ring = Keyring(keys, self.clock, max_stale_s=60, certain=certain)
        self.stages = Stages()
        self.refused: list[str] = []
        self._heads = Heads()
        auth = Auth(settings or Settings(), fingerprint_secret=b"secret", keyring=self.ring)
        self._app = App(
            auth=auth,
            sign_in=cast("SignIn", None),
            pipeline=cast("Pipeline", self.stages),
            public={},
            protected={},
            one_of={},
            cold={},
            refused=self.refused.append,
            max_body_bytes=1_000,
            body_timeout_s=1,
            clock=self.clock,
        )

    async def ask(self, body: bytes = b"{}", *headers: str, path: str = CALL, key: str = KEY) -> str:
        """Send a request; return the answer."""
        line = Line(self._app, self._heads)
        line.hear(post(path, body, f"Authorization: Bearer {key}", *headers))
        return (await line.settle(20)).decode()

    async def known(self, *headers: str, **more: Any) -> None:
        """Send the same request until its head is known and who sends it was found."""
        for _ in range(4):
            assert (await self.ask(b"{}", *headers, **more)).startswith("HTTP/1.1 200")


def code(answer: str) -> str:
    found = re.search(r'"code":"(\w+)"', answer)
    return found[1] if found is not None else answer.split()[1]


async def test_each_call_has_its_own_id_headers_and_body() -> None:
    house = House(static=True)
    for body in (b"{}", b"{ }", b"{  }", b"{   }", b"{    }"):
        answer = await house.ask(body, "x-tidegate-user-id: ada")
        call = house.stages.calls[-1]
        assert f"x-tidegate-call-id: {call.call_id}\r\n" in answer
        assert f"x-tidegate-event-id: {call.call_id}\r\n" in answer
        assert answer.endswith(body.decode())

    calls = house.stages.calls
    assert len({call.call_id for call in calls}) == 5
    assert [call.headers[b"content-length"] for call in calls] == [b"2", b"3", b"4", b"5", b"6"]
    for call in calls:
        assert call.headers.keys() - {b"content-length"} == {
            b"authorization",
            b"x-tidegate-user-id",
            b"x-left-behind",
        }
        assert call.identity.event_id == call.call_id
        assert (call.identity.event_id_made, call.identity.user_id) == (True, "ada")
        assert call.principal.key_id == "static"


async def test_who_asks_is_found_once_for_a_head_that_comes_again() -> None:
    house = House()
    await house.known("Host: localhost")
    await house.known("Host: localhost", "X-Other: 1")

    who = [call.principal for call in house.stages.calls]
    assert who[1] is who[2] is who[3]
    assert who[5] is not who[3]
    assert who[3].open


async def test_an_event_that_a_head_names_is_that_of_each_call_with_it() -> None:
    house = House(static=True)
    await house.known("x-tidegate-event-id: run-7")

    assert "x-tidegate-event-id: run-7\r\n" in await house.ask(b"{}", "x-tidegate-event-id: run-7")
    assert not house.stages.calls[-1].identity.event_id_made


def revoked(house: House) -> None:
    assert house.ring.take(page(1, 2, row("k1", KEY, revoked=True)))


def narrowed(house: House) -> None:
    assert house.ring.take(page(1, 2, row("k1", KEY, scopes=("view",))))


def begun_anew(house: House) -> None:
    assert house.ring.take(page(0, 5, epoch="other"))


def unheard_of(house: House) -> None:
    house.clock.us += 61 * SECOND


def none_left(house: House) -> None:
    house.ring.take_none()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (revoked, "invalid_api_key"),
        (narrowed, "403"),
        (begun_anew, "host_not_allowed"),  # by open mode: of no key is known that it was ever given out
        (unheard_of, "keys_stale"),
        (none_left, "host_not_allowed"),
    ],
)
async def test_what_becomes_of_a_key_holds_for_the_very_next_call(
    change: Callable[[House], None], expected: str
) -> None:
    house = House()
    assert house.ring.take(page(0, 1, row("k1", KEY)))
    await house.known()
    before = len(house.stages.calls)

    change(house)
    answer = await house.ask()

    assert expected in (code(answer), answer.split()[1])
    assert len(house.stages.calls) == before


async def test_a_key_ends_at_its_time_without_a_word_of_the_hub() -> None:
    house = House()
    assert house.ring.take(page(0, 1, row("k1", ends={KEY: START_US + 10 * SECOND})))
    await house.known()
    house.clock.us += 10 * SECOND - 1
    await house.known()

    house.clock.us += 1

    assert code(await house.ask()) == "expired_api_key"


async def test_a_key_that_goes_on_to_count_is_marked_as_long_as_nothing_is_heard_of_it() -> None:
    house = House()
    assert house.ring.take(page(0, 1, row("k1", KEY, serve_stale=True)))
    await house.known()
    assert not house.stages.calls[-1].identity.properties

    house.clock.us += 61 * SECOND
    await house.known()
    assert house.stages.calls[-1].identity.properties == {"keys_stale": "true"}

    assert house.ring.take(page(1, 1, issued_us=house.clock.us))
    await house.known()
    assert not house.stages.calls[-1].identity.properties


async def test_the_first_key_closes_open_mode_for_heads_that_were_let_in() -> None:
    house = House()
    await house.known("Host: localhost")

    assert house.ring.take(page(0, 1, row("k1", "tg-another")))

    assert code(await house.ask(b"{}", "Host: localhost")) == "invalid_api_key"


async def test_a_changed_key_is_the_changed_one() -> None:
    house = House()
    assert house.ring.take(page(0, 1, row("k1", KEY, project="red")))
    await house.known()
    assert house.ring.take(page(1, 2, row("k1", KEY, project="blue")))
    await house.known()

    assert [call.principal.project for call in house.stages.calls] == ["red"] * 4 + ["blue"] * 4


async def test_an_origin_may_read_each_answer_and_a_key_in_the_query_counts_each_time() -> None:
    house = House(Settings(cors=Cors(origins=("https://app.example",))), static=True)
    for _ in range(4):
        answer = await house.ask(b"{}", "Origin: https://app.example")
        assert "access-control-allow-origin: https://app.example\r\n" in answer
    path = "/v1beta/models/gemini-3:generateContent?key=" + KEY
    for _ in range(4):
        await house.ask(b"{}", "X-No: 1", path=path)
        assert house.stages.calls[-1].headers[b"x-goog-api-key"] == KEY.encode()


async def test_refusals_of_a_known_head_name_a_call_and_an_event() -> None:
    house = House(static=True)
    await house.known()

    answer = await house.ask(b"x" * 1_001)

    assert answer.startswith("HTTP/1.1 413")
    assert "x-tidegate-event-id: " in answer
    assert house.refused == ["request_too_large"]
