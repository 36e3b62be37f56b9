"""From the model name in a request to the deployments that serve it.

A name is, in this order: a route; `provider/model`, split at the first slash; a model that a provider
lists; a model whose beginning belongs to one provider.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from gateway.errors import BadRequest, Unauthenticated, UnknownModel
from gateway.providers.catalog import Known
from gateway.routing.deployments import Ceiling, Deployment, Plan, Variant
from gateway.settings import Retries, Route, Settings
from gateway.translation.bridge import Bridge, reach

_NAMES_KEPT = 4096


_PLAIN = Route(deployments=())
"""What holds for a model that is named without a route."""
_ONCE = Retries(attempts=1)
"""What is only passed on may not be asked for twice: nobody knows what it does."""


class _Target(msgspec.Struct, frozen=True):
    provider: str
    model: str
    weight: float = 1


class _Found(msgspec.Struct, frozen=True):
    route: str
    targets: tuple[_Target, ...]
    fallbacks: tuple[_Target, ...] = ()
    longer: _Target | None = None
    gentler: _Target | None = None
    variants: Mapping[str, _Target | None] = {}

    def everywhere(self) -> Iterator[_Target]:
        """Yield every place a call may come to."""
        yield from self.targets
        yield from self.fallbacks
        others = (self.longer, self.gentler, *self.variants.values())
        yield from (target for target in others if target is not None)


class Listed(msgspec.Struct, frozen=True):
    """One line of `GET /v1/models`."""

    id: str
    owned_by: str


class Resolver:
    """Knows every name this installation answers to. Owns a cache of the names it has found."""

    def __init__(
        self,
        settings: Settings,
        providers: Mapping[str, Known],
        price: Callable[[str, str], int | None] = lambda _provider, _model: None,
        ceiling: Callable[[str, str], Ceiling | None] = lambda _provider, _model: None,
        window: Callable[[str, str], int] = lambda _provider, _model: 0,
    ) -> None:
        self._settings = settings
        self._providers = providers
        self._price = price
        """What `Deployment.price_nano_usd` is for a provider's model."""
        self._ceiling = ceiling
        self._window = window
        self._routes = {name: self._ways(name, route) for name, route in settings.routes.items()}
        self._owners: dict[str, list[str]] = {}
        for name, known in providers.items():
            for model in known.models:
                self._owners.setdefault(model, []).append(name)
        self._found: dict[tuple[str, str], _Found] = {}
        self._plans: dict[tuple[str, str], Plan] = {}
        self._bridges: dict[tuple[str, bool], Bridge] = {}

    def plan(
        self,
        model: str,
        *,
        client_secret: str,
        open: bool,  # noqa: A002 - the word of Principal
        surface: str = "openai.chat",
    ) -> Plan:
        """Return what to try; raise UnknownModel, or Unauthenticated if there is no key to try it with.

        `client_secret`: the client's own provider key. It goes only to the surface's native provider, only in
        open mode, and only where the installation has no key of its own.
        """
        ready = self._plans.get((model, surface))
        return ready if ready is not None else self._plan(model, client_secret if open else "", surface)

    def _plan(self, model: str, client_secret: str, surface: str) -> Plan:
        found = self._found.get((model, surface)) or self._find(model, surface)
        self._check_speaks(found, surface)
        settings = self._settings
        route = settings.routes.get(found.route, _PLAIN)
        lenient = route.drop_unsupported

        def ways(*targets: _Target | None) -> Iterator[Deployment]:
            for target in targets:
                if target is not None and (
                    way := self._deployment(target, client_secret, surface, lenient=lenient)
                ):
                    yield way

        deployments = tuple(ways(*found.targets))
        if not deployments:
            raise self._no_key(found)
        plan = Plan(
            route=found.route,
            deployments=deployments,
            strategy=route.strategy,
            fallbacks=tuple(ways(*found.fallbacks)),
            context_window_fallback=next(ways(found.longer), None),
            content_filter_fallback=next(ways(found.gentler), None),
            timeouts=route.timeouts or settings.timeouts,
            retries=route.retries or settings.retries,
            breaker=route.breaker or settings.breaker,
            heartbeat_s=route.heartbeat_s,
            memory=route.memory,
            variants=tuple(
                Variant(
                    name=name,
                    weight=route.variants[name].weight,
                    deployment=way,
                    parameters=route.variants[name].parameters,
                    memory=route.variants[name].memory,
                )
                for name, target in found.variants.items()
                if (way := next(ways(target), None)) or target is None  # one without a key has no calls
            ),
            ceiling=self._highest(found),
            window=self._smallest(found),
        )
        if all(self._providers[target.provider].secret for target in found.everywhere()):
            # whoever asks gets the same
            if len(self._plans) >= _NAMES_KEPT:
                self._plans.clear()
            self._plans[model, surface] = plan
        return plan

    def passed(self, named: str, model: str, *, client_secret: str, open: bool, surface: str) -> Plan:  # noqa: A002 - as above
        """Return where to pass a request on to: the provider `named`, or else the one that `surface` was made by.

        Raises BadRequest for a name that is none, UnknownModel if no provider is meant, Unauthenticated.
        """
        if named and named not in self._providers:
            known = ", ".join(self._providers)
            raise BadRequest(
                f"header x-tidegate-provider: no provider is called {named!r}. Known are {known}.",
                code="unknown_provider",
                param="x-tidegate-provider",
            )
        provider = named or next((n for n, known in self._providers.items() if surface in known.native), "")
        if not provider:
            raise UnknownModel(f"no provider of {surface.partition('.')[0]}'s API is set up")
        target = _Target(provider, model.removeprefix(f"{provider}/"))
        found = _Found("", (target,))
        self._check_speaks(found, surface)
        deployment = self._deployment(target, client_secret if open else "", surface)
        if deployment is None:
            raise self._no_key(found)
        return Plan(deployments=(deployment,), timeouts=self._settings.timeouts, retries=_ONCE)

    def _highest(self, found: _Found) -> Ceiling | None:
        """Return what no place of these takes more than; None if that is unknown of one of them."""
        known = [self._ceiling(target.provider, target.model) for target in found.everywhere()]
        told = [one for one in known if one is not None]
        if len(told) < len(known):
            return None
        tokens_in, tokens_out, calls = map(max, zip(*told, strict=True))
        return tokens_in, tokens_out, calls

    def _smallest(self, found: _Found) -> int:
        """Return how many tokens fit into the context of each of these, as far as that is known."""
        told = (self._window(target.provider, target.model) for target in found.everywhere())
        return min((window for window in told if window), default=0)

    def learn(self, providers: Mapping[str, Known]) -> None:
        """Go on with these providers: the same as before but for their keys."""
        self._providers = providers
        self._found.clear()
        self._plans.clear()

    def price_anew(self) -> None:
        """Forget the plans made with former prices."""
        self._plans.clear()

    def names(self, models_by_provider: Mapping[str, Iterable[str]] | None = None) -> list[Listed]:
        """List every name: routes, then the models of each provider that has a credential, then sandbox.

        `models_by_provider`: what providers listed themselves; a provider not in it has its settings' models.
        """
        listed = [Listed(name, "tidegate") for name in self._routes]
        for name, known in self._providers.items():
            if name != "sandbox" and known.usable:
                models = (models_by_provider or {}).get(name, known.models)
                listed += [Listed(f"{name}/{model}", known.provider.owned_by) for model in models]
        sandbox = self._providers.get("sandbox")
        listed += [Listed(f"sandbox/{model}", "tidegate") for model in (sandbox.models if sandbox else ())]
        return listed

    def _find(self, model: str, surface: str) -> _Found:
        found = self._routes.get(model) or _Found("", (self._single(model, surface),))
        if len(self._found) >= _NAMES_KEPT:
            self._found.clear()
        self._found[model, surface] = found
        return found

    def _single(self, model: str, surface: str) -> _Target:
        provider, slash, rest = model.partition("/")
        if slash and rest and provider in self._providers:
            return _Target(provider, rest)
        owners = self._owners.get(model) or self._by_prefix(model)
        owners = [name for name in owners if surface in self._providers[name].of(model).speaks] or owners
        if len(owners) == 1:
            return _Target(owners[0], model)
        if owners:
            choices = ", ".join(f"{owner}/{model}" for owner in owners)
            raise UnknownModel(
                f"The model `{model}` is served by more than one provider: {choices}.", param="model"
            )
        raise UnknownModel(f"The model `{model}` does not exist.{self._nearest(model)}", param="model")

    def _by_prefix(self, model: str) -> list[str]:
        """Return the providers that own the name's beginning; the settings' word outweighs the catalog's."""
        fitting = [
            name for name, known in self._providers.items() if model.startswith(known.prefixes or ("\0",))
        ]
        if len(fitting) < 2:
            return fitting
        said = {
            name for name, p in self._settings.providers.items() if model.startswith(p.prefixes or ("\0",))
        }
        return [name for name in fitting if name in said] or fitting

    def _nearest(self, model: str) -> str:
        known = [listed.id for listed in self.names()]
        known += [name for name in self._owners if name not in known]
        near = difflib.get_close_matches(model, known, n=3, cutoff=0.0)
        return f" Nearest: {', '.join(near)}." if near else ""

    def _ways(self, name: str, route: Route) -> _Found:
        def target(place: str, model: str, weight: float = 1) -> _Target:
            provider, slash, rest = model.partition("/")
            if not slash or not rest or provider not in self._providers:
                raise ValueError(
                    f"routes.{name}.{place}: {model!r} is not `provider/model` of a known provider"
                )
            return _Target(provider, rest, weight)

        longer, gentler = route.context_window_fallback, route.content_filter_fallback
        return _Found(
            name,
            tuple(target("deployments", d.model, d.weight) for d in route.deployments),
            tuple(target("fallbacks", model) for model in route.fallbacks),
            target("context_window_fallback", longer) if longer else None,
            target("content_filter_fallback", gentler) if gentler else None,
            {
                name: target(f"variants.{name}", variant.model) if variant.model else None
                for name, variant in route.variants.items()
            },
        )

    def _deployment(
        self, target: _Target, client_secret: str, surface: str, *, lenient: bool = False
    ) -> Deployment | None:
        known = self._providers[target.provider]
        asked_in = _asked_in(known, target.model, surface)
        if not asked_in:
            return None
        native = surface in known.native
        secret = known.secret
        borrowed = False
        if not secret and native and client_secret and not client_secret.startswith("tg-"):
            secret, borrowed = client_secret, True
        if not secret and not known.keyless:
            return None
        return Deployment(
            id=f"{target.provider}/{target.model}" if target.model else target.provider,
            provider=known.of(target.model),
            model=target.model,
            secret=secret,
            account=known.account,
            native=native,
            borrowed=borrowed,
            weight=target.weight,
            price_nano_usd=self._price(target.provider, target.model),
            bridge=None if asked_in == surface else self._bridge(asked_in, lenient=lenient),
        )

    def _bridge(self, asked_in: str, *, lenient: bool) -> Bridge:
        bridge = self._bridges.get((asked_in, lenient))
        if bridge is None:
            bridge = self._bridges[asked_in, lenient] = Bridge(asked_in, lenient=lenient)
        return bridge

    def _check_speaks(self, found: _Found, surface: str) -> None:
        """Raise BadRequest if none of the providers can be asked for what this client wants."""
        asked = dict.fromkeys(target.provider for target in found.targets)
        if not any(_asked_in(self._providers[t.provider], t.model, surface) for t in found.targets):
            first = found.targets[0]
            spoken = self._providers[first.provider].of(first.model).speaks
            raise BadRequest(
                f"{' and '.join(asked)} cannot be asked in the format {surface}: use the path of one it speaks, "
                f"{' or '.join(sorted(spoken))}.",
                code="surface_not_supported",
                param="model",
            )

    def _no_key(self, found: _Found) -> Unauthenticated:
        wanted = dict.fromkeys(
            self._providers[t.provider].key_variable or f"providers.{t.provider}.api_key"
            for t in found.targets
        )
        return Unauthenticated(
            f"No key for {', '.join(dict.fromkeys(t.provider for t in found.targets))}: set {' or '.join(wanted)},"
            " or try the model sandbox/echo, which needs none."
        )


def _asked_in(known: Known, model: str, surface: str) -> str:
    """Return the format in which to ask a provider for what a client of `surface` wants: its own, if that goes."""
    speaks = known.of(model).speaks
    return surface if surface in speaks else reach(surface, speaks, known.native)
