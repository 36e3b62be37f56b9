"""`/api/keys` and what belongs to it over HTTP, as raw ASGI, since the hub has no web framework in it.

Who asks stands in the header `x-tidegate-principal`, which only a worker can set and which it always sets; whoever
comes without it opened the hub's own socket, as only this installation's user can. `ROUTES` is also what the OpenAPI
document is made of.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from gateway.access import ADMIN_PATHS, need
from gateway.control.keys import Admin, Keys
from gateway.control.migrate import MigrationError
from gateway.control.openapi import Operation, Parameter, document
from gateway.control.records import Narrowing
from gateway.control.store import ControlAway
from gateway.control.words import (
    CHOICES,
    AuditPage,
    IssuedKey,
    KeyAnswer,
    KeyPage,
    KeyPatch,
    NewKey,
    ProblemAnswer,
    ProjectList,
    Rotation,
)
from gateway.errors import BadRequest, GatewayError, MethodNotAllowed, TooLarge, Unauthenticated, Unavailable
from gateway.principal import Principal

MAX_BODY = 64 * 1024
LIMIT = 100
MOST = 1000
HOUSE = "local"
"""In the audit log: who came over the hub's own socket."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
T = TypeVar("T")


class UnknownUrl(GatewayError):
    """Nothing lives at this path."""

    status = 404
    code = "unknown_url"
    type = "invalid_request_error"


class Asked(NamedTuple):
    """One request, read."""

    keys: Keys
    admin: Admin
    key_id: str
    query: Mapping[str, str]
    body: bytes


Handler = Callable[[Asked], Awaitable[object]]


async def _create(asked: Asked) -> object:
    return await asked.keys.create(_body(asked, NewKey), asked.admin)


async def _list(asked: Asked) -> object:
    which = {name: asked.query.get(name, "") for name in ("project", "environment", "owner", "before")}
    return await asked.keys.page(Narrowing(**which, limit=_number(asked, "limit", LIMIT, MOST)), asked.admin)


async def _get(asked: Asked) -> object:
    return await asked.keys.get(asked.key_id, asked.admin)


async def _change(asked: Asked) -> object:
    return await asked.keys.change(asked.key_id, _body(asked, KeyPatch), asked.admin)


async def _rotate(asked: Asked) -> object:
    return await asked.keys.rotate(asked.key_id, _body(asked, Rotation), asked.admin)


async def _revoke(asked: Asked) -> object:
    return await asked.keys.revoke(asked.key_id, asked.admin)


async def _projects(asked: Asked) -> object:
    return await asked.keys.projects(asked.admin)


async def _audit(asked: Asked) -> object:
    before = _number(asked, "before", 0, 1 << 62)
    return await asked.keys.audit(asked.admin, before=before, limit=_number(asked, "limit", LIMIT, MOST))


async def _describe(_: Asked) -> object:
    return DOCUMENT


_LIMIT_PARAMETER = Parameter("limit", "How many at most.", most=MOST)
ROUTES: Mapping[Operation, Handler] = {
    Operation(
        "POST", "/api/keys", "Make a key; its secret is told this once.", NewKey, IssuedKey, 201
    ): _create,
    Operation(
        "GET",
        "/api/keys",
        "List keys, newest first.",
        None,
        KeyPage,
        parameters=(
            Parameter("project", "Only of this project."),
            Parameter("environment", "Only of this environment."),
            Parameter("owner", "Only of this owner."),
            Parameter("before", "Only older ones than this id: `next_before` of the page before."),
            _LIMIT_PARAMETER,
        ),
    ): _list,
    Operation("GET", "/api/keys/{id}", "Show a key.", None, KeyAnswer): _get,
    Operation("PATCH", "/api/keys/{id}", "Change what a key may do.", KeyPatch, KeyAnswer): _change,
    Operation(
        "POST",
        "/api/keys/{id}/rotate",
        "Give a key another secret; the former one counts for a while.",
        Rotation,
        IssuedKey,
    ): _rotate,
    Operation("POST", "/api/keys/{id}/revoke", "End a key, for good.", None, KeyAnswer): _revoke,
    Operation(
        "GET", "/api/projects", "List the projects that were given a key.", None, ProjectList
    ): _projects,
    Operation(
        "GET",
        "/api/audit",
        "Show who changed what, newest first.",
        None,
        AuditPage,
        parameters=(
            Parameter("before", "Only older ones than this revision: `next_before`.", most=1 << 62),
            _LIMIT_PARAMETER,
        ),
    ): _audit,
    Operation("GET", "/api/admin/openapi.json", "This description.", None, None): _describe,
}
DOCUMENT = document("Tidegate: administration", list(ROUTES), ProblemAnswer)

_PATTERNS = [
    (re.compile(re.escape(operation.path).replace(r"\{id\}", "([^/]+)")), operation, handler)
    for operation, handler in ROUTES.items()
]


def owns(path: str) -> bool:
    """Whether this API answers there."""
    return any(path == root or path.startswith(f"{root}/") for root in ADMIN_PATHS)


class ControlApi:
    """An ASGI application for the paths it owns."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        extra: list[tuple[bytes, bytes]] = []
        try:
            operation, handler, key_id = _route(scope)
            admin = _admin(dict(scope["headers"]))
            asked = Asked(self._keys, admin, key_id, _query(scope["query_string"]), await _read(receive))
            status, answer = operation.status, await handler(asked)
        except (ControlAway, MigrationError) as error:
            status, answer = 503, _problem(Unavailable(str(error), code="control_away"))
            extra.append((b"retry-after", b"1"))
        except GatewayError as error:
            status, answer = error.status, _problem(error)
        body = msgspec.json.encode(answer)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            *extra,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _admin(headers: Mapping[bytes, bytes]) -> Admin:
    said = headers.get(b"x-tidegate-principal")
    if said is None:
        return Admin(HOUSE)
    try:
        principal = msgspec.json.decode(said, type=Principal)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unauthenticated("ask through the gateway's public port, with a key") from error
    need(principal, "admin")
    everywhere = principal.open or "owner" in principal.scopes
    return Admin(principal.key_id, "" if everywhere else principal.project)


def _route(scope: Mapping[str, Any]) -> tuple[Operation, Handler, str]:
    """Return who answers, and the id in the path."""
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    others = []
    for pattern, operation, handler in _PATTERNS:
        if found := pattern.fullmatch(raw):
            if operation.method == scope["method"]:
                return operation, handler, unquote(found[1]) if found.groups() else ""
            others.append(operation.method)
    if others:
        raise MethodNotAllowed(f"{raw} takes {' and '.join(others)}, not {scope['method']}")
    raise UnknownUrl(f"nothing lives at {raw}")


def _query(raw: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(raw.decode(), errors="strict"))
    except UnicodeDecodeError as error:
        raise BadRequest("the query is not UTF-8") from error


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client left", code="client_left")
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > MAX_BODY:
            raise TooLarge(f"a body has at most {MAX_BODY} bytes")
        more = message.get("more_body", False)
    return b"".join(parts)


def _body(asked: Asked, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(asked.body.strip() or b"{}", type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        field = re.search(r"`\$\.(\w+)|field `(\w+)`", str(error))
        param = (field[1] or field[2]) if field else ""
        choices = f". There are: {', '.join(CHOICES[param])}" if param in CHOICES else ""
        raise BadRequest(f"the body is not as this route takes it: {error}{choices}", param=param) from error


def _number(asked: Asked, name: str, otherwise: int, most: int) -> int:
    text = asked.query.get(name, "")
    if not text:
        return otherwise
    if not text.isascii() or not text.isdecimal() or len(text) > 19 or not 1 <= int(text) <= most:
        raise BadRequest(f"{name} must be a number from 1 to {most}", param=name)
    return int(text)


def _problem(error: GatewayError) -> ProblemAnswer:
    return ProblemAnswer.of(str(error), error.type, error.param, error.code)
