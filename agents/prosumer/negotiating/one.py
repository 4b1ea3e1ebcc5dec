"""From the columns of a cohort in a negotiation to the plain values that one prosumer sees."""

from typing import Any

from cosim.agents.prosumer.negotiating.strategy import Offer, Offers, ProsumerNegotiationView
from cosim.agents.prosumer.one import one_view
from cosim.room_views import NegotiationView


def one_negotiation_view(view: NegotiationView) -> list[ProsumerNegotiationView]:
    """Return the view of each member, in the order of `view.prosumers.ids`."""
    generation, probability = view.generation.values.tolist(), view.generation.probability.tolist()
    return [
        ProsumerNegotiationView(
            prosumer=prosumer,
            generation_kw=tuple(tuple(scenario) for scenario in generation[row]),
            probability=tuple(probability[row]),
            steps=view.steps,
            pool=view.pool,
        )
        for row, prosumer in enumerate(one_view(view.prosumers))
    ]


def one_offer(offers: Offers) -> list[Offer]:
    """Return what each member hears, in the order of the rows."""
    room, price = offers.room, offers.price
    columns: dict[str, Any] = {
        "lower_kw": room.lower_kw.tolist(),
        "upper_kw": room.upper_kw.tolist(),
        "net_kw": room.net_kw.tolist(),
        "lower_price": price.lower_eur_per_kwh.tolist(),
        "upper_price": price.upper_eur_per_kwh.tolist(),
        "net_price": price.net_eur_per_kwh.tolist(),
        "trade_kw": offers.trade_kw.tolist(),
        "trade_price": offers.trade_price_eur_per_kwh.tolist(),
    }
    return [
        Offer(offers.round, **{name: tuple(columns[name][row]) for name in columns}, penalty_eur_per_kw2h=penalty)
        for row, penalty in enumerate(offers.penalty_eur_per_kw2h.tolist())
    ]
