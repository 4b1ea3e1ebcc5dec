"""The checker of mechanisms: it passes the sound one and finds each kind of broken one."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.models.market.check import check_mechanism
from cosim.models.market.huang import Huang
from cosim.models.market.mcafee import McAfee
from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism, Trades
from cosim.models.market.order import Orders
from cosim.models.market.uniform_price import UniformPrice
from cosim.models.market.vcg import Vcg


def test_uniform_price_keeps_every_promise():
    """The shipped mechanism passes the shipped checker."""
    assert check_mechanism(UniformPrice()) == []


class Spoilt(UniformPrice):
    """The sound mechanism with a spoilt outcome."""

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        clearing = super().clear(orders, context)
        return self.spoil(clearing, orders) if len(clearing.trades) else clearing

    def spoil(self, clearing: Clearing, orders: Orders) -> Clearing:
        raise NotImplementedError


class Raises(Spoilt):
    def spoil(self, clearing, orders):
        raise ZeroDivisionError


class ReturnsNothing(Spoilt):
    def spoil(self, clearing, orders):
        return None


class Overfills(Spoilt):
    def spoil(self, clearing, orders):
        trades = replace(clearing.trades, energy_wh=clearing.trades.energy_wh * 9)
        return replace(clearing, trades=trades, filled_wh=clearing.filled_wh * 9)


class LosesFills(Spoilt):
    def spoil(self, clearing, orders):
        return replace(clearing, filled_wh=clearing.filled_wh // 2)


class Overcharges(Spoilt):
    def spoil(self, clearing, orders):
        return reprice(clearing, 5.0)


class PaysNothing(Spoilt):
    def spoil(self, clearing, orders):
        return reprice(clearing, -500.0)


class NotANumber(Spoilt):
    def spoil(self, clearing, orders):
        return reprice(clearing, np.nan)


class HidesPrice(Spoilt):
    def spoil(self, clearing, orders):
        return replace(clearing, price_eur_per_kwh=None)


class FloatEnergy(Spoilt):
    def spoil(self, clearing, orders):
        return replace(clearing, filled_wh=clearing.filled_wh.astype(float))


class ShortFills(Spoilt):
    def spoil(self, clearing, orders):
        return replace(clearing, filled_wh=clearing.filled_wh[:-1])


class ShortTrades(Spoilt):
    def spoil(self, clearing, orders):
        return replace(clearing, trades=replace(clearing.trades, price_eur_per_kwh=np.zeros(0)))


class NegativeTrades(Spoilt):
    def spoil(self, clearing, orders):
        return replace(clearing, trades=replace(clearing.trades, energy_wh=-clearing.trades.energy_wh))


class NegativeFills(Spoilt):
    def spoil(self, clearing, orders):
        return replace(clearing, filled_wh=-clearing.filled_wh)


class Stranger(Spoilt):
    def spoil(self, clearing, orders):
        return replace(clearing, trades=replace(clearing.trades, buyer=clearing.trades.buyer + 77))


class FavoursTheFirst(Spoilt):
    def spoil(self, clearing, orders):
        return reprice(clearing, float(orders.limit_eur_per_kwh[0]))


class Remembers(Spoilt):
    calls = 0

    def spoil(self, clearing, orders):
        self.calls += 1
        return reprice(clearing, clearing.price_eur_per_kwh + self.calls * 1e-12)


class Lazy(Spoilt):
    def spoil(self, clearing, orders):
        return Clearing.nothing(orders)


class PriceOfNothing(Spoilt):
    def spoil(self, clearing, orders):
        return replace(Clearing.nothing(orders), price_eur_per_kwh=0.1)


class WritesInput(Spoilt):
    def spoil(self, clearing, orders):
        orders.energy_wh[0] = 1
        return clearing


class ClaimsTooMuch(UniformPrice):
    claims = frozenset({"magic"})


class ClaimsTruth(UniformPrice):
    claims = frozenset({"truthful"})


class ClaimsTruthOfUnits(UniformPrice):
    claims = frozenset({"truthful_units"})


class McAfeeOfAnySize(McAfee):
    claims = McAfee.claims | {"truthful"}


class HidesDeficit(Vcg):
    claims = frozenset({"no_deficit"})


class HidesSurplus(Huang):
    claims = frozenset({"budget_balanced"})


class KeepsSpread(Spoilt):
    def spoil(self, clearing, orders):
        spread = np.full(len(clearing.trades), 1e-3)
        return replace(clearing, trades=replace(clearing.trades, spread_eur_per_kwh=spread))


class SpreadIsNoNumber(Spoilt):
    def spoil(self, clearing, orders):
        spread = np.full(len(clearing.trades), np.inf)
        return replace(clearing, trades=replace(clearing.trades, spread_eur_per_kwh=spread))


class ShortSpread(Spoilt):
    def spoil(self, clearing, orders):
        return replace(clearing, trades=replace(clearing.trades, spread_eur_per_kwh=np.zeros(0)))


class OverchargesByStatute(Overcharges):
    claims = frozenset({"ignores_limits"})


class OverchargesByStatuteInVain(Overcharges):
    claims = frozenset({"ignores_limits", "individually_rational"})


def reprice(clearing: Clearing, price: float) -> Clearing:
    trades: Trades = clearing.trades
    return Clearing(replace(trades, price_eur_per_kwh=np.full(len(trades), price)), price, clearing.filled_wh)


@pytest.mark.parametrize(
    ("mechanism", "word"),
    [
        (Raises, "failed with ZeroDivisionError"),
        (ReturnsNothing, "failed with AttributeError"),
        (Overfills, "filled beyond its energy"),
        (LosesFills, "fills and trades disagree"),
        (Overcharges, "a limit is not respected"),
        (PaysNothing, "a limit is not respected"),
        (NotANumber, "price is not finite"),
        (HidesPrice, "'uniform_price' in vain"),
        (FloatEnergy, "int64"),
        (ShortFills, "filled_wh has shape"),
        (ShortTrades, "differ in length"),
        (NegativeTrades, "moves nothing or less"),
        (NegativeFills, "a fill is negative"),
        (Stranger, "not in the book"),
        (FavoursTheFirst, "order of the book matters"),
        (Remembers, "same book gives another outcome"),
        (Lazy, "'efficient' in vain"),
        (PriceOfNothing, "public price without trades"),
        (WritesInput, "failed with ValueError"),
        (ClaimsTooMuch, "claims 'magic'"),
        (ClaimsTruth, "'truthful' in vain"),
        (ClaimsTruthOfUnits, "'truthful_units' in vain"),
        (McAfeeOfAnySize, "'truthful' in vain"),
        (HidesDeficit, "'no_deficit' in vain"),
        (HidesSurplus, "'budget_balanced' in vain"),
        (KeepsSpread, "'uniform_price' in vain"),
        (SpreadIsNoNumber, "price is not finite"),
        (ShortSpread, "differ in length"),
        (OverchargesByStatuteInVain, "'individually_rational' in vain"),
    ],
)
def test_broken_mechanisms_are_found(mechanism: type[Mechanism], word: str):
    """Each kind of broken promise is reported in words that name it."""
    assert any(word in broken for broken in check_mechanism(mechanism()))


def test_limits_bind_unless_said_otherwise():
    """A mechanism that says that it ignores limits may; everything else is still looked at."""
    assert check_mechanism(OverchargesByStatute()) == []
