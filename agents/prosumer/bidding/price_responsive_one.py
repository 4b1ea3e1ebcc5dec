"""Price-responsive, written for one prosumer; the rule stands in `price_responsive.py`."""

import numpy as np

from cosim.agents.prosumer.bidding.passive_one import with_room
from cosim.agents.prosumer.bidding.price_responsive import CHEAP_SHARE, DEAR_SHARE
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, Decision
from cosim.models.envelope import Envelope
from cosim.models.market.order import Order
from cosim.views import Flexible, ProsumerView


class PriceResponsiveOne(BiddingStrategy):
    """Stores and heats in the cheapest quarter of the day, waits and discharges in the dearest."""

    def request(self, view: ProsumerView, chance: np.random.Generator) -> Envelope:  # noqa: ARG002
        net_kw = self.planned(view)[1]
        return with_room(view, net_kw, net_kw)

    def bid(self, view: ProsumerView, chance: np.random.Generator) -> list[Order]:  # noqa: ARG002
        energy_kwh = view.envelope.clip(self.planned(view)[1]) * view.interval.hours
        fee = view.market_fee_eur_per_kwh
        if energy_kwh > 0:
            return [Order("sell", energy_kwh, view.sell_eur_per_kwh[0] + fee)]
        return [Order("buy", -energy_kwh, view.buy_eur_per_kwh[0] - view.network_charge_eur_per_kwh - fee)]

    def dispatch(self, view: ProsumerView, chance: np.random.Generator) -> Decision:  # noqa: ARG002
        return self.planned(view)[0]

    def planned(self, view: ProsumerView) -> tuple[Decision, float]:
        """Return the set-points and the net power that they come to."""
        now = view.buy_eur_per_kwh[0]
        low, middle, high = (quantile(view, share) for share in (CHEAP_SHARE, 0.5, DEAR_SHARE))
        cheap, dear = now <= low < high, now >= high > low
        runs = {"shiftable": not dear, "ev": now <= middle, "heat_pump": cheap}
        flexible = {name: reach(getattr(view, name), view.hours[0], runs=run) for name, run in runs.items()}
        if not cheap and not dear:
            flexible["heat_pump"] = profile(view)
        net_kw = view.demand_kw[0] + view.generation_kw[0] + sum(flexible.values())
        spare_kwh = view.soc_kwh - view.soc_min_kwh - needed_kwh(view, high if high > low else np.inf)
        if dear:
            wish_kw = -net_kw
        elif cheap:
            bought_kw = max(-spare_kwh, 0.0) / (view.charge_efficiency * view.hours[0])
            wish_kw = min(-max(net_kw, 0.0), -bought_kw if repays(view, high) else 0.0)
        else:
            wish_kw = min(-net_kw, max(spare_kwh, 0.0) * view.discharge_efficiency / view.hours[0])
        battery_kw = within_charge(view, wish_kw)
        most = {name: -np.inf if run else 0.0 for name, run in runs.items()}
        if view.v2g is not None and not runs["ev"]:
            most["ev"] = flexible["ev"]
        heat_pump_kw = most["heat_pump"] if cheap or dear else None
        return Decision(battery_kw, most["shiftable"], most["ev"], heat_pump_kw), net_kw + battery_kw


def reach(demand: Flexible, hours: float, *, runs: bool) -> float:
    """Return the power (negative) of a demand that takes all it can in the interval, or only what it must."""
    return -(demand.max_kwh[0] if runs else demand.min_kwh[0]) / hours


def profile(view: ProsumerView) -> float:
    """Return the heat pump's power on its profile: what is left of the natural net power beside all else."""
    others = reach(view.shiftable, view.hours[0], runs=True) + reach(view.ev, view.hours[0], runs=True)
    return view.natural_net_kw - view.demand_kw[0] - view.generation_kw[0] - others


def quantile(view: ProsumerView, share: float) -> float:
    """Return the lowest price that at least a share of the horizon's hours does not exceed."""
    until, total = 0.0, sum(view.hours)
    for price, hours in sorted(zip(view.buy_eur_per_kwh, view.hours, strict=True)):
        until += hours
        if until >= share * total:
            return price
    return max(view.buy_eur_per_kwh)


def needed_kwh(view: ProsumerView, dear_eur_per_kwh: float) -> float:
    """Return what the battery must hold now for the next dear hours beyond what the sun brings until then."""
    deficit = surplus = 0.0
    begun = False
    steps = zip(view.buy_eur_per_kwh, view.hours, view.demand_kw, view.generation_kw, strict=True)
    for price, hours, demand_kw, generation_kw in steps:
        energy_kwh = (demand_kw + generation_kw) * hours
        if price >= dear_eur_per_kwh:
            begun = True
            deficit += max(-energy_kwh, 0.0)
        elif begun:
            break
        else:
            surplus += max(energy_kwh, 0.0)
    return max(deficit / view.discharge_efficiency - surplus * view.charge_efficiency, 0.0) if begun else 0.0


def repays(view: ProsumerView, dear_eur_per_kwh: float) -> bool:
    """Say whether a kWh charged now is worth it at a dear hour, losses and wear included."""
    round_trip = view.charge_efficiency * view.discharge_efficiency
    return round_trip * (dear_eur_per_kwh - view.wear_eur_per_kwh) > view.buy_eur_per_kwh[0] + view.wear_eur_per_kwh


def within_charge(view: ProsumerView, battery_kw: float) -> float:
    """Return the nearest power that the battery's rating and state of charge allow."""
    room_kwh, stored_kwh = max(view.soc_max_kwh - view.soc_kwh, 0.0), max(view.soc_kwh - view.soc_min_kwh, 0.0)
    charge = min(view.battery_kw, room_kwh / (view.charge_efficiency * view.hours[0]))
    discharge = min(view.battery_kw, stored_kwh * view.discharge_efficiency / view.hours[0])
    return min(max(battery_kw, -charge), discharge)
