"""`/api/memories`: the memory service over HTTP, as raw ASGI, since the hub has no web framework in it.

    POST   /api/memories                 {"messages" | "text", "metadata"?, "infer"?, "timestamp"?, "expires_at"?} -> {"results"}
    GET    /api/memories                 ?limit=&offset=&as_of=&superseded= -> {"results": [...]}
    POST   /api/memories/list            the same, with {"filters", "top_k"?, "offset"?, "as_of"?, "superseded"?}
    GET    /api/memories/graph           ?limit=&as_of=&superseded= -> {"nodes": [...], "edges": [...]}
    DELETE /api/memories                 -> {"message", "deleted"}
    POST   /api/memories/search          {"query", "top_k"?, "threshold"?} -> {"results", "relations"}
    GET    /api/memories/jobs            ?limit= -> {"results": [...]}: what is still to be read of what was said
    GET    /api/memories/jobs/{id}       -> a job
    GET    /api/memories/upkeep          -> {"running", "last", "counts"}: of all projects, for keys that see them all
    POST   /api/memories/reindex         -> {"message"}: the index is built anew in the background; for the same keys
    GET    /api/memories/{id}            -> a memory       (or /api/memories/?id=, for all three)
    PUT    /api/memories/{id}            {"text"?, "metadata"?} -> the memory
    DELETE /api/memories/{id}            -> {"message"}
    GET    /api/memories/{id}/history    -> [...]
    GET    /api/memories/{id}/uses       ?limit= -> {"results": [{"call_id", "used_at"}]}: the calls it went into
    GET    /api/memories/explain         ?call_id= -> what went into a call, where it comes from, and what did not

Project and environment come from the header `x-tidegate-principal`, which only a worker can set; `user_id`,
`agent_id` and `run_id` from the query or the body, at least one of them always.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypedDict
from urllib.parse import parse_qsl, unquote

import msgspec

from memory.errors import BadMemory, IndexAway, LedgerAway, MemoryFault, NotAllowed
from memory.service import DEFAULT_EDGES, DEFAULT_THRESHOLD, DEFAULT_TOP_K, AsyncMemory

PREFIX = "/api/memories"
MAX_BODY = 1 << 20

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class _Principal(msgspec.Struct):
    """Who asks, as the worker says."""

    project: str
    environment: str
    users: tuple[str, ...] = ()
    key_id: str = ""
    open: bool = False
    scopes: tuple[str, ...] = ()

    @property
    def everywhere(self) -> bool:
        """Whether it may look at what all projects share."""
        return self.open or "owner" in self.scopes


class _Body(msgspec.Struct):
    """What any of the routes may be sent."""

    messages: str | dict[str, Any] | list[dict[str, Any]] | None = None
    text: str | None = None
    query: str = ""
    metadata: dict[str, Any] | None = None
    infer: bool = False
    timestamp: float | str | None = None
    expires_at: float | str | None = None
    filters: dict[str, Any] | None = None
    offset: int = 0
    as_of: float | str | None = None
    superseded: bool = False
    top_k: int = DEFAULT_TOP_K
    threshold: float = DEFAULT_THRESHOLD
    user_id: str = ""
    agent_id: str = ""
    run_id: str = ""


class _Refused(Exception):
    def __init__(self, status: int, message: str, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class _Ids(TypedDict):
    user_id: str
    agent_id: str
    run_id: str


class _Asked(msgspec.Struct):
    """One request, read."""

    memory: AsyncMemory
    actor: str
    ids: _Ids
    body: _Body
    query: dict[str, str]
    memory_id: str
    everywhere: bool


class MemoryApi:
    """An ASGI application for the paths under `/api/memories`."""

    def __init__(self, memory: AsyncMemory) -> None:
        self._memory = memory

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            handler, memory_id, query = _route(scope)
            answer = await handler(await self._read(scope, receive, memory_id, query))
            status = 200
        except _Refused as refused:
            status, answer = refused.status, _error(str(refused), refused.code)
        except MemoryFault as fault:
            status = 403 if isinstance(fault, NotAllowed) else 400
            if isinstance(fault, IndexAway | LedgerAway):
                status = 503
            answer = _error(str(fault), fault.code, fault.param)
        await _send(send, status, answer)

    async def _read(
        self, scope: Mapping[str, Any], receive: Receive, memory_id: str, query: dict[str, str]
    ) -> _Asked:
        headers = dict(scope["headers"])
        try:
            principal = msgspec.json.decode(headers.get(b"x-tidegate-principal", b""), type=_Principal)
        except msgspec.MsgspecError as error:
            raise _Refused(401, "nobody said who is asking", "no_principal") from error
        body = await _body(receive)
        ids = _Ids(
            user_id=_named("user_id", query, body.user_id),
            agent_id=_named("agent_id", query, body.agent_id),
            run_id=_named("run_id", query, body.run_id),
        )
        memory = self._memory.within(principal.project, principal.environment, users=principal.users)
        return _Asked(memory, principal.key_id, ids, body, query, memory_id, principal.everywhere)


async def _add(asked: _Asked) -> object:
    given = asked.body.messages if asked.body.messages is not None else asked.body.text
    if not given:
        raise BadMemory("give `messages` or `text`", param="messages")
    body = asked.body
    return await asked.memory.add(
        given,
        **asked.ids,
        metadata=body.metadata,
        infer=body.infer,
        timestamp=body.timestamp,
        expires_at=body.expires_at,
        actor=asked.actor,
    )


async def _list(asked: _Asked) -> object:
    limit = _number(asked.query, "limit", DEFAULT_TOP_K)
    return await asked.memory.get_all(
        **asked.ids,
        top_k=limit,
        offset=_number(asked.query, "offset", 0),
        as_of=asked.query.get("as_of") or None,
        superseded=_flag(asked.query, "superseded"),
    )


async def _filtered(asked: _Asked) -> object:
    body = asked.body
    return await asked.memory.get_all(
        **asked.ids,
        filters=body.filters,
        top_k=body.top_k,
        offset=body.offset,
        as_of=body.as_of,
        superseded=body.superseded,
    )


async def _graph(asked: _Asked) -> object:
    return await asked.memory.graph(
        **asked.ids,
        limit=_number(asked.query, "limit", DEFAULT_EDGES),
        as_of=asked.query.get("as_of") or None,
        superseded=_flag(asked.query, "superseded"),
    )


async def _delete_all(asked: _Asked) -> object:
    deleted = await asked.memory.delete_all(**asked.ids, actor=asked.actor)
    return {"message": "Memories deleted successfully!", "deleted": deleted}


async def _search(asked: _Asked) -> object:
    body = asked.body
    return await asked.memory.search(
        body.query, **asked.ids, filters=body.filters, top_k=body.top_k, threshold=body.threshold
    )


async def _get(asked: _Asked) -> object:
    return _there(await asked.memory.get(asked.memory_id, **asked.ids), asked)


async def _update(asked: _Asked) -> object:
    body = asked.body
    changed = await asked.memory.update(
        asked.memory_id, body.text, body.metadata, **asked.ids, actor=asked.actor
    )
    return _there(changed, asked)


async def _delete(asked: _Asked) -> object:
    _there(await asked.memory.delete(asked.memory_id, **asked.ids, actor=asked.actor) or None, asked)
    return {"message": "Memory deleted successfully!"}


async def _history(asked: _Asked) -> object:
    return _there(await asked.memory.history(asked.memory_id, **asked.ids) or None, asked)


async def _uses(asked: _Asked) -> object:
    limit = _number(asked.query, "limit", DEFAULT_TOP_K)
    return {"results": _there(await asked.memory.uses(asked.memory_id, **asked.ids, limit=limit), asked)}


async def _explain(asked: _Asked) -> object:
    call_id = asked.query.get("call_id", "")
    if not call_id:
        raise BadMemory("name the call", param="call_id")
    found = await asked.memory.explain(call_id, **asked.ids)
    if found is None:
        raise _Refused(404, f"nothing is known of call {call_id!r} in this scope", "call_not_found")
    return found


async def _jobs(asked: _Asked) -> object:
    return {
        "results": await asked.memory.jobs(**asked.ids, limit=_number(asked.query, "limit", DEFAULT_TOP_K))
    }


async def _job(asked: _Asked) -> object:
    found = await asked.memory.jobs(**asked.ids, job_id=asked.memory_id)
    if not found:
        raise _Refused(404, f"there is no job {asked.memory_id!r} in this scope", "job_not_found")
    return found[0]


async def _upkeep(asked: _Asked) -> object:
    _sees_all(asked)
    return await asked.memory.upkeep_progress()


async def _reindex(asked: _Asked) -> object:
    _sees_all(asked)
    await asked.memory.reindex()
    return {"message": "The index is being built anew."}


def _sees_all(asked: _Asked) -> None:
    if not asked.everywhere:
        raise _Refused(403, "this key sees one project only", "not_your_project")


Handler = Callable[[_Asked], Awaitable[object]]
_ALL: Mapping[str, Handler] = {"POST": _add, "GET": _list, "DELETE": _delete_all}
_ONE: Mapping[str, Handler] = {"GET": _get, "PUT": _update, "DELETE": _delete}

_WORDS: Mapping[str, Mapping[str, Handler]] = {
    "search": {"POST": _search},
    "list": {"POST": _filtered},
    "graph": {"GET": _graph},
    "upkeep": {"GET": _upkeep},
    "reindex": {"POST": _reindex},
    "explain": {"GET": _explain},
}


def _route(scope: Mapping[str, Any]) -> tuple[Handler, str, dict[str, str]]:
    """Return who answers, the id in the path or the query, and the query."""
    query = _query(scope["query_string"])
    raw = scope.get("raw_path") or scope["path"].encode()
    rest = raw.decode("latin-1").removeprefix(PREFIX).strip("/")
    parts = [unquote(part) for part in rest.split("/")] if rest else []
    match parts:
        case []:
            memory_id = query.get("id", "")
            methods = _ONE if memory_id else _ALL
        case ["jobs", *ids] if len(ids) <= 1:
            memory_id, methods = "".join(ids), {"GET": _job if ids else _jobs}
        case [word] if word in _WORDS:
            memory_id, methods = "", _WORDS[word]
        case [memory_id]:
            methods = _ONE
        case [memory_id, "history"]:
            methods = {"GET": _history}
        case [memory_id, "uses"]:
            methods = {"GET": _uses}
        case _:
            raise _Refused(404, f"nothing lives at {scope['path']}", "unknown_url")
    handler = methods.get(scope["method"])
    if handler is None:
        raise _Refused(405, f"{scope['method']} is not for {scope['path']}", "method_not_allowed")
    return handler, memory_id, query


def _query(raw: bytes) -> dict[str, str]:
    """Read it strictly: two ids must not become one because neither is UTF-8."""
    try:
        return dict(parse_qsl(raw.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError as error:
        raise _Refused(400, "the query is not UTF-8", "invalid_request") from error


def _named(name: str, query: Mapping[str, str], in_body: str) -> str:
    """Return an id that may stand in the query or in the body, but not differently in both."""
    in_query = query.get(name, "")
    if in_query and in_body and in_query != in_body:
        raise BadMemory(f"{name} differs between query and body", param=name)
    return in_query or in_body


async def _body(receive: Receive) -> _Body:
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refused(400, "the client left", "client_left")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise _Refused(413, f"a body has at most {MAX_BODY} bytes", "request_too_large")
        parts.append(part)
        more = message.get("more_body", False)
    whole = b"".join(parts)
    try:
        return msgspec.json.decode(whole, type=_Body) if whole.strip() else _Body()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadMemory(f"the body is not as this route takes it: {error}", code="invalid_request") from error


def _number(query: Mapping[str, str], name: str, otherwise: int) -> int:
    text = query.get(name, "")
    if not text:
        return otherwise
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise BadMemory(f"{name} must be a number", param=name)
    return int(text)


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in ("true", "false", "1", "0"):
        raise BadMemory(f"{name} must be true or false", param=name)
    return text in ("true", "1")


def _there(found: object | None, asked: _Asked) -> object:
    """Return what was found; what another scope has is told from what nobody has by nothing."""
    if found is None:
        raise _Refused(404, f"there is no memory {asked.memory_id!r} in this scope", "memory_not_found")
    return found


def _error(message: str, code: str, param: str = "") -> object:
    kind = "server_error" if code in (IndexAway.code, LedgerAway.code) else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param or None, "code": code}}


async def _send(send: Send, status: int, answer: object) -> None:
    body = msgspec.json.encode(answer)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
