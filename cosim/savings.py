"""What each prosumer saves: its account against the bill of a twin that decides nothing and never trades.

The twin has the same devices, weather and cars. All runs as it comes, its battery stands still, and the supplier takes
and provides everything at its own prices, with the grid in nobody's way: it never is without voltage, and what an
outage costs counts against what is saved. An interval saves

    what the account got - what the twin's would have got
    + what the battery took up, at the least that it is worth: feed-in price times discharge efficiency
    - what was forgone of elastic demand beyond what the twin forgoes, and what batteries lost of their worth.

What a battery holds at a review and at the one before is worth one price, the mean feed-in price of the period between
them: feeding in when it is dear what was stored when it was cheap counts in full, and who stands still saves nothing
by prices that change. An interval values what it takes up at the mean so far, and what was taken up since the review
by how that mean has moved: the sum over a period is what it took up at its mean.

Divided by what the twin exchanges with its supplier this is EUR per kWh, by which unlike prosumers can be compared.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from cosim.models.devices.columns import Delivery, DeviceState, Exogenous, SetPoints
from cosim.models.devices.deliver import deliver
from cosim.models.devices.portfolio import Portfolio
from cosim.models.envelope import Envelopes
from cosim.models.market.order import WH_PER_KWH
from cosim.models.market.settlement import MONEY_PER_EUR, SettlementPrices
from cosim.models.step import whole_wh
from cosim.models.time import Interval


@dataclass(frozen=True, slots=True)
class Settled:
    """A settled interval of everybody: devices before and after, what was delivered, money (n,) in 1e-5 EUR."""

    before: DeviceState
    after: DeviceState
    delivery: Delivery
    money: np.ndarray


@dataclass(frozen=True, slots=True)
class Savings:
    """The twins' devices; what was saved and what the twins exchanged in the interval, and since the last review (n,).

    `saved_eur` in EUR, `exchanged_kwh` >= 0 in kWh; `total_*` are the sums that a review reads. `intervals` is how many
    these have; `feed_in_eur_per_kwh` their mean price, `begun_kwh` what batteries held when the first of them began.
    """

    devices: DeviceState
    intervals: int
    saved_eur: np.ndarray
    exchanged_kwh: np.ndarray
    total_eur: np.ndarray
    total_kwh: np.ndarray
    feed_in_eur_per_kwh: np.ndarray
    begun_kwh: np.ndarray

    @classmethod
    def begun(cls, devices: DeviceState) -> Self:
        """Return the savings of a run that begins."""
        return cls(devices, 0, *(np.zeros(len(devices.soc_kwh)) for _ in range(6)))

    def after(
        self, portfolio: Portfolio, settled: Settled, exogenous: Exogenous, prices: SettlementPrices, interval: Interval
    ) -> Self:
        """Return the savings with one more interval."""
        points = replace(SetPoints.as_it_comes(exogenous), elastic_share=_wanted(portfolio, exogenous, prices))
        free = Envelopes.unlimited(len(self.total_eur))
        devices, alone = deliver(portfolio, self.devices, points, exogenous, interval, free)
        exchanged = whole_wh(alone.net_kw, interval) / WH_PER_KWH
        period = self._with_one_more(settled, prices)
        own = settled.money / MONEY_PER_EUR - _lost(settled.delivery) + _stored(portfolio, settled, self, period)
        saved = own - (_account_eur(exchanged, prices) - _lost(alone))
        size = np.abs(exchanged)
        return replace(
            period,
            devices=devices,
            saved_eur=saved,
            exchanged_kwh=size,
            total_eur=self.total_eur + saved,
            total_kwh=self.total_kwh + size,
        )

    def read(self) -> Self:
        """Return them with sums that begin anew, after a review."""
        return replace(
            self, total_eur=np.zeros_like(self.total_eur), total_kwh=np.zeros_like(self.total_kwh), intervals=0
        )

    def _with_one_more(self, settled: Settled, prices: SettlementPrices) -> Self:
        """Return them with the mean price of one more interval, and from the first what batteries held before."""
        count = self.intervals + 1
        mean = self.feed_in_eur_per_kwh + (prices.sell_eur_per_kwh - self.feed_in_eur_per_kwh) / count
        begun = self.begun_kwh if self.intervals else settled.before.soc_kwh
        return replace(self, feed_in_eur_per_kwh=mean, begun_kwh=begun, intervals=count)

    def to_plain(self) -> dict[str, Any]:
        """Return them as nested dicts of arrays."""
        columns = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**columns, "devices": self.devices.to_arrays()}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Rebuild what `to_plain` took apart."""
        return cls(**{**plain, "devices": DeviceState.from_arrays(plain["devices"])})


def _account_eur(exchanged_kwh: np.ndarray, prices: SettlementPrices) -> np.ndarray:
    """Return what the supplier and the network leave of energies (n,), positive into the grid."""
    bought = prices.energy_eur_per_kwh + prices.network_charge_eur_per_kwh
    account: np.ndarray = exchanged_kwh * np.where(exchanged_kwh > 0.0, prices.sell_eur_per_kwh, bought)
    return account


def _lost(delivery: Delivery) -> np.ndarray:
    lost: np.ndarray = delivery.forgone_eur + delivery.ageing_eur
    return lost


def _stored(portfolio: Portfolio, settled: Settled, earlier: Savings, period: Savings) -> np.ndarray:
    """Return by how much what batteries took up since the review (n,) is worth more than an interval earlier."""
    efficiency, held = portfolio.battery.discharge_efficiency, settled.before.soc_kwh
    moved = period.feed_in_eur_per_kwh - earlier.feed_in_eur_per_kwh
    worth: np.ndarray = (settled.after.soc_kwh - held) * efficiency * period.feed_in_eur_per_kwh
    return worth + (held - period.begun_kwh) * efficiency * moved


def _wanted(portfolio: Portfolio, exogenous: Exogenous, prices: SettlementPrices) -> np.ndarray | None:
    """Return the share of elastic demand (n,) that is worth the supplier's prices, None where there is none."""
    device = portfolio.demand.elastic
    if device is None:
        return None
    firm_kw = portfolio.demand.firm_kw(exogenous.demand_kw)[:, None]
    power_kw = -firm_kw * device.share[:, None]
    spare_kw = exogenous.available_kw[:, None] + firm_kw + power_kw
    bought = np.asarray(prices.energy_eur_per_kwh + prices.network_charge_eur_per_kwh)
    return device.worth(bought.reshape(-1, 1), np.reshape(prices.sell_eur_per_kwh, (-1, 1)), power_kw, spare_kw)[:, 0]
