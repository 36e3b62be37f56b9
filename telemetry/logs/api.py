"""Respan's way of asking for logs, threads and users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from telemetry.answers import Refusal
from telemetry.ingest.api import Sent, whole_body
from telemetry.ingest.log import Sender
from telemetry.logs import amend, people, questions
from telemetry.logs.amend import Amendment
from telemetry.logs.asking import Listing, listing_of
from telemetry.logs.columns import COLUMNS
from telemetry.logs.relation import Relation
from telemetry.store.base import Store

MAX_BODY_BYTES = 1 << 20

Ask = Callable[[Relation, Listing, int], dict[str, Any]]


class _Logs:
    """The routes, each of which asks the ledger in a thread."""

    def __init__(self, store: Callable[[], Store | None], now_us: Callable[[], int]) -> None:
        self._store = store
        self._now_us = now_us

    async def lists(self, request: Request, who: Sent) -> Response:
        """List calls and logs by filters, newest first unless sorted otherwise."""
        return await self._listed(
            request, who, lambda relation, listing, now: questions.listed(relation, listing, now_us=now)
        )

    async def summary(self, request: Request, who: Sent) -> Response:
        """Sum up what all calls and logs used that the filters let through."""
        return await self._listed(
            request, who, lambda relation, listing, _now: questions.summary(relation, listing)
        )

    async def threads(self, request: Request, who: Sent) -> Response:
        """List threads, the one that was active last first."""
        return await self._listed(
            request, who, lambda relation, listing, now: people.threads(relation, listing, now_us=now)
        )

    async def users(self, request: Request, who: Sent) -> Response:
        """List users with what they used, the one that was active last first."""
        return await self._listed(
            request,
            who,
            lambda relation, listing, now: people.users(relation, listing, now_us=now),
            sortable=tuple(people.USER_COLUMNS),
        )

    async def log(self, unique_id: str, who: Sent) -> Response:
        """Tell all about one log, with what was said."""

        def ask() -> dict[str, Any]:
            relation = self._relation(who)
            return questions.told(relation, questions.find(relation, unique_id))

        return _json(await run_in_threadpool(ask))

    async def amend_log(self, request: Request, unique_id: str, who: Sent) -> Response:
        """Say more of a log, or take it back; what it cost and how it ended stays as it is."""
        fields = amend.of_log(await whole_body(request, MAX_BODY_BYTES))

        def ask() -> dict[str, Any]:
            found = questions.find(self._relation(who), unique_id)
            self._write(
                Amendment(
                    target="log",
                    id=found.call_id,
                    project=found.project,
                    environment=found.environment,
                    key_id=who.key_id,
                    started_at_us=found.started_at_us,
                    fields=fields,
                    made_at_us=self._now_us(),
                )
            )
            return questions.told(self._relation(who), found)

        return _json(await run_in_threadpool(ask))

    async def user(self, customer_identifier: str, who: Sent) -> Response:
        """Tell what is known of one user."""
        return _json(await run_in_threadpool(self._user, customer_identifier, who))

    async def amend_user(self, request: Request, customer_identifier: str, who: Sent) -> Response:
        """Say more of a user: name, email, budgets, metadata."""
        fields = amend.of_user(await whole_body(request, MAX_BODY_BYTES))

        def ask() -> dict[str, Any]:
            self._write(
                Amendment(
                    target="user",
                    id=customer_identifier,
                    project=who.project,
                    environment=who.environment,
                    key_id=who.key_id,
                    fields=fields,
                    made_at_us=self._now_us(),
                )
            )
            return self._user(customer_identifier, who)

        return _json(await run_in_threadpool(ask))

    async def _listed(
        self, request: Request, who: Sender, ask: Ask, *, sortable: tuple[str, ...] = tuple(COLUMNS)
    ) -> Response:
        body = await whole_body(request, MAX_BODY_BYTES)
        listing = listing_of(body, request.query_params, sortable=sortable)
        return _json(
            await run_in_threadpool(
                lambda: ask(self._relation(who, listing.environment), listing, self._now_us())
            )
        )

    def _user(self, customer_identifier: str, who: Sender) -> dict[str, Any]:
        relation = self._relation(who)
        place = who.project, who.environment
        return people.user(relation, customer_identifier, place, now_us=self._now_us())

    def _relation(self, who: Sender, environment: str = "") -> Relation:
        return Relation(self._opened(), who, environment)

    def _write(self, amendment: Amendment) -> None:
        amend.write(self._opened(), amendment)

    def _opened(self) -> Store:
        store = self._store()
        if store is None:
            raise Refusal(503, "store_opening", "the ledger is being opened: ask again in a moment")
        return store


def router(store: Callable[[], Store | None], *, now_us: Callable[[], int]) -> APIRouter:
    """Make the routes; `store` returns None while it is being opened."""
    logs = _Logs(store, now_us)
    routes = APIRouter(tags=["logs"])
    for method, path, endpoint in (
        ("POST", "/api/request-logs/list/", logs.lists),
        ("POST", "/api/request-logs/summary/", logs.summary),
        ("GET", "/api/request-logs/{unique_id:path}/", logs.log),
        ("PATCH", "/api/request-logs/{unique_id:path}/", logs.amend_log),
        ("POST", "/api/log_threads/", logs.threads),
        ("POST", "/api/users/list/", logs.users),
        ("GET", "/api/users/{customer_identifier}/", logs.user),
        ("PATCH", "/api/users/{customer_identifier}/", logs.amend_user),
    ):
        for given in (path, path.rstrip("/")):
            routes.add_api_route(given, endpoint, methods=[method], include_in_schema=given == path)
    return routes


def _json(content: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
