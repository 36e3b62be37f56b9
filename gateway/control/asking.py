"""What the routes of the admin API share: a request that was read, and what may stand in it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from gateway.control.keys import Admin
from gateway.control.openapi import Operation, Parameter
from gateway.control.turning import Turning
from gateway.errors import BadRequest, GatewayError
from gateway.principal import Principal

LIMIT = 100
MOST = 1000
LIMIT_PARAMETER = Parameter("limit", "How many at most.", most=MOST)

PAGED = (
    Parameter("before", "Only those after this id: `next_before` of the page before."),
    LIMIT_PARAMETER,
)

T = TypeVar("T")


class UnknownUrl(GatewayError):
    """Nothing lives at this path."""

    status = 404
    code = "unknown_url"
    type = "invalid_request_error"


class Asked(NamedTuple):
    """One request, read."""

    admin: Admin
    principal: Principal | None
    """None: it came over the hub's own socket."""
    id: str
    """What the path names."""
    query: Mapping[str, str]
    body: bytes


Handler = Callable[[Any, Asked], Awaitable[object]]
"""Takes the service that the routes belong to."""

Routes = Mapping[Operation, Handler]


class Part(NamedTuple):
    """Some routes, and who answers them."""

    routes: Routes
    service: object


def body(asked: Asked, shape: type[T]) -> T:
    """Return the body as this route takes it; raise BadRequest."""
    try:
        return msgspec.json.decode(asked.body.strip() or b"{}", type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        field = re.search(r"`\$\.(\w+)|field `(\w+)`", str(error))
        param = (field[1] or field[2]) if field else ""
        words = ", ".join(_words(get_type_hints(shape).get(param)))
        choices = f". There are: {words}" if words else ""
        raise BadRequest(f"the body is not as this route takes it: {error}{choices}", param=param) from error


def _words(kind: object) -> Iterator[str]:
    """Return what may stand in a field that takes certain words only."""
    if get_origin(kind) is Literal:
        yield from (word for word in get_args(kind) if word)
        return
    for inner in get_args(kind):
        yield from _words(inner)


def turning(asked: Asked) -> Turning:
    """Return which page is asked for; raise BadRequest."""
    return Turning(asked.query.get("before", ""), number(asked, "limit", LIMIT, MOST))


def number(asked: Asked, name: str, otherwise: int, most: int) -> int:
    """Return a number of the query; raise BadRequest."""
    text = asked.query.get(name, "")
    if not text:
        return otherwise
    if not text.isascii() or not text.isdecimal() or len(text) > 19 or not 1 <= int(text) <= most:
        raise BadRequest(f"{name} must be a number from 1 to {most}", param=name)
    return int(text)
