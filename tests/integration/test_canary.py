"""Canaries: everybody names a boat of their own, then asks at every door for all; each hears of their own only."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec
import pytest

from gateway.config import hash_key
from tests.fakes import anthropic, gemini
from tests.fakes.provider import Provider, Received, Script, openai
from tests.fakes.remembered import Embeddings, Remembering, who
from tests.fakes.tidegate import Reply, Tidegate, eventually

KEYS = {
    f"{project}-{environment}": f"tg-{project}-{environment}-" + "k" * 20
    for project in ("red", "blue")
    for environment in ("prod", "test")
}
PERSONAS = (
    ("ada", ""),
    ("ada", "guide"),
    ("ada", "coach"),
    ("bea", ""),
    ("bea", "guide"),
    ("", "guide"),
    ("", "ada"),
)
"""User and agent; the same in every project and environment, one agent called like a user."""
NOBODIES = (("cleo", ""), ("cleo", "guide"), ("ada", "stranger"), ("guide", ""), ("", "bea"))
"""Nobody of these has ever said anything."""
ODD_IDS = (
    "*",
    "%",
    "_da",
    "ada%",
    "ada' OR 1=1 --",
    'ada" OR ""="',
    "ada\0",
    "ada\u200b",
    "\u202eada",
    "ADA",
    "\u0430da",  # Cyrillic
    "\uff41\uff44\uff41",  # full width
    "a\u0301da",
    "%61da",
    "ada,bea",
    '["ada","bea"]',
    '{"$ne":""}',
    "ada_session_1",
    "bea/../ada",
    "ada" * 3000,
)
QUESTION = "Is my boat called Albatross?"
SHARED = {"event_id": "shared", "thread_id": "shared"}


class Somebody(msgspec.Struct, frozen=True):
    """A user, an agent or both, behind one key."""

    key: str
    user: str
    agent: str

    def hears(self, teller: Somebody) -> bool:
        """Whether this one may hear what the other has told: a user alone stands for all their agents."""
        any_agent = bool(self.user) and not self.agent
        same_user = (self.key, self.user) == (teller.key, teller.user)
        return same_user and (any_agent or self.agent == teller.agent)

    def boats(self) -> set[str]:
        """Name what may be heard of: `s` were said in calls, `w` written through the API."""
        return {TELLERS[teller] + way for teller in TELLERS if self.hears(teller) for way in "sw"}

    def ids(self) -> dict[str, str]:
        """Name oneself as the memory API wants it."""
        return {name: value for name, value in (("user_id", self.user), ("agent_id", self.agent)) if value}

    def headers(self) -> dict[str, str]:
        """Name oneself as a call does."""
        named = {f"x-tidegate-{name.replace('_', '-')}": value for name, value in self.ids().items()}
        return {**who(KEYS[self.key]), **named}


TELLERS = {
    Somebody(key, *persona): f"Albatross-{number:02}"
    for number, (key, persona) in enumerate((key, persona) for key in KEYS for persona in PERSONAS)
}
CAPTAINS = [Somebody(f"{project}-prod", f"captain-{project}", "") for project in ("red", "blue")]
"""Users of one project alone, whose calls have no memories; an event of each is called like them."""
ASKERS = [*TELLERS, *(Somebody(key, *nobody) for key in KEYS for nobody in NOBODIES)]


def boats(text: bytes | str) -> set[str]:
    """Return the canaries that stand in a text."""
    return set(re.findall(r"Albatross-\d\d[sw]", text.decode() if isinstance(text, bytes) else text))


def neighbours(asker: Somebody) -> list[Somebody]:
    """Return those whose words are not the asker's by just one thing: project, environment, user or agent."""

    def places(one: Somebody) -> tuple[str, ...]:
        return (*one.key.split("-"), one.user, one.agent)

    mine = places(asker)
    near = [
        teller
        for teller in TELLERS
        if sum(a != b for a, b in zip(mine, places(teller), strict=True)) == 1
        or (teller.key, teller.user, teller.agent) == (asker.key, asker.agent, asker.user)
    ]
    return [teller for teller in near if not asker.hears(teller)]


How = Literal["whole", "stream"]
Asking = tuple[str, dict[str, str], dict[str, Any]]
"""Path, headers and body of a call."""
Door = Callable[[Somebody, str, How], Asking]
"""Makes the call in which somebody says something."""


def by_chat(one: Somebody, words: str, how: How) -> Asking:
    """Speak OpenAI's API, named by headers."""
    said = [{"role": "user", "content": words}]
    body = {"model": "own/m", "messages": said, "stream": how == "stream"}
    return "/v1/chat/completions", one.headers(), body


def by_messages(one: Somebody, words: str, how: How) -> Asking:
    """Speak Anthropic's API, the user named in the body."""
    body = by_chat(one, words, how)[2] | {"model": f"anthropic/{anthropic.MODEL}", "max_tokens": 9}
    headers = one.headers()
    user = headers.pop("x-tidegate-user-id", "")
    return "/v1/messages", headers, body | ({"metadata": {"user_id": user}} if user else {})


def by_contents(one: Somebody, words: str, how: How) -> Asking:
    """Speak Gemini's API."""
    method = "streamGenerateContent?alt=sse" if how == "stream" else "generateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": words}]}]}
    return f"/v1beta/models/{gemini.MODEL}:{method}", one.headers(), body


def upstream_of(request: Received) -> Script:
    """Play whichever provider is asked."""
    if "/messages" in request.path:
        return anthropic.anthropic(request)
    return gemini.gemini(request) if "/models/" in request.path else openai(request)


class Town:
    """The house, its providers, and all that was told."""

    def __init__(self, house: Tidegate, upstream: Provider) -> None:
        self.house = house
        self.upstream = upstream
        self.memories: dict[str, str] = {}
        """Canaries by the ids of their memories."""
        self.said: dict[Somebody, str] = {}
        """Ids of calls, as the next two: those that told, were given memories, and were the captains'."""
        self.asked: dict[Somebody, str] = {}
        self.sailed: dict[Somebody, str] = {}

    def call(self, asking: Asking, **more: str) -> tuple[Reply, list[bytes]]:
        """Make a call, with more of our headers; return the answer and what left for the provider."""
        before = len(self.upstream.requests)
        path, headers, body = asking
        ours = {f"x-tidegate-{name.replace('_', '-')}": value for name, value in more.items()}
        reply = self.house.request("POST", path, body, headers | ours)
        return reply, [one.body for one in self.upstream.requests[before:] if one.method == "POST"]

    def ask(self, method: str, path: str, asker: Somebody, body: object = None, **query: str | int) -> Reply:
        """Ask the memory API in somebody's name."""
        target = f"/api/memories{path}?{urlencode({**asker.ids(), **query})}"
        return self.house.request(method, target, body, who(KEYS[asker.key]))

    def listed(self) -> dict[str, str]:
        """Return all memories there are, each as its owner's list has it."""
        rows = [row for one in TELLERS for row in self.ask("GET", "", one, limit=1000).json()["results"]]
        return {row["id"]: row["memory"].removeprefix("my boat is called ") for row in rows}

    def leaked(self, key: str, text: bytes) -> list[str]:
        """Return what stands in a text and is of another key: canaries, names, ids of calls and memories."""
        calls = [*self.said.items(), *self.asked.items(), *self.sailed.items()]
        foreign = [call for one, call in calls if one.key != key]
        for teller in TELLERS:
            if teller.key != key:
                foreign += [*teller.boats(), *self.told_by(teller)]
        names = [one.user for one in CAPTAINS if one.key != key]
        return [one for one in (*foreign, *names) if one in text.decode()]

    def told_by(self, teller: Somebody) -> list[str]:
        """Return the ids of somebody's own memories."""
        return [one for one, boat in self.memories.items() if boat[:-1] == TELLERS[teller]]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    keys = [
        {"name": name, "hash": hash_key(key), "project": project, "environment": environment}
        for name, key in KEYS.items()
        for project, environment in [name.split("-")]
    ]
    with (
        Provider(Embeddings()).in_thread() as embedder,
        Provider(upstream_of).in_thread() as upstream,
        Remembering(tmp_path_factory.mktemp("house"), embedder, config(embedder, upstream, keys)) as house,
    ):
        found = Town(house, upstream)
        tell(found, house)
        yield found


def config(embedder: Provider, upstream: Provider, keys: list[dict[str, str]]) -> dict[str, Any]:
    base = upstream.base_url
    endpoint = {"base_url": f"{embedder.base_url}/v1", "model": "words", "dimensions": 384}
    return {
        "keys": keys,
        "memory": {"enabled": True, "deadline_ms": 10_000, "embedder": endpoint},
        "providers": {
            "own": {"base_url": f"{base}/v1", "api_key": "sk-own"},
            "anthropic": {"base_url": base, "api_key": "sk-ant-own"},
            "gemini": {"base_url": base, "api_key": "AIza-own"},
        },
    }


def tell(town: Town, house: Remembering) -> None:
    """Let everybody say one thing, write another, and ask once, all in one event."""
    for one, boat in TELLERS.items():
        said = by_chat(one, f"my boat is called {boat}s", "whole")
        reply, _ = town.call(said, **SHARED, memory="write")
        town.said[one] = reply.headers["x-tidegate-call-id"]
        assert town.ask("POST", "", one, {"text": f"my boat is called {boat}w"}).status == 200
    house.await_capture()
    town.memories = town.listed()
    assert sorted(town.memories.values()) == sorted(boat + way for boat in TELLERS.values() for way in "sw")
    for one in TELLERS:
        reply, _ = town.call(by_chat(one, QUESTION, "whole"), **SHARED, memory="read")
        town.asked[one] = reply.headers["x-tidegate-call-id"]
    for one in CAPTAINS:
        town.call(by_chat(one, QUESTION, "whole"), **SHARED, memory="off")
        reply, _ = town.call(by_chat(one, QUESTION, "whole"), event_id=one.user, memory="off")
        town.sailed[one] = reply.headers["x-tidegate-call-id"]
    for one in CAPTAINS:
        house.await_calls(2, one.headers(), user_id=one.user)


# in calls


@pytest.mark.parametrize("how", ["whole", "stream"])
@pytest.mark.parametrize("door", [by_chat, by_messages, by_contents])
def test_a_call_is_given_all_that_its_asker_told_and_nothing_of_anybody_else(
    town: Town, door: Door, how: How
) -> None:
    for number, asker in enumerate(ASKERS):
        fresh = (
            f"{door.__name__}-{how}-{number}"  # in a thread that goes on, the profile stands there already
        )
        reply, (sent,) = town.call(door(asker, QUESTION, how), memory="read", thread_id=fresh)
        ids, status = (reply.headers[f"x-tidegate-memory-{name}"] for name in ("ids", "status"))

        assert reply.status == 200
        assert boats(sent) == asker.boats(), asker
        assert {town.memories[one] for one in ids.split(",") if one} == asker.boats(), asker
        assert status == ("injected" if asker.boats() else "empty"), asker
        assert boats(reply.body) == set()


@pytest.mark.parametrize("odd", ODD_IDS)
def test_an_odd_user_id_is_somebody_else_in_calls(town: Town, odd: str) -> None:
    in_header = by_chat(Somebody("red-prod", quote(odd, safe=""), ""), QUESTION, "whole")
    in_body = by_messages(Somebody("red-prod", odd, ""), QUESTION, "whole")
    for asking in (in_header, in_body):
        reply, sent = town.call(asking, memory="read")

        assert reply.status in {200, 400}
        assert [boats(one) for one in (*sent, reply.body)] == [set()] * (len(sent) + 1)
        assert len(sent) == (reply.status == 200)


def test_a_call_does_not_choose_another_environment_than_its_keys(town: Town) -> None:
    ada = Somebody("red-prod", "ada", "guide")
    path, headers, body = by_chat(ada, QUESTION, "whole")
    body["metadata"] = {"environment": "test", "project": "blue"}
    ignored, (claimed,) = town.call((path, headers, body), memory="read")
    refused, sent = town.call((path, headers, body), environment="test")

    assert (refused.status, sent) == (403, [])
    assert ignored.status == 200
    assert boats(claimed) == ada.boats()


# over the memory API


def test_lists_and_searches_hold_all_that_their_asker_told_and_nothing_else(town: Town) -> None:
    for asker in ASKERS:
        everything: dict[str, Any] = {"threshold": -1, "top_k": 1000}
        answers = [
            town.ask("GET", "", asker, limit=1000),
            town.ask("POST", "/search", asker, {"query": QUESTION, **everything}),
            town.ask("POST", "/search", asker, {"query": f"my boat is called {TELLERS}", **everything}),
        ]
        for answer in answers:
            assert answer.status == 200
            assert boats(answer.body) == asker.boats(), asker
            assert {town.memories[row["id"]] for row in answer.json()["results"]} == asker.boats(), asker


def test_an_id_of_somebody_elses_memory_opens_nothing(town: Town) -> None:
    for number, asker in enumerate(ASKERS):
        for teller in neighbours(asker):
            one = town.told_by(teller)[number % 2]
            answers = [
                town.ask("GET", f"/{one}", asker),
                town.ask("GET", "", asker, id=one),
                town.ask("GET", f"/{one}/history", asker),
                town.ask("PUT", f"/{one}", asker, {"text": "stolen", "metadata": {"by": "me"}}),
                town.ask("DELETE", f"/{one}", asker),
            ]
            assert [(answer.status, boats(answer.body)) for answer in answers] == [(404, set())] * 5, asker

    assert town.listed() == town.memories


def test_with_the_right_scope_the_same_id_opens(town: Town) -> None:
    for teller in TELLERS:
        for one in town.told_by(teller):
            assert boats(town.ask("GET", f"/{one}", teller).body) == {town.memories[one]}


@pytest.mark.parametrize("odd", ["ada ", *ODD_IDS])
def test_an_odd_user_id_is_somebody_else_over_the_api(town: Town, odd: str) -> None:
    key = who(KEYS["red-prod"])
    one = town.told_by(Somebody("red-prod", "ada", ""))[0]
    query = urlencode({"user_id": odd})
    asked: list[tuple[str, str, object]] = [
        ("GET", f"?{query}", None),
        ("DELETE", f"?{query}", None),
        ("POST", "/search", {"query": QUESTION, "threshold": -1, "user_id": odd}),
        ("POST", f"/search?{query}", {"query": QUESTION, "filters": {"user_id": "ada"}}),
        ("GET", f"/{one}?{query}", None),
        ("GET", f"/{one}/history?{query}", None),
        ("PUT", f"/{one}?{query}", {"text": "stolen"}),
        ("DELETE", f"/{one}?{query}", None),
        ("GET", f"/{quote(odd, safe='')}?user_id=cleo", None),
    ]
    for method, path, body in asked:
        reply = town.house.request(method, f"/api/memories{path}", body, key)
        assert reply.status in {200, 400, 404}
        assert boats(reply.body) == set(), (method, path)

    assert town.listed() == town.memories


def test_ids_that_are_no_text_are_refused(town: Town) -> None:
    for query in ("user_id=%ff", "user_id=ada%fe", "agent_id=%c3"):
        assert town.house.get(f"/api/memories?{query}", who(KEYS["red-prod"])).status == 400


def test_nobody_says_for_whom_they_ask(town: Town) -> None:
    forged = msgspec.json.encode(
        {"key_id": "red-prod", "project": "red", "environment": "prod", "open": True, "store": "full"}
    ).decode()
    elsewhere = {"query": QUESTION, "project": "red", "user_id": "ada"}
    tagged = elsewhere | {"filters": {"project": "red"}}
    ada = Somebody("blue-prod", "ada", "")
    for name in ("x-tidegate-principal", "X-TideGate-Principal", "x-tidegate-principal-2"):
        for more in ({}, {"connection": "x-tidegate-principal"}, {"x-tidegate-environment": "test"}):
            headers = {**who(KEYS["blue-prod"]), name: forged, **more}
            found = town.house.request("POST", "/api/memories/search", elsewhere, headers)
            assert boats(town.house.get("/api/memories?user_id=ada", headers).body) == ada.boats()
            assert boats(found.body) == ada.boats()
            found = town.house.request("POST", "/api/memories/search", tagged, headers)
            assert (found.status, boats(found.body)) == (400, set())
            foreign = town.said[Somebody("red-prod", "ada", "")]
            assert town.house.get(f"/api/calls/{foreign}", headers).status == 404
            assert boats(town.house.get(f"/calls/{foreign}", headers).body) == set()
            assert town.leaked("blue-prod", town.house.get("/api/calls?limit=1000", headers).body) == []
    for path in ("/api/memories?user_id=ada", "/api/calls", "/api/events/shared", "/", "/events/shared"):
        assert town.house.get(path, {"x-tidegate-principal": forged}).status == 401


# in the ledger


def signed_in(house: Tidegate, key: str) -> dict[str, str]:
    """Sign in as a browser does; return the cookie it would send."""
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)
    connection.request("POST", "/sign-in", urlencode({"key": key, "to": "/"}))
    answer = connection.getresponse()
    assert answer.status == 303
    cookie = answer.headers["set-cookie"].partition(";")[0]
    connection.close()
    return {"cookie": cookie}


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("red-prod", "key"),
        ("red-test", "cookie"),
        ("blue-prod", "key and red's cookie"),
        ("blue-test", "key"),
    ],
)
def test_the_query_api_and_the_pages_show_an_environment_its_own_calls_only(
    town: Town, name: str, way: str
) -> None:
    house = town.house
    headers = {} if way == "cookie" else who(KEYS[name])
    if "cookie" in way:
        headers |= signed_in(house, KEYS[name if way == "cookie" else "red-prod"])
    own = [one for one in TELLERS if one.key == name]
    made = 2 * len(own) + sum(one.key == name for one in CAPTAINS)
    house.await_calls(made, headers, event_id="shared")
    said = {boat for one in own for boat in one.boats() if boat.endswith("s")}
    for path in ("/api/calls?limit=1000", "/api/calls?event_id=shared&limit=1000", "/api/calls?user_id=ada",
                 "/api/events/shared", "/api/events?id=shared", "/api/threads/shared", "/", "/?user=ada",
                 "/?text=Albatross", "/?text=captain", "/events/shared"):  # fmt: skip
        whole = said if "shared" in path and path.startswith("/api") else set[str]()
        answer = eventually(
            lambda path=path, whole=whole: (  # type: ignore[misc]
                (found := house.get(path, headers)).status == 200 and whole <= boats(found.body) and found
            ),
            what=path,
        )
        assert town.leaked(name, answer.body) == [], path
    assert boats(house.get("/events/shared", headers).body)
    assert house.get("/api/events/shared", headers).json()["totals"]["calls"] == made
    for captain in CAPTAINS:
        mine, user = captain.key == name, captain.user
        cost = house.get(f"/api/users/{user}/cost", headers).json()
        assert cost["total"]["calls"] == (2 if mine else 0)
        for path in (f"/api/events/{user}", f"/api/calls?user_id={user}&event_id={user}"):
            assert len(house.get(path, headers).json()["calls"]) == mine
    for number, one in enumerate(set(TELLERS) - set(own)):
        for call in (town.said[one], town.asked[one]):
            answer = house.get(f"/api/calls/{call}", headers)
            assert (answer.status, boats(answer.body)) == (404, set()), one
            if number % 7 == 0:
                assert boats(house.get(f"/calls/{call}", headers).body) == set()
                assert boats(house.get(f"/?text={call}", headers).body) == set()


def test_a_calls_row_holds_the_memories_it_was_given(town: Town) -> None:
    for one, call in town.asked.items():
        headers = who(KEYS[one.key])
        town.house.await_calls(1, headers, event_id="shared", user_id=one.user)
        told = eventually(
            lambda call=call, headers=headers: (  # type: ignore[misc]
                (answer := town.house.get(f"/api/calls/{call}", headers)).status == 200 and answer.json()
            ),
            what="the call",
        )
        assert boats(told["memory"]["block"]) == one.boats()
        assert {town.memories[memory] for memory in told["memory"]["ids"]} == one.boats()
    ada = Somebody("red-prod", "ada", "guide")
    assert boats(town.house.get(f"/calls/{town.asked[ada]}", who(KEYS[ada.key])).body) == ada.boats()


def test_a_cookie_that_was_changed_is_nobodys(town: Town) -> None:
    mine = signed_in(town.house, KEYS["blue-prod"])["cookie"]
    name, _, value = mine.partition("=")
    _, until, seal = value.split(".")
    theirs = hash_key(KEYS["red-prod"])
    assert town.house.get("/api/calls", {"cookie": mine}).status == 200
    for changed in (f"{theirs}.{until}.{seal}", f"{theirs}.{until}.", f"{theirs}.{until}", theirs, "*"):
        answer = town.house.get("/api/calls?limit=1000", {"cookie": f"{name}={changed}"})
        assert (answer.status, boats(answer.body)) == (401, set())


# without keys


def test_in_open_mode_the_header_keeps_environments_apart(tmp_path: Path) -> None:
    with (
        Provider(Embeddings()).in_thread() as embedder,
        Provider(upstream_of).in_thread() as upstream,
        Remembering(tmp_path, embedder, config(embedder, upstream, [])) as house,
    ):
        town = Town(house, upstream)

        def say(environment: str, words: str, memory: str) -> set[str]:
            body = {"model": "own/m", "messages": [{"role": "user", "content": words}]}
            named = {"environment": environment} if environment else {}
            asking = ("/v1/chat/completions", {"x-tidegate-user-id": "ada"}, body)
            _, (sent,) = town.call(asking, memory=memory, **named)
            return boats(sent)

        for number, environment in enumerate(("", "test", "Test")):
            say(environment, f"my boat is called Albatross-{number:02}s", "write")
        house.await_capture()

        assert say("", QUESTION, "read") == say("prod", QUESTION, "read") == {"Albatross-00s"}
        assert say("test", QUESTION, "read") == {"Albatross-01s"}
        assert say("Test", QUESTION, "read") == {"Albatross-02s"}
        assert say("*test", QUESTION, "read") == set()
        assert boats(house.get("/api/memories?user_id=ada").body) == {"Albatross-00s"}
