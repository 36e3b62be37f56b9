"""The admin API over a real file, asked as the hub's HTTP server asks it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from gateway.config import new_key
from gateway.control.api import DESCRIPTION, ControlApi, owns
from gateway.control.key_routes import ROUTES
from gateway.control.keys import Keys
from gateway.control.openapi import document
from gateway.control.records import Narrowing
from gateway.control.records_thread import RecordsThread
from gateway.control.words import ProblemAnswer
from gateway.principal import SCOPES, Principal, Scope
from tests.fakes.keys import SECOND, HandClock

jsonschema = pytest.importorskip("jsonschema")

DAY_S = 86400


class Rig:
    """The API, and what it was told to tell."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.clock = HandClock()
        self.path = folder / "control.sqlite"
        self.records = RecordsThread(self.path, url, self.clock)
        self.told = 0
        surfaces = {"openai.chat", "anthropic.messages"}
        keys = Keys(self.records, self._tell, self.clock, surfaces=surfaces, new_secret=new_key)
        self.api = ControlApi(keys)

    async def _tell(self) -> None:
        self.told += 1

    async def ask(
        self, method: str, target: str, body: object = None, *, by: Principal | None = None
    ) -> tuple[int, Any]:
        """Ask as `by`, else as the house itself; return status and answer."""
        self.clock.us += SECOND
        url = urlsplit(target)
        packed = body if isinstance(body, bytes) else msgspec.json.encode(body) if body is not None else b""
        headers = [(b"x-tidegate-principal", msgspec.json.encode(by))] if by else []
        scope = {
            "method": method,
            "path": url.path,
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "headers": headers,
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": packed, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.api(scope, receive, send)
        assert (b"cache-control", b"no-store") in sent[0]["headers"]
        return sent[0]["status"], msgspec.json.decode(sent[1]["body"])

    async def make(self, **more: Any) -> dict[str, Any]:
        status, made = await self.ask("POST", "/api/keys", {"name": "ci", **more})
        assert status == 201, made
        return dict(made)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    await made.records.close()


def admin(project: str, *scopes: Scope) -> Principal:
    return Principal(key_id=f"admin-of-{project}", project=project, scopes=scopes or ("admin",))


async def test_asking_makes_no_database(rig: Rig) -> None:
    assert await rig.ask("GET", "/api/keys") == (200, {"keys": [], "next_before": None})
    assert (await rig.ask("GET", "/api/audit"))[1]["lines"] == []
    assert (await rig.ask("GET", "/api/projects"))[1] == {"projects": []}
    assert (await rig.ask("POST", "/api/keys/key_1/revoke"))[0] == 404
    assert not rig.path.exists()
    assert rig.told == 0


async def test_a_secret_is_told_once_and_kept_nowhere(rig: Rig) -> None:
    made = await rig.make(project="red", owner="team-a")
    secret, key_id = made.pop("key"), made["id"]
    rotated = (await rig.ask("POST", f"/api/keys/{key_id}/rotate"))[1]

    assert secret.startswith(made["prefix"])
    assert len(secret) - len(made["prefix"]) > 30
    assert await rig.ask("GET", f"/api/keys/{key_id}") != (200, made)
    seen = [await rig.ask("GET", path) for path in (f"/api/keys/{key_id}", "/api/keys", "/api/audit")]
    kept = b"".join(path.read_bytes() for path in rig.path.parent.iterdir())
    for hidden in (secret, rotated["key"]):
        assert hidden not in str(seen)
        assert hidden.encode() not in kept
    assert rig.told == 2


async def test_a_key_is_changed_rotated_and_revoked(rig: Rig) -> None:
    made = await rig.make(models=["gpt-*"])
    path = f"/api/keys/{made['id']}"

    status, changed = await rig.ask(
        "PATCH", path, {"store": "none", "models": [], "expires_at": "2100-01-01T00:00:00Z"}
    )
    assert (status, changed["store"], changed["models"], changed["name"]) == (200, "none", [], "ci")
    assert changed["expires_at"] == "2100-01-01T00:00:00Z"
    _, rotated = await rig.ask("POST", f"{path}/rotate", {"overlap_s": DAY_S})
    assert rotated["key"] != made["key"]
    assert [former["prefix"] for former in rotated["former"]] == [made["prefix"]]
    _, unlimited = await rig.ask("PATCH", path, {"expires_at": None})
    assert unlimited["expires_at"] is None
    status, revoked = await rig.ask("POST", f"{path}/revoke")
    assert (status, revoked["state"]) == (200, "revoked")
    for method, below, body in (("PATCH", "", {"name": "x"}), ("POST", "/rotate", {})):
        status, refused = await rig.ask(method, path + below, body)
        assert (status, refused["error"]["code"]) == (409, "key_ended")

    lines = (await rig.ask("GET", "/api/audit"))[1]["lines"]
    assert [line["action"] for line in lines[:5]] == [
        *("key.revoke", "key.change", "key.rotate", "key.change", "key.create"),
    ]
    assert {line["actor"] for line in lines} == {"local"}
    assert lines[3]["details"]["store"] == ["full", "none"]
    assert lines[3]["details"]["expires_at"] == [None, "2100-01-01T00:00:00Z"]


async def test_a_key_may_be_given_by_the_hash_of_a_secret_that_was_made_elsewhere(rig: Rig) -> None:
    one, other = (hashlib.sha256(secret).hexdigest() for secret in (b"one", b"other"))
    made = await rig.make(hash=one.upper())
    assert (made["key"], made["prefix"]) == ("", "")
    for body in ({"name": "x", "hash": one}, {"name": "x", "hash": "tg-itself"}, {"name": "x", "hash": "\n"}):
        status, refused = await rig.ask("POST", "/api/keys", body)
        assert (status, refused["error"]["param"]) == (409 if body["hash"] == one else 400, "hash")
        assert "tg-itself" not in str(refused)
    path = f"/api/keys/{made['id']}/rotate"
    assert (await rig.ask("POST", path, {"hash": other}))[1]["key"] == ""
    assert (await rig.ask("POST", path, {"hash": one}))[1]["error"]["code"] == "key_exists"
    (key,) = await rig.records.do(lambda store: store.keys(Narrowing()))
    assert [secret.digest for secret in key.secrets] == [one, other]


async def test_an_expired_key_says_so_and_is_not_rotated(rig: Rig) -> None:
    made = await rig.make(expires_at="2023-11-15T00:00:00Z")
    rig.clock.us += 30 * DAY_S * SECOND

    assert (await rig.ask("GET", f"/api/keys/{made['id']}"))[1]["state"] == "expired"
    assert (await rig.ask("POST", f"/api/keys/{made['id']}/rotate"))[0] == 409


async def test_pages_follow_each_other(rig: Rig) -> None:
    ids = [(await rig.make())["id"] for _ in range(5)]
    seen, before = [], ""
    while True:
        _, page = await rig.ask("GET", f"/api/keys?limit=2&before={before}")
        seen += [key["id"] for key in page["keys"]]
        if not (before := page["next_before"] or ""):
            break
    assert seen == ids[::-1]
    _, audit = await rig.ask("GET", "/api/audit?limit=3")
    _, older = await rig.ask("GET", f"/api/audit?limit=100&before={audit['next_before']}")
    revisions = [line["revision"] for line in audit["lines"] + older["lines"]]
    assert revisions == list(range(7, 0, -1))


BAD: list[tuple[object, str, str]] = [
    ({}, "name", "name"),
    ({"name": ""}, "name", ">= 1"),
    ({"name": "x" * 256}, "name", "<= 255"),
    ({"name": " x"}, "name", "spaces around"),
    ({"name": "a\nb"}, "name", "control characters"),
    ({"name": "x", "model": ["gpt-5"]}, "model", "unknown field `model`"),
    ({"name": "x", "scopes": []}, "scopes", ">= 1"),
    ({"name": "x", "scopes": ["all"]}, "scopes", "There are: call, read, write, memory, admin, owner"),
    ({"name": "x", "memory": "no"}, "memory", "There are: on, read, write, off"),
    ({"name": "x", "models": [""]}, "models", ">= 1"),
    ({"name": "x", "models": ["a"] * 65}, "models", "<= 64"),
    ({"name": "x", "surfaces": ["openai.chta"]}, "surfaces", "fits none of anthropic.messages, openai.chat"),
    ({"name": "x", "users": ["ada"], "scopes": ["call", "read"]}, "users", "scopes read"),
    ({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}, "expires_at", "past"),
    ({"name": "x", "expires_at": "0001-01-01T00:00:00Z"}, "expires_at", "past"),
    ({"name": "x", "expires_at": "2100-01-01T00:00:00"}, "expires_at", "timezone"),
    ({"name": "x", "expires_at": "tomorrow"}, "expires_at", "RFC3339"),
    ({"name": "x", "project": "*"}, "project", "not a name"),
    (b"{", "", "truncated"),
    (b'{"name": "\xff"}', "", "not as this route takes it"),
    (b"[]", "", "object"),
]


@pytest.mark.parametrize(("body", "param", "words"), BAD, ids=lambda value: str(value)[:40])
async def test_a_bad_body_is_told_what_is_wrong_with_it(
    rig: Rig, body: object, param: str, words: str
) -> None:
    status, answer = await rig.ask("POST", "/api/keys", body)

    assert status == 400
    assert words in answer["error"]["message"]
    assert (answer["error"]["param"] or "") == param
    assert answer["error"]["type"] == "invalid_request_error"
    assert rig.told == 0


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/api/keys/nope", 404, "key_not_found"),
        ("GET", "/api/keys/a%2Fb", 404, "key_not_found"),
        ("DELETE", "/api/keys/nope", 405, "method_not_allowed"),
        ("GET", "/api/keys/a/b/c", 404, "unknown_url"),
        ("GET", "/api/keys?limit=0", 400, "invalid_request"),
        ("GET", "/api/keys?limit=x", 400, "invalid_request"),
        ("GET", "/api/keys?limit=1001", 400, "invalid_request"),
        ("GET", "/api/keys?owner=%FF", 400, "invalid_request"),
        ("GET", "/api/audit?before=99999999999999999999", 400, "invalid_request"),
        ("POST", "/api/keys/nope/rotate", 404, "key_not_found"),
    ],
)
async def test_a_bad_question_is_refused(rig: Rig, method: str, target: str, status: int, code: str) -> None:
    await rig.make()
    found, answer = await rig.ask(method, target)

    assert (found, answer["error"]["code"]) == (status, code)


async def test_what_a_key_may_do_has_a_size(rig: Rig) -> None:
    made = await rig.make(models=["m" * 250] * 40)
    status, answer = await rig.ask("PATCH", f"/api/keys/{made['id']}", {"surfaces": ["*" * 250] * 40})

    assert (status, "at most 16384 bytes" in answer["error"]["message"]) == (400, True)


async def test_a_body_without_end_is_not_read(rig: Rig) -> None:
    status, answer = await rig.ask("POST", "/api/keys", b"x" * 65537)

    assert (status, answer["error"]["code"]) == (413, "request_too_large")


# --- who may do what ------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [scope for scope in SCOPES if scope not in ("admin", "owner")])
async def test_every_route_wants_the_scope_admin(rig: Rig, scope: Scope) -> None:
    made = await rig.make()
    for operation in ROUTES:
        target = operation.path.replace("{id}", made["id"])
        status, answer = await rig.ask(operation.method, target, by=admin("default", scope))
        assert (status, answer["error"]["code"]) == (403, "scope_missing"), operation
    assert len((await rig.ask("GET", "/api/audit"))[1]["lines"]) == 3


async def test_an_admin_reaches_the_keys_of_its_own_project_only(rig: Rig) -> None:
    red, blue = await rig.make(project="red"), await rig.make(project="blue")
    by = admin("red")

    assert [key["id"] for key in (await rig.ask("GET", "/api/keys", by=by))[1]["keys"]] == [red["id"]]
    assert (await rig.ask("GET", "/api/keys?project=blue", by=by))[1]["keys"] == []
    assert [one["id"] for one in (await rig.ask("GET", "/api/projects", by=by))[1]["projects"]] == ["red"]
    lines = (await rig.ask("GET", "/api/audit", by=by))[1]["lines"]
    assert {line["project"] for line in lines} == {"red"}
    for method, below, body in (
        ("GET", "", None),
        ("PATCH", "", {}),
        ("POST", "/rotate", {}),
        ("POST", "/revoke", None),
    ):
        target = f"/api/keys/{blue['id']}{below}"
        missing = f"/api/keys/{blue['id'][:-1]}x{below}"
        status, answer = await rig.ask(method, target, body, by=by)
        other, unknown = await rig.ask(method, missing, body, by=by)
        assert (
            (status, answer["error"]["code"]) == (other, unknown["error"]["code"]) == (404, "key_not_found")
        )
    status, _ = await rig.ask("POST", "/api/keys", {"name": "x", "project": "blue"}, by=by)
    assert status == 403
    assert (await rig.ask("POST", "/api/keys", {"name": "x", "project": "red"}, by=by))[0] == 201
    assert (await rig.ask("GET", f"/api/keys/{blue['id']}"))[1]["state"] == "active"


async def test_an_admin_cannot_become_owner(rig: Rig) -> None:
    owner = await rig.make(project="red", scopes=["owner"])
    plain = await rig.make(project="red")
    by = admin("red")
    tries: list[tuple[str, str, object]] = [
        ("POST", "/api/keys", {"name": "x", "project": "red", "scopes": ["owner"]}),
        ("PATCH", f"/api/keys/{plain['id']}", {"scopes": ["call", "owner"]}),
        ("PATCH", f"/api/keys/{owner['id']}", {"name": "mine"}),
        ("POST", f"/api/keys/{owner['id']}/rotate", {}),
        ("POST", f"/api/keys/{owner['id']}/revoke", None),
    ]
    for method, target, body in tries:
        assert (await rig.ask(method, target, body, by=by))[0] == 403, target
    assert (await rig.ask("POST", f"/api/keys/{owner['id']}/rotate", {}, by=admin("blue", "owner")))[0] == 200


async def test_an_owner_and_open_mode_reach_all_projects(rig: Rig) -> None:
    for by in (admin("red", "owner"), Principal(key_id="fp-1", open=True, scopes=SCOPES)):
        status, made = await rig.ask("POST", "/api/keys", {"name": "x", "project": "blue"}, by=by)
        assert (status, made["project"]) == (201, "blue")
    lines = (await rig.ask("GET", "/api/audit"))[1]["lines"]
    assert {line["actor"] for line in lines} == {"admin-of-red", "fp-1"}


async def test_a_principal_that_cannot_be_read_is_nobody(rig: Rig) -> None:
    scope = {
        "method": "GET",
        "path": "/api/keys",
        "query_string": b"",
        "headers": [(b"x-tidegate-principal", b"")],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await rig.api(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_records_that_are_away_are_a_503_that_names_no_password(tmp_path: Path) -> None:
    rig = Rig(tmp_path, url="postgresql://me:hunter2@127.0.0.1:1/db")
    for method, target, body in (("GET", "/api/keys", None), ("POST", "/api/keys", {"name": "x"})):
        status, answer = await rig.ask(method, target, body)
        assert (status, answer["error"]["code"]) == (503, "control_away")
        assert "hunter2" not in str(answer)
    await rig.records.close()


# --- the description ------------------------------------------------------------------------------


def test_the_description_has_every_route_and_no_other() -> None:
    operations = [*ROUTES, DESCRIPTION]
    told = document("x", operations, ProblemAnswer)["paths"]
    described = {(method.upper(), path) for path, one in told.items() for method in one}

    assert described == {(operation.method, operation.path) for operation in operations}
    assert all(owns(path) for _, path in described)


async def test_answers_are_as_described(rig: Rig) -> None:
    described = (await rig.ask("GET", "/api/admin/openapi.json"))[1]
    made = await rig.make(models=["gpt-*"], expires_at="2100-01-01T00:00:00Z")
    seen = set()
    for operation in ROUTES:
        target = operation.path.replace("{id}", made["id"])
        body = {"name": "x"} if operation.path == "/api/keys" and operation.method == "POST" else {}
        for by in (None, admin("red", "call")):
            status, answer = await rig.ask(operation.method, target, body if operation.takes else None, by=by)
            responses = described["paths"][operation.path][operation.method.lower()]["responses"]
            kind = responses[str(status) if str(status) in responses else "default"]
            schema = kind["content"]["application/json"]["schema"]
            jsonschema.validate(answer, {**schema, "components": described["components"]})
            seen.add((operation, status))
    assert {status for _, status in seen} == {200, 201, 403}
    assert len(seen) == 2 * len(ROUTES)
