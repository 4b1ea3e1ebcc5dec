"""From the columns of a cohort to the plain values that one prosumer sees."""

from typing import Any

from cosim.agents.prosumer.bidding import rules
from cosim.models.devices.corridor import Corridor
from cosim.models.envelope import Envelope
from cosim.models.market.order import WH_PER_KWH
from cosim.models.market.settlement import MONEY_PER_EUR
from cosim.views import Answering, Flexible, GivingBack, Outcome, ProsumerOutcome, ProsumersView, ProsumerView


def one_view(view: ProsumersView) -> list[ProsumerView]:
    """Return the view of each member, in the order of `view.ids`."""
    battery, prices = view.portfolio.battery, view.prices
    scalars = {
        "natural_net_kw": rules.natural(view).net_kw,
        "soc_kwh": view.state.soc_kwh,
        "soc_min_kwh": battery.soc_min_kwh,
        "soc_max_kwh": battery.soc_max_kwh,
        "battery_kw": battery.power_kw,
        "charge_efficiency": battery.charge_efficiency,
        "discharge_efficiency": battery.discharge_efficiency,
        "wear_eur_per_kwh": battery.wear_eur_per_kwh,
        "firm_kw": view.power_range.firm_kw,
        "lower_kw": view.power_range.lower_kw,
        "upper_kw": view.power_range.upper_kw,
        "connection_kw": view.connection_kw,
        "position_kw": view.position_kw,
    }
    numbers = {name: column.tolist() for name, column in scalars.items()}
    common: dict[str, Any] = {
        "interval": view.interval,
        "hours": tuple(view.horizon.hours.tolist()),
        "buy_eur_per_kwh": tuple(prices.buy_eur_per_kwh.tolist()),
        "sell_eur_per_kwh": tuple(prices.sell_eur_per_kwh.tolist()),
        "network_charge_eur_per_kwh": prices.network_charge_eur_per_kwh,
        "market_fee_eur_per_kwh": prices.market_fee_eur_per_kwh,
        "last_price_eur_per_kwh": view.last_price_eur_per_kwh,
        "fellows": view.ids,
    }
    demand, generation = view.fixed_kw.tolist(), view.available_kw.tolist()
    lower, upper = view.envelopes.lower_kw.tolist(), view.envelopes.upper_kw.tolist()
    flexible: dict[str, Any] = {name: _flexible(getattr(view, name)) for name in ("ev", "shiftable", "heat_pump")}
    v2g, elastic = _giving_back(view), _answering(view)
    return [
        ProsumerView(
            id=name,
            demand_kw=tuple(demand[row]),
            generation_kw=tuple(generation[row]),
            envelope=Envelope(lower[row], upper[row]),
            v2g=None if v2g is None else v2g[row],
            elastic=None if elastic is None else elastic[row],
            **common,
            **{key: values[row] for key, values in flexible.items()},
            **{key: values[row] for key, values in numbers.items()},
        )
        for row, name in enumerate(view.ids)
    ]


def _giving_back(view: ProsumersView) -> list[GivingBack] | None:
    cars = view.portfolio.ev.v2g
    if cars is None or view.v2g is None:
        return None
    columns = (
        view.v2g.widened(view.ev).min_kwh.tolist(),
        view.v2g.power_kw.tolist(),
        cars.efficiency.tolist(),
        cars.wear_eur_per_kwh.tolist(),
    )
    return [GivingBack(tuple(low), tuple(power), *rest) for low, power, *rest in zip(*columns, strict=True)]


def _answering(view: ProsumersView) -> list[Answering] | None:
    device = view.portfolio.demand.elastic
    if device is None or view.elastic is None:
        return None
    columns = (
        view.elastic.power_kw.tolist(),
        view.elastic.share.tolist(),
        device.least_eur_per_kwh.tolist(),
        device.most_eur_per_kwh.tolist(),
    )
    return [Answering(tuple(power), tuple(share), *worth) for power, share, *worth in zip(*columns, strict=True)]


def _flexible(corridor: Corridor) -> list[Flexible]:
    columns = (corridor.min_kwh.tolist(), corridor.max_kwh.tolist(), corridor.power_kw.tolist())
    return [Flexible(tuple(low), tuple(high), tuple(power)) for low, high, power in zip(*columns, strict=True)]


def one_outcome(outcome: Outcome) -> list[ProsumerOutcome]:
    """Return the outcome of each member, in the order of `outcome.ids`."""
    rows = (outcome.position_wh.tolist(), outcome.metered_wh.tolist(), outcome.money.tolist())
    return [
        ProsumerOutcome(
            outcome.interval,
            position_wh / WH_PER_KWH,
            metered_wh / WH_PER_KWH,
            money / MONEY_PER_EUR,
            outcome.price_eur_per_kwh,
            outcome.price_share,
        )
        for position_wh, metered_wh, money in zip(*rows, strict=True)
    ]
