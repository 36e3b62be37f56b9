"""Prices a call that is over, with the table of today: rates of then, as far as they are known now."""

from __future__ import annotations

from gateway.prices.cost import price
from gateway.prices.table import PriceTable
from telemetry.records import Cost
from telemetry.upkeep.rerate import Priceable, Pricer


def pricer(table: PriceTable) -> Pricer:
    """Return what prices a past call as a worker would now."""

    def cost_of(call: Priceable) -> Cost:
        at_us = call.started_at_us
        served = call.served_model.removeprefix(f"{call.provider}/")
        row = table.find(call.provider, call.response_model or served, at_us)
        if row is None and call.response_model:
            row = table.find(call.provider, served, at_us)
        return price(row, call.usage, version=table.version, tier=call.service_tier)

    return cost_of
