"""Upkeep over HTTP, for the commands of this installation: nobody's key opens these, only its own socket does.

GET   /api/journal           what lies in the journal
GET   /api/journal/verify    what must be so, and whether it is
POST  /api/journal/replay    {"segments": [...], "letters": bool}
    POST  /api/prices/rerate     {"order": Order, "place": Place | null}
POST  /api/users/lift        take a user in again who was erased

And one that keys open as well, each for its own project and environment:

DELETE /api/users/{user_id}  (or /api/users?id=)
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from telemetry.answers import Refusal
from telemetry.upkeep.forgotten import ERASED, Person
from telemetry.upkeep.keeper import Keeper
from telemetry.upkeep.messages import Lift, Replay, Rerate
from telemetry.upkeep.replay import UnknownSegment

T = TypeVar("T")

router = APIRouter(include_in_schema=False)
people = APIRouter(tags=["users"])


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Whose users: those of one environment of a project. `open`: whoever asks may name another one."""

    project: str = "default"
    environment: str = "prod"
    open: bool = False


def of_the_house(x_tidegate_principal: Annotated[str | None, Header()] = None) -> None:
    """Raise Refusal for what a worker relayed: it says for whom, and these routes are nobody's."""
    if x_tidegate_principal is not None:
        raise Refusal(404, "unknown_url", "nothing lives here: use the command `tidegate`")


def opened(request: Request) -> Keeper:
    """Return who looks after the open ledger; raise Refusal while there is none."""
    found: Keeper | None = request.app.state.keeper()
    if found is None:
        raise Refusal(503, "store_opening", "the ledger is being opened: ask again in a moment")
    return found


def keeper(request: Request, _: Annotated[None, Depends(of_the_house)]) -> Keeper:
    """Return the same to a command of this installation."""
    return opened(request)


async def body(request: Request) -> bytes:
    """Return the request's body."""
    return await request.body()


Kept = Annotated[Keeper, Depends(keeper)]
Said = Annotated[bytes, Depends(body)]


@router.get("/api/journal")
def journal(kept: Kept) -> Response:
    """Say what lies in the journal."""
    return told(kept.state())


@router.get("/api/journal/verify")
def verify(kept: Kept) -> Response:
    """Compare journal and ledger."""
    return told(kept.verify())


@router.post("/api/journal/replay")
def replay(kept: Kept, said: Said) -> Response:
    """Bring segments or dead letters in again."""
    wanted = read(said, Replay)
    try:
        return told(kept.replay(wanted.segments, letters=wanted.letters))
    except UnknownSegment as error:
        raise Refusal(404, "unknown_segment", f"there is no segment {error}", param="segments") from error


@router.post("/api/prices/rerate")
def rerate(kept: Kept, said: Said) -> Response:
    """Price a stretch of past calls anew."""
    wanted = read(said, Rerate)
    try:
        return told(kept.rerate(wanted.order, wanted.place))
    except (OSError, ValueError) as error:
        raise Refusal(503, "no_price_table", f"there is no price table: {error}") from error


@router.post("/api/users/lift")
def lift(kept: Kept, said: Said) -> Response:
    """Take a user in again from now on."""
    wanted = read(said, Lift)
    person = Person(project=wanted.project, environment=wanted.environment, user=wanted.user_id)
    if not kept.lift(person):
        raise Refusal(404, "not_erased", f"nobody has erased {wanted.user_id!r} there", param="user_id")
    return told({"message": "the user is taken in again from now on"})


def whose(
    x_tidegate_principal: Annotated[str | None, Header(include_in_schema=False)] = None,
    project: Annotated[str, Query(max_length=255)] = "",
    environment: Annotated[str, Query(max_length=255)] = "",
) -> Where:
    """Return project and environment of who asks; raise Refusal for those of others."""
    if x_tidegate_principal is None:
        return Where(project=project or "default", environment=environment or "prod")
    try:
        who = msgspec.json.decode(x_tidegate_principal, type=Where)
    except msgspec.DecodeError as error:
        raise Refusal(401, "no_principal", "ask through the gateway's public port, with a key") from error
    asked = Where(project=project or who.project, environment=environment or who.environment)
    if not who.open and (asked.project, asked.environment) != (who.project, who.environment):
        raise Refusal(403, "not_yours", "this key is for another project or environment", param="project")
    return asked


Asked = Annotated[Where, Depends(whose)]
Opened = Annotated[Keeper, Depends(opened)]


@people.delete("/api/users/{user_id}")
def erase(kept: Opened, where: Asked, user_id: str) -> Response:
    """Erase a user: words, names and memories go, sums of money stay. Answers with what was found and what is left."""
    if user_id in ("", ERASED):
        raise Refusal(400, "bad_user", f"{user_id!r} is nobody", param="user_id")
    try:
        return told(kept.erase(Person(project=where.project, environment=where.environment, user=user_id)))
    except OSError as error:
        message = f"not everything is erased yet, ask again: {error}"
        raise Refusal(503, "erase_incomplete", message) from error


@people.delete("/api/users")
def erase_by_query(
    kept: Opened, where: Asked, id_: Annotated[str, Query(alias="id", max_length=4096)]
) -> Response:
    """Do the same for an id that does not fit into a path."""
    return erase(kept, where, id_)


def read(said: bytes, kind: type[T]) -> T:
    """Read a body; raise Refusal."""
    try:
        return msgspec.json.decode(said, type=kind)
    except msgspec.DecodeError as error:
        raise Refusal(400, "bad_body", str(error)) from error


def told(found: object) -> Response:
    """Answer with a structure."""
    return Response(msgspec.json.encode(found), media_type="application/json")
