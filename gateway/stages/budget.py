"""Sees to it that what a call may cost is put aside before each of its attempts, and counts what it did cost.

Calls to which no budget applies are left alone. What an account says is what was known when its calls were over:
prices that are corrected later change the ledger of calls, and not the accounts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.budgets.book import Applied, BudgetBook
from gateway.budgets.capping import cap
from gateway.budgets.reading import Outside, beyond_text, decode
from gateway.budgets.records import Closing, Refusal, dollars
from gateway.budgets.teller import Teller
from gateway.budgets.tokenizer import Tokenizer
from gateway.errors import NoPriceBound, OverBudget, Unavailable
from gateway.exchange import Exchange
from gateway.prices.ceiling import ceiling
from gateway.prices.table import PriceTable
from gateway.settings import Route
from telemetry.records import Cost, Usage, UsageSource

MAX_TOKENS = b"x-tidegate-max-tokens"
"""Tells the client which limit was written into its request."""
WARNING = b"x-tidegate-budget-warning"
"""Names the budgets whose soft amount is reached."""
AWAY = {"budgets_away": "true"}
"""Property of calls that went on although nobody could be asked."""

_ENOUGH = (b"x-should-retry", b"false")
_READ_INLINE_BYTES = 64 * 1024
"""Reading more than this takes about a millisecond: it goes to a thread."""
_MILLION = 1_000_000
_ROUNDING = len(Usage.__struct_fields__) + 1
"""Each line of a cost is rounded, by less than a nano-dollar."""
_FREE = frozenset(
    {"count_tokens", *(f"responses.{done}" for done in ("retrieve", "delete", "cancel", "input_items"))}
)
"""What no provider takes money for: counting, and what was paid for when it was made."""
_OPENAIS = frozenset({"openai", "azure"})

_CEILINGS_KEPT = 4096

Ceiling = tuple[int, int, int]
"""The highest rates of a model: a million tokens in, out, and calls."""


class BudgetStage:
    """Knows the budgets; one object of it serves all calls."""

    def __init__(
        self,
        book: BudgetBook,
        teller: Teller,
        table: Callable[[], PriceTable | None],
        routes: Mapping[str, Route],
    ) -> None:
        self.book = book
        self.teller = teller
        self._table = table
        self._routes = routes
        self._tokenizer = Tokenizer()
        self._ceilings: dict[tuple[str, str], Ceiling | None] = {}
        self._version = ""
        """Of the table that these were found in."""

    def apply(self, exchange: Exchange) -> None:
        """Find the budgets in which a call counts."""
        if self.book.empty:
            return
        applied = self.book.of(exchange.principal, exchange.identity.user_id)
        place = exchange.place
        free = exchange.wire.operation in _FREE if place is None else place.reads
        if applied.budgets and not free:
            exchange.spending = _Spending(exchange, applied, self)

    def settle(self, exchange: Exchange) -> None:
        """Count what the call cost, once its meter was read."""
        if exchange.spending is not None:
            exchange.spending.settle(exchange.cost, exchange.usage_source)

    async def bound(
        self, exchange: Exchange, applied: Applied, surface: str, provider: str, model: str, body: bytes
    ) -> tuple[bytes, int | None, int]:
        """Return the body to send, what it can cost at most, and the limit that was written into it, if any.

        Raises NoPriceBound if nobody can say and a hard budget must know; Unavailable if that may change soon.
        """
        rates = self._highest(provider, model, exchange.started_at_us, applied)
        if rates is None:
            why = f"the price of {model or 'what is asked for'} at {provider} is not known: set prices.{provider}/{model}"
        elif not any(rates):
            return body, 0, 0
        else:
            try:
                most = self._most_output(exchange.route, applied)
                return await self._bound(rates, surface, provider, model, body, most)
            except Outside as error:
                why = f"there is no telling how much the model will read or do: {error}. Leave it out"
        if applied.hard:
            names = ", ".join(one.name for one in applied.budgets if one.hard_nano_usd is not None)
            raise NoPriceBound(
                f"The budget {names} is a hard one, and {why}, or use a key without a hard budget."
            )
        return body, None, 0

    def _highest(self, provider: str, model: str, at_us: int, applied: Applied) -> Ceiling | None:
        table = self._table()
        if table is None:
            if applied.hard:
                raise Unavailable("the prices are being read: try again", code="no_prices", retry_after_s=5)
            return None
        if table.version != self._version or len(self._ceilings) >= _CEILINGS_KEPT:
            self._version = table.version
            self._ceilings.clear()
        if (provider, model) not in self._ceilings:
            self._ceilings[provider, model] = ceiling(table.rows(provider, model), at_us)
        return self._ceilings[provider, model]

    async def _bound(
        self, rates: tuple[int, int, int], surface: str, provider: str, model: str, body: bytes, most: int
    ) -> tuple[bytes, int, int]:
        large = len(body) > _READ_INLINE_BYTES
        asked, more = await asyncio.to_thread(_read, body) if large else _read(body)
        capped = cap(surface, provider, asked, body, most)
        if capped is None:
            raise Outside(f"nothing limits an answer in the format {surface}")
        text = len(body)
        if provider in _OPENAIS and (counted := await self._tokenizer.count(model, body)) is not None:
            text = min(
                text, counted + counted // 10
            )  # a body's own syntax has more tokens than what frames messages
        tokens_in, tokens_out, calls = rates
        cost = (text + more) * tokens_in + capped.tokens * tokens_out + calls
        return capped.body, -(-cost // _MILLION) + _ROUNDING, capped.told

    def _most_output(self, route_name: str, applied: Applied) -> int:
        """Return how long an answer may be; 0: as long as it likes, as a soft budget limits none."""
        if not applied.hard:
            return 0
        route = self._routes.get(route_name)
        hard = [one.max_output_reserve for one in applied.budgets if one.hard_nano_usd is not None]
        return min([*hard, route.max_output_reserve] if route and route.max_output_reserve else hard)


class _Spending:
    """One call, and what is put aside for its present attempt."""

    def __init__(self, exchange: Exchange, applied: Applied, stage: BudgetStage) -> None:
        self._exchange = exchange
        self._applied = applied
        self._stage = stage
        self._count = 0
        self._name = ""
        """Of the reservation; empty: there is none."""
        self._nano_usd: int | None = None
        """What is put aside; None: nobody could say how much that should be."""
        self._sure = True
        """The authority has said that it did."""
        self._under_way = False
        """It is for the present attempt, and not for one that failed before and may cost something."""

    async def admit(self, surface: str, provider: str, model: str, body: bytes) -> bytes:
        """Put aside what an attempt may cost; raise OverBudget, NoPriceBound, Unavailable."""
        self._close(None)  # an attempt before this one may have cost something, and nobody will say
        applied, teller = self._applied, self._stage.teller
        body, nano_usd, told = await self._stage.bound(
            self._exchange, applied, surface, provider, model, body
        )
        if nano_usd == 0:
            return body
        if told:
            self._tell(MAX_TOKENS, b"%d" % told)
        self._count += 1
        name = f"{self._exchange.call_id}.{self._count}"
        verdict = await teller.reserve(name, applied.places, nano_usd or 0)
        if verdict is not None and verdict.refusal is not None:
            self._exchange.client.extra.append(_ENOUGH)
            raise OverBudget(_explain(verdict.refusal, nano_usd or 0))
        self._name, self._nano_usd, self._sure = name, nano_usd, verdict is not None
        self._under_way = True
        if verdict is None:
            self._check_alone()
        elif verdict.warnings:
            self._tell(WARNING, ", ".join(verdict.warnings).encode("unicode_escape"))
        return body

    def failed(self, *, free: bool) -> None:
        """The attempt failed; `free`: it cost nothing, as it was refused, or never sent."""
        if free and self._under_way:
            self._close(0)
        self._under_way = False

    def settle(self, cost: Cost, source: UsageSource) -> None:
        """Count the cost if a provider told the usage; what is only estimated was put aside whole."""
        told = cost.total_nano_usd
        self._close(told if source != "estimated" or self._nano_usd is None else None)

    def _check_alone(self) -> None:
        """Go on without the authority if all budgets allow that, and note it; else raise Unavailable."""
        refusing = [one.name for one in self._applied.budgets if one.refuses_away]
        if refusing:
            self._close(0)
            raise Unavailable(
                f"what is left of the budget {', '.join(refusing)} cannot be looked up now: try again",
                code="budgets_away",
                retry_after_s=1,
            )
        call = self._exchange.call
        if call is not None:
            self._exchange.call = msgspec.structs.replace(call, properties={**call.properties, **AWAY})

    def _close(self, cost: int | None) -> None:
        if not self._name:
            return
        if self._sure:
            closing = Closing(self._name, cost)
        else:
            closing = Closing(
                self._name, (self._nano_usd or 0) if cost is None else cost, self._applied.places
            )
        self._name = ""
        self._stage.teller.close(closing)

    def _tell(self, header: bytes, value: bytes) -> None:
        extra = self._exchange.client.extra
        extra[:] = [pair for pair in extra if pair[0] != header]
        extra.append((header, value))


def _read(body: bytes) -> tuple[dict[str, Any], int]:
    asked = decode(body)
    return asked, beyond_text(asked)


def _explain(refusal: Refusal, nano_usd: int) -> str:
    ends = datetime.fromtimestamp(refusal.ends_us / 1_000_000, UTC).isoformat(timespec="seconds")
    until = f"Its window ends at {ends}." if refusal.ends_us else "It has no end."
    return (
        f"The budget {refusal.name} has {dollars(refusal.left_nano_usd)} dollars left, and this call may cost "
        f"{dollars(nano_usd)}. {until}"
    )
