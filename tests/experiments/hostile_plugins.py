"""Code that nobody should run unguarded: strategies that never come back, leave, or take what there is."""

import os
import signal
import time
from contextlib import suppress

import numpy as np

from cosim.agents.prosumer.bidding.passive_one import PassiveOne
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, CohortStrategy
from cosim.agents.prosumer.bidding.truthful import Truthful
from cosim.agents.prosumer.bidding.truthful_one import TruthfulOne
from cosim.agents.prosumer.negotiating.strategy import Bid, NegotiationStrategy


def loop():
    """Never come back."""
    while True:
        pass


def swallow():
    """Never come back, and hear nobody."""
    while True:
        with suppress(BaseException):
            time.sleep(0.01)


def leave():
    """Leave without a word."""
    os._exit(3)


def die():
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def stop():
    """Be stopped, which nobody hears of."""
    os.kill(os.getpid(), signal.SIGSTOP)


def hog():
    """Take all the memory there is."""
    kept = []
    while True:
        kept.append(np.ones(2**22))


def forge():
    """Write nonsense where answers are expected."""
    for number in range(3, 64):
        with suppress(OSError):
            os.write(number, b"\xff" * 64)
    loop()


def flood():
    """Print without end."""
    while True:
        print("x" * 100_000)


WAYS = {way.__name__: way for way in (loop, swallow, leave, die, stop, hog, forge, flood)}


def _one(way):
    def asked(*_):
        way()

    return type(way.__name__.title() + "One", (BiddingStrategy,), dict.fromkeys(("request", "bid", "dispatch"), asked))


def _cohort(way):
    def asked(*_):
        way()

    methods = dict.fromkeys(("request", "bid", "dispatch"), asked)
    return type(way.__name__.title(), (CohortStrategy,), {"name": way.__name__, **methods})


for _way in WAYS.values():
    for _make in (_one(_way), _cohort(_way)):
        _make.__module__ = __name__
        globals()[_make.__name__] = _make


class Unlocks(Truthful):
    """Takes the lock off what it is shown, and writes."""

    name = "unlocks"

    def request(self, view, memory, chance):
        bands = super().request(view, memory, chance)
        for column in (view.state.soc_kwh, view.portfolio.connection_kw, view.prices.sell_eur_per_kwh):
            with suppress(ValueError):
                column.flags.writeable = True
                column[:] = 0.0
        return bands


class SoundTruthful(Truthful):
    """Does what its parent does, in another process."""


class LoopsOnce(TruthfulOne):
    """Never comes back from one call, unless a file says that it may."""

    def __init__(self):
        self.bids = 0

    def bid(self, view, chance):
        self.bids += 1
        if view.interval.index == 1 and not os.path.exists(os.environ.get("COSIM_TEST_GATE", "")):  # noqa: PTH110
            loop()
        return super().bid(view, chance)


class OncePassive(TruthfulOne):
    """What is left of it."""

    def __init__(self):
        self.bids = 0

    def bid(self, view, chance):
        if view.interval.index == 1:
            return PassiveOne().bid(view, chance)
        self.bids += 1
        return super().bid(view, chance)


class Hesitant(NegotiationStrategy):
    """Half of them never come back from their second round; the others count the rounds they have had."""

    def negotiate(self, view, offer, chance):
        rounds = 0
        while True:
            rounds += 1
            if view.prosumer.id == "farm-17" and rounds == 2:
                loop()
            net = [value / rounds for value in offer.net_kw]
            offer = yield Bid(
                np.minimum(offer.lower_kw, net), np.maximum(offer.upper_kw, net), np.array(net), np.zeros(view.steps)
            )


class HalfAccepting(NegotiationStrategy):
    """What is left of them."""

    def negotiate(self, view, offer, chance):
        rounds = 0
        while True:
            rounds += 1
            net = [value / rounds for value in offer.net_kw]
            if view.prosumer.id == "farm-17" and rounds >= 2:
                bid = Bid(*map(np.array, (offer.lower_kw, offer.upper_kw, offer.net_kw, offer.trade_kw)))
            else:
                bid = Bid(
                    np.minimum(offer.lower_kw, net),
                    np.maximum(offer.upper_kw, net),
                    np.array(net),
                    np.zeros(view.steps),
                )
            offer = yield bid
