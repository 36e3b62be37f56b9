"""The administration over HTTP, as raw ASGI, since the hub has no web framework in it.

Who asks stands in the header `x-tidegate-principal`, which only a worker can set and which it always sets; whoever
comes without it opened the hub's own socket, as only this installation's user can. The routes of a part, like
`key_routes.ROUTES`, are also what the OpenAPI document is made of.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from gateway.access import ADMIN_PATHS, check_path
from gateway.control.asking import Asked, Handler, Part, UnknownUrl
from gateway.control.key_routes import ROUTES
from gateway.control.keys import Admin, Keys
from gateway.control.migrate import MigrationError
from gateway.control.openapi import Operation, document
from gateway.control.store import ControlAway
from gateway.control.words import ProblemAnswer
from gateway.errors import BadRequest, GatewayError, MethodNotAllowed, TooLarge, Unauthenticated, Unavailable
from gateway.principal import PERSON_ID, Principal

HOUSE = "local"
"""In the audit log: who came over the hub's own socket."""
DESCRIPTION = Operation("GET", "/api/admin/openapi.json", "This description.", None, None)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def owns(path: str) -> bool:
    """Whether this API answers there."""
    return any(path == root or path.startswith(f"{root}/") for root in ADMIN_PATHS)


class ControlApi:
    """An ASGI application for the paths it owns."""

    def __init__(self, keys: Keys, *others: Part) -> None:
        self._parts = (Part(ROUTES, keys), *others, Part({DESCRIPTION: _describe}, self))
        self._patterns = [
            (
                re.compile(re.escape(operation.path).replace(r"\{id\}", "([^/]+)")),
                operation,
                handler,
                part.service,
            )
            for part in self._parts
            for operation, handler in part.routes.items()
        ]
        self.operations = [operation for _, operation, _, _ in self._patterns]
        self.document = document("Tidegate: administration", self.operations, ProblemAnswer)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        extra: list[tuple[bytes, bytes]] = []
        try:
            principal = _principal(scope)
            operation, handler, service, named = self._route(scope)
            said = await _read(receive, operation.most_bytes)
            asked = Asked(_admin(principal), principal, named, _query(scope["query_string"]), said)
            status, answer = operation.status, await handler(service, asked)
        except (ControlAway, MigrationError) as error:
            status, answer = 503, _problem(Unavailable(str(error), code="control_away"))
            extra.append((b"retry-after", b"1"))
        except GatewayError as error:
            status, answer = error.status, _problem(error)
            if error.retry_after_s is not None:
                extra.append((b"retry-after", b"%d" % max(1, error.retry_after_s)))
        body = msgspec.json.encode(answer)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            *extra,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _route(self, scope: Mapping[str, Any]) -> tuple[Operation, Handler, object, str]:
        """Return who answers, and the id in the path."""
        raw = _raw_path(scope)
        others = []
        for pattern, operation, handler, service in self._patterns:
            if found := pattern.fullmatch(raw):
                if operation.method == scope["method"]:
                    named = _no_nul(unquote(found[1]), "id") if found.groups() else ""
                    return operation, handler, service, named
                others.append(operation.method)
        if others:
            raise MethodNotAllowed(f"{raw} takes {' and '.join(others)}, not {scope['method']}")
        raise UnknownUrl(f"nothing lives at {raw}")


async def _describe(api: ControlApi, _: Asked) -> object:
    return api.document


def _raw_path(scope: Mapping[str, Any]) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")


def _principal(scope: Mapping[str, Any]) -> Principal | None:
    """Return who asks, None for the house itself; raise Unauthenticated, Forbidden."""
    said = dict(scope["headers"]).get(b"x-tidegate-principal")
    if said is None:
        return None
    try:
        principal = msgspec.json.decode(said, type=Principal)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unauthenticated("ask through the gateway's public port, with a key") from error
    check_path(principal, scope["method"], scope["path"])
    return principal


def _admin(principal: Principal | None) -> Admin:
    if principal is None:
        return Admin(HOUSE)
    everywhere = principal.open or "owner" in principal.scopes
    name = principal.owner if principal.key_id.startswith(PERSON_ID) else principal.key_id
    return Admin(name, "" if everywhere else principal.project)


def _query(raw: bytes) -> dict[str, str]:
    try:
        said = dict(parse_qsl(raw.decode(), errors="strict"))
    except (UnicodeDecodeError, ValueError) as error:
        raise BadRequest("the query is not UTF-8") from error
    for name, value in said.items():
        _no_nul(value, name)
    return said


def _no_nul(text: str, param: str) -> str:
    """Return it; raise BadRequest for what no database takes."""
    if "\0" in text:
        raise BadRequest(f"{param[:64]!r} holds the character 0", code="invalid_value", param=param[:64])
    return text


async def _read(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client left", code="client_left")
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > most:
            raise TooLarge(f"a body has at most {most} bytes")
        more = message.get("more_body", False)
    return b"".join(parts)


def _problem(error: GatewayError) -> ProblemAnswer:
    return ProblemAnswer.of(str(error), error.type, error.param, error.code)
