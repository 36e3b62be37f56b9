"""Every route, every role, every tenant: each sees what is theirs and of a kind they may see, and nothing else.

The routes are those that the parts of the house list themselves, so a new one is tried as soon as it exists. Each is
asked by somebody of each role, for things of their own and for those of every neighbour, whose words, names and ids
hold canaries.
"""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args
from urllib.parse import quote, urlencode

import msgspec
import pytest

from gateway import surfaces
from gateway.principal import Scope
from gateway.roles import ROLES, Role, opens, session_scopes
from gateway.route_rules import needs
from gateway.surfaces import KEPT
from tests.fakes.admin import administer, issue, say
from tests.fakes.contents import contents, holding
from tests.fakes.described import requests
from tests.fakes.every_route import Route, every_route, filled
from tests.fakes.provider import Provider, openai
from tests.fakes.tidegate import Reply, Tidegate, eventually

PASSWORD = "correct horse battery"
HOME = ("red", "prod")
NEIGHBOURS = {"blue": ("blue", "prod"), "redtest": ("red", "test")}
TENANTS = {"red": HOME, **NEIGHBOURS}
SESSIONS: tuple[Role, ...] = ("owner", "admin", "engineer", "finance", "viewer")
MEDDLING = ("/api/me", "/sign-in", "/sign-out", "/account")
"""Would move or end the session that asks; each is tried by itself."""
SENT: Mapping[str, dict[str, Any]] = {
    "/api/request-logs/": {"model": "m", "log_type": "text"},
    "/api/memories/search": {"query": "canary", "user_id": "canary-red-user"},
}


class Somebody(NamedTuple):
    """Who asks, how, and with which scopes."""

    role: str
    headers: dict[str, str]
    scopes: tuple[Scope, ...]
    csrf: str = ""


class Town:
    """A house with two projects, one of them with two environments, and people of each role in the first."""

    def __init__(self, house: Tidegate, provider: Provider) -> None:
        self.house = house
        self.provider = provider
        self.line = http.client.HTTPConnection("127.0.0.1", house.port, timeout=60)
        self.ids: dict[str, dict[str, str]] = {tenant: {} for tenant in TENANTS}
        """What may stand in a path, by tenant."""
        self.people: list[Somebody] = []

    def settle(self) -> None:
        """Let everybody move in, and say something."""
        for role in SESSIONS:
            where = "*" if role == "owner" else "red"
            self._person(f"{role}@red.example", {where: role})
        self._person("canary-blue@blue.example", {"blue": "admin"})
        for tenant, (project, environment) in TENANTS.items():
            self._tenant(tenant, project, environment)
        _, service = issue(self.house, "service", project="red", scopes=list(ROLES["service"]))
        eventually(lambda: say(self.house, service).status == 200, what="the last key to be known")
        for role in SESSIONS:
            self.people.append(self.enter(role))
        self.people.append(Somebody("service", {"authorization": f"Bearer {service}"}, ROLES["service"]))

    def _person(self, email: str, roles: Mapping[str, str]) -> str:
        wanted = {"email": email, "roles": roles, "password": PASSWORD}
        status, made = administer(self.house, "POST", "/api/people", wanted)
        assert status == 201, made
        return str(made["id"])

    def _tenant(self, tenant: str, project: str, environment: str) -> None:
        place = {"project": project, "environment": environment}
        name = f"canary-{tenant}"
        key_id, secret = issue(self.house, f"{name}-key", **place, scopes=["call", "read"])
        eventually(lambda: say(self.house, secret).status == 200, what="the key to be known")
        told = {f"x_tidegate_{kind}_id": f"{name}-{kind}" for kind in ("user", "event", "thread", "agent")}
        headers = {name_.replace("_", "-"): value for name_, value in told.items()}
        headers |= {"authorization": f"Bearer {secret}", "x-tidegate-property-secret": f"{name}-property"}
        for more in ({}, {"sandbox": {"status": 400, "error": {"message": f"said-{tenant} was quoted"}}}):
            said = [{"role": "user", "content": f"said-{tenant} in a call"}]
            self.house.request(
                "POST", "/v1/chat/completions", {"model": "sandbox/echo", "messages": said, **more}, headers
            )
        calls = self.house.await_calls(2, {"authorization": f"Bearer {secret}"}, event_id=f"{name}-event")
        administer(self.house, "POST", "/api/teams", {"name": f"{name}-team", "project": project})
        limit = {"name": f"{name}-limit", "project": project, "rpm": 1, "keys": ["nobody"]}
        budget = {"name": f"{name}-budget", "project": project, "hard_usd": "1", "match": "nobody"}
        rules = {
            path: administer(self.house, "POST", path, wanted)[1]["id"]
            for path, wanted in (("/api/limits", limit), ("/api/budgets", budget))
        }
        people = administer(self.house, "GET", "/api/people")[1]["people"]
        person = next(one["id"] for one in people if project in one["roles"])
        self.ids[tenant] = {
            "/api/calls": calls[0]["call_id"],
            "/calls": calls[0]["call_id"],
            "/api/request-logs": calls[0]["call_id"],
            "/api/keys": key_id,
            "/api/me": key_id,
            "/api/events": f"{name}-event",
            "/events": f"{name}-event",
            "/api/threads": f"{name}-thread",
            "/api/users": f"{name}-user",
            "/api/teams": f"{name}-team",
            "/api/people": person,
            **rules,
        }

    def enter(self, role: Role, email: str = "") -> Somebody:
        """Sign in as a browser does."""
        form = urlencode({"email": email or f"{role}@red.example", "password": PASSWORD, "to": "/"}).encode()
        self.line.request("POST", "/sign-in", form, {"content-type": "application/x-www-form-urlencoded"})
        answer = self.line.getresponse()
        answer.read()
        assert answer.status == 303
        cookie = answer.headers["set-cookie"].split(";")[0]
        me = self.ask("GET", "/api/me", {"cookie": cookie})
        if role == "owner":  # who has a role everywhere chooses where to look
            csrf = {"cookie": cookie, "x-tidegate-csrf": me.headers["x-tidegate-csrf"]}
            assert self.ask("PATCH", "/api/me", csrf, {"project": "red"}).status == 200
        return Somebody(role, {"cookie": cookie}, session_scopes(role), me.headers["x-tidegate-csrf"])

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: object = None) -> Reply:
        """Ask on the one connection."""
        return self.send(method, path, headers, msgspec.json.encode(body) if body is not None else None)

    def send(self, method: str, path: str, headers: Mapping[str, str], data: bytes | None) -> Reply:
        """Do so with any bytes."""
        self.line.request(method, path, data, {"content-type": "application/json", **headers})
        answer = self.line.getresponse()
        return Reply(answer.status, dict(answer.headers.items()), answer.read())

    def named(self, route: str, tenant: str) -> str:
        """Return the tenant's own thing that the route is about."""
        ids = self.ids[tenant]
        return next((ids[root] for root in ids if route.startswith(f"{root}/")), "x")

    def path(self, route: str, tenant: str) -> str:
        """Return the route with that in it."""
        return filled(route, quote(self.named(route, tenant), safe=""))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Provider(openai).in_thread() as provider:
        config = {
            "server": {"drain_s": 1},
            "providers": {"own": {"base_url": f"{provider.base_url}/v1", "models": ["m"]}},
        }
        with Tidegate(tmp_path_factory.mktemp("isolation"), config) as house:
            made = Town(house, provider)
            made.settle()
            yield made
            made.line.close()


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Route]:
    return every_route(tmp_path_factory.mktemp("routes"))


def may(who: Somebody, method: str, path: str) -> bool:
    needed = needs(method, path)
    return needed == "nothing" or needed == "a key" or opens(who.scopes, needed)


def seen_of_others(who: Somebody, path: str, body: str) -> set[str]:
    """Return the canaries of neighbours, and words that this role must not be told."""
    found = set(re.findall(r"(?:canary|said)-(?:blue|redtest)[\w@.-]*", body))
    # an owner administrates all projects, an admin all environments of one
    of_projects = ("/api/keys", "/api/teams", "/api/limits", "/api/budgets", "/api/audit")
    if who.role == "owner" and path.startswith((*of_projects, "/api/people")):
        found = set()
    if who.role == "admin" or path.startswith("/api/budgets"):
        found = {one for one in found if "blue" in one or not path.startswith(of_projects)}
    if not opens(who.scopes, "read"):
        found |= set(re.findall(r"said-red\b", body))
    return found


def test_each_role_gets_in_where_the_table_says_and_sees_nobody_else(town: Town, routes: list[Route]) -> None:
    wrong: list[str] = []
    asked = 0
    for who in town.people:
        for method, route in routes:
            if method == "HEAD" or (route.startswith(MEDDLING) and route != "/api/me/keys"):
                continue
            tenants = TENANTS if "{" in route and may(who, method, filled(route)) else ("red",)
            for tenant in tenants:
                if tenant == "red" and method in ("DELETE", "PATCH") and route.startswith("/api/users/"):
                    continue  # would be done
                asked += 1
                if found := objections(town, who, method, route, tenant):
                    wrong.append(f"{who.role} {method} {route} of {tenant}: {found}")
    assert "\n".join(wrong) == ""
    assert asked > 500


def objections(town: Town, who: Somebody, method: str, route: str, tenant: str) -> str:
    """Ask for a tenant's thing; return what is wrong with the answer."""
    path = town.path(route, tenant)
    body = SENT.get(route, {}) if method in ("POST", "PUT", "PATCH") else None
    reply = town.ask(method, path, {**who.headers, "x-tidegate-csrf": who.csrf}, body)
    refused = reply.status in (401, 403)
    if not may(who, method, path):
        return "" if refused else f"{reply.status} for who may not"
    if refused and b"scope_missing" in reply.body:
        return "403 for who may"
    if reply.status >= 500 and reply.status != 503:
        return str(reply.status)
    said = reply.body.decode("utf-8", "replace")
    if tenant != "red":  # what was asked for may stand in the complaint that it is not there
        said = said.replace(town.named(route, tenant), "")
    return " ".join(sorted(seen_of_others(who, path, said)))


def test_everybody_sees_of_their_own_what_they_may(town: Town) -> None:
    """The other tests would pass in a house that answers nobody."""
    told = {who.role: who for who in town.people}
    theirs = "/api/calls?event_id=canary-red-event"  # other tests make calls, which stand before these
    calls = {role: town.ask("GET", theirs, who.headers) for role, who in told.items()}
    costs = {role: town.ask("GET", "/api/costs?group_by=user", who.headers) for role, who in told.items()}

    assert {role for role, reply in calls.items() if reply.status == 200} == {
        "owner", "admin", "engineer", "viewer",
    }  # fmt: skip
    assert {role for role, reply in calls.items() if b"said-red" in reply.body} == {
        "owner", "admin", "engineer",
    }  # fmt: skip
    assert all(b"canary-red-user" in reply.body for role, reply in costs.items() if role != "service")
    assert costs["service"].status == 403
    one = f"/api/calls/{town.ids['red']['/api/calls']}"
    assert b"was quoted" in town.ask("GET", one, told["engineer"].headers).body
    assert b"said-red" not in town.ask("GET", one, told["viewer"].headers).body
    events = "/api/events?user_id=canary-red-user"
    assert b"canary-red-event" in town.ask("GET", events, told["viewer"].headers).body
    assert town.ask("GET", "/api/events?text=said-red", told["viewer"].headers).status == 403


@pytest.mark.parametrize("tenant", NEIGHBOURS)
def test_naming_a_neighbour_in_a_filter_shows_nothing_of_theirs(town: Town, tenant: str) -> None:
    project, environment = TENANTS[tenant]
    query = urlencode({"project": project, "environment": environment, "user_id": f"canary-{tenant}-user"})
    for who in town.people:
        for path in ("/api/calls", "/api/costs", "/api/events", "/api/users", "/api/latency", "/api/search"):
            for given in (query, urlencode({"q": f"said-{tenant}"}), urlencode({"project": project})):
                reply = town.ask("GET", f"{path}?{given}", who.headers)
                assert f"canary-{tenant}-e" not in reply.body.decode(), (who.role, path, given)
                assert f"said-{tenant} " not in reply.body.decode(), (who.role, path, given)


def test_a_call_of_a_model_needs_the_scope_call_whatever_its_api(town: Town) -> None:
    paths = [("POST", path) for path in surfaces._EXACT]
    paths += [("POST", f"/v1beta/models/m:{name.partition('?')[0]}") for name in surfaces.GEMINI]
    paths += [(method, f"/v1/responses/resp_1{below}") for method, below in KEPT]
    paths += [("POST", path) for path in ("/v1/images/generations", "/v1/files", "/v1beta/files")]
    for who in town.people:
        for method, path in paths:
            headers = {**who.headers, "x-tidegate-csrf": who.csrf}
            reply = town.ask(method, path, headers, {} if method == "POST" else None)
            if who.role == "service":
                assert reply.status not in (401, 403) or b"scope" not in reply.body, path
            else:
                assert reply.status == 401, (who.role, path)  # a cookie opens no model


def test_a_key_for_some_users_is_held_to_them(town: Town) -> None:
    _, secret = issue(town.house, "narrow", project="red", users=["canary-red-*"])
    theirs, others = "canary-red-user", "canary-blue-user"
    eventually(
        lambda: say(town.house, secret, x_tidegate_user_id=theirs).status == 200, what="the key to be known"
    )

    refused = say(town.house, secret, x_tidegate_user_id=others)
    assert (refused.status, refused.json()["error"]["code"]) == (403, "user_not_allowed")
    for path in ("/api/calls", f"/api/users/{theirs}/cost", "/", "/api/memories?user_id=canary-red-user"):
        assert town.ask("GET", path, {"authorization": f"Bearer {secret}"}).status == 403


def test_a_cookie_alone_changes_nothing(town: Town, routes: list[Route]) -> None:
    engineer = next(who for who in town.people if who.role == "engineer")
    for method, route in routes:
        if method in ("GET", "HEAD") or needs(method, filled(route)) == "nothing" or "_nicegui" in route:
            continue
        headers = {**engineer.headers, "content-type": "application/x-www-form-urlencoded"}
        reply = town.ask(method, town.path(route, "blue"), headers, {})
        assert reply.status == 403, (method, route)


def test_who_is_disabled_is_out_within_two_seconds_pages_that_are_open_too(town: Town) -> None:
    town._person("leaver@red.example", {"red": "engineer"})
    leaver = town.enter("engineer", "leaver@red.example")
    assert town.ask("GET", "/api/calls", leaver.headers).status == 200
    with socket.create_connection(("127.0.0.1", town.house.port), timeout=30) as page:
        page.sendall(_upgrade(leaver.headers["cookie"], town.house.port))
        assert page.recv(4096).startswith(b"HTTP/1.1 101")
        began = time.monotonic()
        assert administer(town.house, "PATCH", "/api/people/leaver@red.example", {"disabled": True})[0] == 200
        eventually(
            lambda: town.ask("GET", "/api/calls", leaver.headers).status == 401, what="the door to close"
        )
        while page.recv(4096):  # until it is hung up
            pass
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("role", [*SESSIONS, "service"])
def test_pages_are_kept_alive_for_who_may_see_one(town: Town, role: str) -> None:
    who = next(one for one in town.people if one.role == role)
    with socket.create_connection(("127.0.0.1", town.house.port), timeout=30) as page:
        extra = f"authorization: {who.headers['authorization']}\r\n" if role == "service" else ""
        page.sendall(_upgrade(who.headers.get("cookie", ""), town.house.port, extra))
        status = page.recv(4096).split(b" ", 2)[1]
    assert status == (b"403" if role == "service" else b"101")


def _upgrade(cookie: str, port: int, more: str = "") -> bytes:
    return (
        f"GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        f"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\ncookie: {cookie}\r\n{more}\r\n"
    ).encode()


def test_whatever_the_query_api_describes_is_answered_without_a_5xx_or_a_word_of_others(town: Town) -> None:
    engineer = next(who for who in town.people if who.role == "engineer")
    document = town.ask("GET", "/openapi.json", engineer.headers).json()
    ids = [one for tenant in NEIGHBOURS for one in town.ids[tenant].values()]
    asked = 0
    for request in requests(document, examples=3, ids=ids):
        if len(request.target) > 8000:
            continue
        headers = {**engineer.headers, "x-tidegate-csrf": engineer.csrf}
        reply = town.send(request.method, request.target, headers, request.body)
        away = reply.status == 503 and reply.json()["error"]["code"] == "erase_incomplete"  # memory is off
        assert reply.status < 500 or away, (request, reply.body)
        assert re.findall(r"said-(?:blue|redtest)", reply.body.decode("utf-8", "replace")) == [], request
        asked += 1
    assert asked > 100


def test_a_key_that_was_set_for_a_provider_is_used_at_once_and_told_nobody(town: Town) -> None:
    _, secret = issue(town.house, "buyer", project="red")
    eventually(lambda: say(town.house, secret).status == 200, what="the key to be known")
    canary = "sk-canary-credential-0123456789"
    assert administer(town.house, "PUT", "/api/credentials/own", {"secret": canary})[0] == 200
    eventually(lambda: say(town.house, secret, "own/m").status == 200, what="the credential to be known")

    sent = town.provider.requests[-1].headers
    assert sent["authorization"] == f"Bearer {canary}"
    assert administer(town.house, "DELETE", "/api/credentials/own")[0] == 200
    eventually(
        lambda: (
            say(town.house, secret, "own/m").status and "sk-" not in str(town.provider.requests[-1].headers)
        ),
        what="the credential to be forgotten",
    )
    assert holding(town.house.folder, canary.encode()) == []


def test_no_password_token_or_argon_is_in_any_file_or_log(town: Town) -> None:
    tokens = [who.headers["cookie"].partition("=")[2] for who in town.people if "cookie" in who.headers]
    found = contents(town.house.folder)

    assert len(found) > 5
    for secret in (PASSWORD, *tokens):
        assert [path.name for path, said in found.items() if secret.encode() in said] == []
    assert "$argon2" not in town.house.log()


def test_every_role_is_tried() -> None:
    assert {*SESSIONS, "service"} == set(get_args(Role))
