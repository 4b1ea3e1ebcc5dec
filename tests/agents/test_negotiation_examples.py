"""The negotiators that come as examples say what they claim to."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.situations import IDS, situations
from cosim.agents.prosumer.negotiating.check import negotiation_view
from cosim.agents.prosumer.negotiating.conceding import Conceding
from cosim.agents.prosumer.negotiating.one import one_negotiation_view
from cosim.agents.prosumer.negotiating.over_requesting import OverRequesting
from cosim.agents.prosumer.negotiating.strategy import Offer
from cosim.agents.prosumer.negotiating.stubborn import Stubborn
from cosim.agents.prosumer.negotiating.wish import wish

SCENES = list(situations())
NOON = dict(
    zip(
        IDS, one_negotiation_view(negotiation_view(next(s for s in SCENES if s.name == "noon"), pool=True)), strict=True
    )
)


def offer(view, number, lower=-1.0, upper=2.0, net=0.5, trade=0.25) -> Offer:
    """Return an offer that is the same in all steps."""
    columns = [(value,) * view.steps for value in (lower, upper, net, 0.0, 0.0, 0.0, trade, 0.1)]
    return Offer(number, *columns, penalty_eur_per_kw2h=0.05)


def test_a_wish_is_what_the_devices_can_fill():
    """By hand: a roof of 12 kWp with 1.5 kW of demand and a battery of 5 kW; cloudy 6, forecast 12, bright 14.4 kW."""
    roof = NOON["roof"]
    home = roof.prosumer
    asked = wish(roof)
    waiting = home.shiftable.power_kw[0]
    early = home.shiftable.max_kwh[0] / 0.25
    demand = home.demand_kw[0]
    assert demand == pytest.approx(-1.5 * 0.9 * (1 + 0.5 * np.sin(-2 * np.pi / 24)))
    assert asked.upper_kw[0] == pytest.approx(demand + 14.4 + 5.0)
    assert asked.lower_kw[0] == pytest.approx(max(demand - waiting - 5.0, -20.0))
    assert asked.net_kw[0] == pytest.approx(demand + 0.25 * 6.0 + 0.5 * 12.0 + 0.25 * 14.4 - early)


def test_a_wish_is_sound_in_every_situation():
    """A band in order, within the connection, that holds what happens if nothing is decided; larger with its factor."""
    for scene in SCENES:
        for view in one_negotiation_view(negotiation_view(scene, pool=False)):
            narrow, wide = wish(view), wish(view, 3.0)
            for bid in (narrow, wide):
                assert np.all(bid.lower_kw <= bid.net_kw)
                assert np.all(bid.net_kw <= bid.upper_kw)
                assert np.all(np.abs([bid.lower_kw, bid.upper_kw]) <= view.prosumer.connection_kw)
            assert narrow.lower_kw[0] <= view.prosumer.natural_net_kw + 1e-9
            assert view.prosumer.natural_net_kw <= narrow.upper_kw[0] + 1e-9
            assert np.all(wide.lower_kw <= narrow.lower_kw)
            assert np.all(wide.upper_kw >= narrow.upper_kw)


@pytest.mark.parametrize(
    ("beta", "first", "shares"),
    [
        (1.0, 0.0, [0.0, 0.25, 0.5, 1.0, 1.0]),
        (0.5, 0.0, [0.0, 0.0625, 0.25, 1.0, 1.0]),
        (2.0, 0.0, [0.0, 0.5, 0.5**0.5, 1.0, 1.0]),
        (1.0, 0.2, [0.2, 0.4, 0.6, 1.0, 1.0]),
    ],
    ids=["linear", "boulware", "conceder", "head start"],
)
def test_conceding_follows_its_formula(beta, first, shares):
    """Go k + (1 - k) (min(t, T) / T)^(1 / beta) of the way from wish to offer; by hand for T = 4, t = 0, 1, 2, 4, 9."""
    view = NOON["roof"]
    own = wish(view)
    talk = Conceding(rounds=4, beta=beta, first_share=first).negotiate(view, offer(view, 0), np.random.default_rng(0))
    bids = [next(talk)] + [talk.send(offer(view, number)) for number in (1, 2, 4, 9)]
    for share, bid in zip(shares, bids, strict=True):
        np.testing.assert_allclose(bid.upper_kw, (1 - share) * own.upper_kw + share * 2.0)
        np.testing.assert_allclose(bid.lower_kw, (1 - share) * own.lower_kw + share * -1.0)
        np.testing.assert_allclose(bid.net_kw, (1 - share) * own.net_kw + share * 0.5)
        np.testing.assert_allclose(bid.trade_kw, share * 0.25)
        assert bid.lower_kw[0] <= bid.net_kw[0] <= bid.upper_kw[0]


@pytest.mark.parametrize(("make", "factor"), [(Stubborn, 1.0), (OverRequesting, 3.0)])
def test_some_do_not_listen(make, factor):
    """Stubborn repeats its wish, over-requesting a multiple of it, whatever is offered at whatever price."""
    view = NOON["home"]
    asked = wish(view, factor)
    talk = make().negotiate(view, offer(view, 0), np.random.default_rng(0))
    dear = replace(offer(view, 1), upper_price=(9.0,) * view.steps)
    for bid in (next(talk), talk.send(dear)):
        assert np.array_equal(bid.upper_kw, asked.upper_kw)
        assert np.array_equal(bid.lower_kw, asked.lower_kw)
        assert bid.trade_kw is None
