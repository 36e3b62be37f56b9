"""The control records as the hub holds them: written through the API, told to the workers."""

from __future__ import annotations

from typing import get_args

from gateway import surfaces
from gateway.budgets.records import TOPIC as BUDGETS
from gateway.budgets.records import by_id, configured
from gateway.clock import Clock
from gateway.config import OWNER_VARIABLES, environment, new_key
from gateway.control import applying, budget_routes, credential_routes, limit_routes, people_routes
from gateway.control.api import ControlApi
from gateway.control.applying import Applying
from gateway.control.asking import Part
from gateway.control.budgets import TABLE as BUDGET_TABLE
from gateway.control.credentials import sealed_credentials
from gateway.control.limit_rules import TABLE as LIMIT_TABLE
from gateway.control.oidc import Issuer
from gateway.control.passwords import Passwords
from gateway.control.publisher import STAMP_EVERY_S, Publisher
from gateway.control.records_thread import RecordsThread
from gateway.control.rule_publisher import RulePublisher
from gateway.control.services import Means, services
from gateway.control.sessions import Sessions
from gateway.control.tokens import Tokens
from gateway.credential_feed import TOPIC as CREDENTIALS
from gateway.key_pages import SINCE, PageFile
from gateway.limits.rules import TOPIC as LIMITS
from gateway.limits.rules import configured as configured_limits
from gateway.link_server import LinkServer
from gateway.master_key import master_key
from gateway.places import Places
from gateway.processes.own_secret import own_secret
from gateway.providers.catalog import Catalog, build
from gateway.settings import Settings
from gateway.transport import Transport
from gateway.wire.passthrough_paths import Family

_STAMPS_IN_TIME = 4
"""How often the hub is heard at least before what it said is stale."""


class Control:
    """Knows how the parts hang together. Nothing is opened or made before it is needed."""

    def __init__(
        self,
        places: Places,
        settings: Settings,
        link: LinkServer,
        clock: Clock,
        transport: Transport,
        passwords: Passwords | None = None,
    ) -> None:
        self._records = RecordsThread(places.control, settings.control.url, clock)
        self.publisher = Publisher(
            self._records,
            PageFile(places.keys),
            lambda: own_secret(places.secrets / "keys"),
            link.publish,
            clock,
            stamp_every_s=min(STAMP_EVERY_S, settings.control.max_stale_s / _STAMPS_IN_TIME),
        )
        link.handlers[SINCE] = self.publisher.since
        self.rules = RulePublisher(self._records, link.publish, places.rules)
        told = self.publisher.hasten
        passwords = passwords or Passwords()
        means = Means(
            clock,
            passwords,
            surfaces=names_of_surfaces(),
            new_secret=new_key,
            limits={rule.id: rule for rule in configured_limits(settings.limits)},
            budgets=by_id(configured(settings.budgets)),
            providers=build(settings.providers, Catalog.load()).keys() - {"sandbox"},
            master=lambda: master_key(places.secrets, environment()),
        )
        every = services(self._records, means, told, self.rules.hasten)
        self._people, keys = every.people, every.keys
        oidc = settings.sign_in.oidc
        issuer = Issuer(oidc, transport, clock, ca_file=settings.network.ca_file) if oidc.issuer else None
        sessions = Sessions(self._records, told, clock, passwords, self._people, issuer)
        link.handlers.update(sessions.handlers)
        self.rules.add(CREDENTIALS, sealed_credentials)
        self.rules.add(LIMITS, LIMIT_TABLE.read)
        self.rules.add(BUDGETS, BUDGET_TABLE.read)
        self.api = ControlApi(
            keys,
            Part(limit_routes.ROUTES, every.limits),
            Part(budget_routes.ROUTES, every.budgets),
            Part(people_routes.PEOPLE, self._people),
            Part(people_routes.TOKENS, Tokens(keys, self._people)),
            Part(people_routes.TEAMS, every.teams),
            Part(credential_routes.ROUTES, every.credentials),
            Part(applying.ROUTES, Applying(self._records, means, self._tell_all)),
        )

    async def make_first_owner(self) -> None:
        """Make the user whom the environment names, if there is none at all yet."""
        email, password = (environment().get(name, "") for name in OWNER_VARIABLES)
        if email and password:
            await self._people.make_first_owner(email, password)

    async def _tell_all(self) -> None:
        await self.publisher.hasten()
        await self.rules.hasten()

    async def close(self) -> None:
        """Let go of the records."""
        await self._records.close()


def names_of_surfaces() -> frozenset[str]:
    """Return what calls are filed under, by the format in which they come."""
    kinds = (surfaces.OPENAI, surfaces.ANTHROPIC, surfaces.GEMINI)
    return frozenset(
        {wire.surface for kind in kinds for wire in kind.values()}
        | {f"{family}.passthrough" for family in get_args(Family)}
    )
