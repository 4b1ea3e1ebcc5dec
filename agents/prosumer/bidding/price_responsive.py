"""Price-responsive: the rule of a home energy manager, thresholds on today's retail prices, no optimisation.

Of the prices over the horizon (about a day), weighted by the hours they hold, take the quantiles at `cheap_share`,
one half, and `dear_share`. With equal outer quantiles no hour is either. Now is

    cheap   at or below the lower one: the heat pump fills its buffer, the battery buys what it will need
    dear    at or above the upper one: demand that can wait waits, the heat pump lives off its buffer, and the battery
            covers the home's deficit
    else    demand runs as it comes, the heat pump follows its profile, and the battery covers a deficit with what it
            will not need

What the battery will need is the deficit forecast for the next dear hours less the surplus forecast until then, losses
included. It buys only if that repays losses and wear at the upper quantile, e (dear - wear) > price + wear, and stores
surplus at any time. Cars stay for long and can be choosier: they charge only at or below the median. Whatever waits
runs in time: cars leave charged, buffers do not run dry.

The devices do not wait for the market: what they come to is ordered at the supplier's prices, and what the market does
not take, the supplier does.

Such threshold rules are common practice rather than one author's invention; `cheap_share` and `dear_share` are ours.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from cosim.agents.prosumer.bidding import rules
from cosim.agents.prosumer.bidding.strategy import CohortChance, CohortStrategy, Memory
from cosim.models.devices.columns import SetPoints
from cosim.models.devices.deliver import deliver
from cosim.models.envelope import Envelopes
from cosim.models.market.order import BUY, SELL, WH_PER_KWH, Orders
from cosim.views import ProsumersView

CHEAP_SHARE, DEAR_SHARE = 0.25, 0.75
# Rounding may not turn 290 Wh into 289.
ROUNDING_WH = 1e-6


@dataclass
class PriceResponsive(CohortStrategy):
    """Stores and heats in the cheapest quarter of the day, waits and discharges in the dearest."""

    name = "price_responsive"
    cheap_share: float = CHEAP_SHARE
    dear_share: float = DEAR_SHARE

    def request(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Envelopes:  # noqa: ARG002
        net_kw = self._planned(view)[1]
        return rules.with_room(view, net_kw, net_kw)

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:  # noqa: ARG002
        net_kw = view.envelopes.clip(self._planned(view)[1])
        energy_wh = np.floor(np.abs(view.interval.energy_kwh(net_kw)) * WH_PER_KWH + ROUNDING_WH).astype(np.int64)
        fee = view.prices.market_fee_eur_per_kwh
        feed_in, retail = view.prices.sell_eur_per_kwh[0] + fee, view.prices.energy_eur_per_kwh[0] - fee
        rows = np.flatnonzero(energy_wh > 0).astype(np.int64)
        side = np.where(net_kw > 0, SELL, BUY).astype(np.int8)[rows]
        return Orders(rows, side, energy_wh[rows], np.where(side == SELL, feed_in, retail))

    def dispatch(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> SetPoints:  # noqa: ARG002
        return self._planned(view)[0]

    def _planned(self, view: ProsumersView) -> tuple[SetPoints, np.ndarray]:
        """Return the set-points and the net power (n,) that they come to."""
        hour = _Hour.of(view, self.cheap_share, self.dear_share)
        nothing, most = np.zeros(len(view)), np.full(len(view), np.inf)
        points = SetPoints(
            battery_kw=nothing,
            shiftable_kw=nothing if hour.dear else -most,
            ev_kw=-most if hour.below_median else _waiting(view),
            heat_pump_kw=-most if hour.cheap else nothing if hour.dear else view.expected.heat_pump_kw,
            generation_kw=most,
            elastic_share=rules.undecided(view).elastic_share,
        )
        free = Envelopes.unlimited(len(view))
        net_kw = deliver(view.portfolio, view.state, points, view.expected, view.interval, free)[1].net_kw
        span = view.portfolio.battery.span(view.state.soc_kwh, view.interval.hours)
        battery_kw = np.clip(_battery_wish(view, hour, net_kw), span.lower_kw, span.upper_kw)
        return replace(points, battery_kw=battery_kw), net_kw + battery_kw


def _waiting(view: ProsumersView) -> np.ndarray:
    """Return set-points (n,) at which cars charge what they must; with zero, others would give it back."""
    return np.zeros(len(view)) if view.v2g is None else -view.ev.min_kwh[:, 0] / view.interval.hours


@dataclass(frozen=True, slots=True)
class _Hour:
    """What the interval is among the prices of the day: `dear_from` is the price from which an hour is dear."""

    cheap: bool
    dear: bool
    below_median: bool
    dear_from: float

    @classmethod
    def of(cls, view: ProsumersView, cheap_share: float, dear_share: float) -> Self:
        prices, hours = view.prices.buy_eur_per_kwh, view.horizon.hours
        low, middle, high = (quantile(prices, hours, share) for share in (cheap_share, 0.5, dear_share))
        dear_from = high if high > low else np.inf
        now = float(prices[0])
        return cls(now <= low < high, now >= dear_from, now <= middle, dear_from)


def _battery_wish(view: ProsumersView, hour: _Hour, net_kw: np.ndarray) -> np.ndarray:
    """Return what batteries (n,) should do beside a net power, their rating and charge not yet minded."""
    if hour.dear:
        return -net_kw
    battery, hours = view.portfolio.battery, view.interval.hours
    spare_kwh = view.state.soc_kwh - battery.soc_min_kwh - needed_kwh(view, hour.dear_from)
    if not hour.cheap:
        return np.minimum(-net_kw, np.maximum(spare_kwh, 0.0) * battery.discharge_efficiency / hours)
    round_trip, wear = battery.charge_efficiency * battery.discharge_efficiency, battery.wear_eur_per_kwh
    repays = round_trip * (hour.dear_from - wear) > view.prices.buy_eur_per_kwh[0] + wear
    bought_kw = np.maximum(-spare_kwh, 0.0) / (battery.charge_efficiency * hours)
    return np.minimum(-np.maximum(net_kw, 0.0), np.where(repays, -bought_kw, 0.0))


def needed_kwh(view: ProsumersView, dear_from: float) -> np.ndarray:
    """Return what batteries (n,) must hold now for the next dear hours beyond what the sun brings until then."""
    is_dear = view.prices.buy_eur_per_kwh >= dear_from
    if not is_dear.any():
        return np.zeros(len(view))
    begin = int(is_dear.argmax())
    end = begin + int(np.append(~is_dear[begin:], True).argmax())
    energy_kwh = (view.fixed_kw + view.available_kw) * view.horizon.hours
    battery = view.portfolio.battery
    deficit = np.maximum(-energy_kwh[:, begin:end], 0.0).sum(axis=1) / battery.discharge_efficiency
    surplus = np.maximum(energy_kwh[:, :begin], 0.0).sum(axis=1) * battery.charge_efficiency
    return np.maximum(deficit - surplus, 0.0)


def quantile(prices: np.ndarray, hours: np.ndarray, share: float) -> float:
    """Return the lowest price that at least a share of the hours does not exceed; prices and hours are (step,).

    >>> quantile(np.array([0.3, 0.1, 0.2]), np.array([1.0, 1.0, 2.0]), 0.25)
    0.1
    """
    order = np.argsort(prices, kind="stable")
    until = np.cumsum(hours[order])
    return float(prices[order][np.searchsorted(until, share * until[-1])])
