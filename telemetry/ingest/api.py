"""`POST /api/request-logs/`: the way in for logs, as Respan's clients know it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from telemetry.answers import Refusal
from telemetry.ingest.intake import Intake, Result
from telemetry.ingest.log import Sender

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]}
            }
        },
    }
}


def sender(x_tidegate_principal: Annotated[str, Header(include_in_schema=False)] = "") -> Sender:
    """Read who is sending or asking; raise Refusal if nobody said so."""
    try:
        return msgspec.json.decode(x_tidegate_principal, type=Sender)
    except msgspec.MsgspecError as error:
        raise Refusal(401, "no_principal", "ask through the gateway's public port, with a key") from error


Sent = Annotated[Sender, Depends(sender)]


def router(intake: Intake, *, max_body_bytes: int) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(tags=["logs"])

    async def create(request: Request, who: Sent) -> Response:
        """Take one log or a list of them; 202 says that they are in the journal, by their ids."""
        body = await whole_body(request, max_body_bytes)
        results, listed = await run_in_threadpool(intake.take, body, who)
        return _answer(results, listed=listed)

    for number, path in enumerate(("/api/request-logs/", "/api/request-logs", "/api/request-logs/create/")):
        routes.add_api_route(
            path,
            create,
            methods=["POST"],
            status_code=202,
            openapi_extra=_BODY,
            include_in_schema=number == 0,
        )
    return routes


async def whole_body(request: Request, most: int) -> bytes:
    """Return the body; raise Refusal, when it was read to its end, if it is longer than that."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most:
            parts.append(chunk)
    if size > most:
        raise Refusal(
            413, "body_too_large", f"{size} bytes: at most {most} (server.max_body_mb) fit into a request"
        )
    return b"".join(parts)


def _answer(results: list[Result], *, listed: bool) -> Response:
    """Return what became of each; 400 if nothing was taken."""
    taken = any(result.status == "accepted" for result in results) or not results
    told: dict[str, Any] = {"results": results} if listed else msgspec.structs.asdict(results[0])
    if not taken:
        worst = next(result.error for result in results if result.error is not None)
        told["error"] = {**msgspec.structs.asdict(worst), "type": "invalid_request_error"}
    content = msgspec.json.encode(told)
    return Response(content, 202 if taken else 400, media_type="application/json")
