"""The plug-ins that can be named in a scenario, by kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cosim.registry import Registry

_BIDDING = "cosim.agents.prosumer.bidding"
_NEGOTIATING = "cosim.agents.prosumer.negotiating"
_ENVELOPES = "cosim.agents.dso.envelopes"
_MARKET = "cosim.models.market"


def registries(
    allowed: dict[str, Path | None] | None = None, isolate: Callable[[Registry, str], Any] | None = None
) -> dict[str, Registry]:
    """Return the registries of all kinds; `allowed` are modules that dotted names may point into.

    With `isolate` whatever is not built in is loaded by that function.
    """
    built_in = {
        "strategy": {
            "adaptive": f"{_BIDDING}.adaptive:Adaptive",
            "adaptive_one": f"{_BIDDING}.adaptive_one:AdaptiveOne",
            "capacity_withholder": f"{_BIDDING}.capacity_withholder:CapacityWithholder",
            "capacity_withholder_one": f"{_BIDDING}.capacity_withholder_one:CapacityWithholderOne",
            "colluding_pair": f"{_BIDDING}.colluding_pair:ColludingPair",
            "colluding_pair_one": f"{_BIDDING}.colluding_pair_one:ColludingPairOne",
            "free_rider": f"{_BIDDING}.free_rider:FreeRider",
            "free_rider_one": f"{_BIDDING}.free_rider_one:FreeRiderOne",
            "gjerstad_dickhaut": f"{_BIDDING}.gjerstad_dickhaut:GjerstadDickhaut",
            "gjerstad_dickhaut_one": f"{_BIDDING}.gjerstad_dickhaut_one:GjerstadDickhautOne",
            "herd_follower": f"{_BIDDING}.herd_follower:HerdFollower",
            "herd_follower_one": f"{_BIDDING}.herd_follower_one:HerdFollowerOne",
            "passive": f"{_BIDDING}.passive:Passive",
            "passive_one": f"{_BIDDING}.passive_one:PassiveOne",
            "predictive": f"{_BIDDING}.predictive:Predictive",
            "predictive_one": f"{_BIDDING}.predictive_one:PredictiveOne",
            "price_responsive": f"{_BIDDING}.price_responsive:PriceResponsive",
            "price_responsive_one": f"{_BIDDING}.price_responsive_one:PriceResponsiveOne",
            "q_learning": f"{_BIDDING}.q_learning:QLearning",
            "q_learning_one": f"{_BIDDING}.q_learning_one:QLearningOne",
            "roth_erev": f"{_BIDDING}.roth_erev:RothErev",
            "roth_erev_one": f"{_BIDDING}.roth_erev_one:RothErevOne",
            "self_consumption": f"{_BIDDING}.self_consumption:SelfConsumption",
            "self_consumption_one": f"{_BIDDING}.self_consumption_one:SelfConsumptionOne",
            "truthful": f"{_BIDDING}.truthful:Truthful",
            "truthful_one": f"{_BIDDING}.truthful_one:TruthfulOne",
            "zero_intelligence": f"{_BIDDING}.zero_intelligence:ZeroIntelligence",
            "zero_intelligence_one": f"{_BIDDING}.zero_intelligence_one:ZeroIntelligenceOne",
        },
        "negotiation": {
            "conceding": f"{_NEGOTIATING}.conceding:Conceding",
            "over_requesting": f"{_NEGOTIATING}.over_requesting:OverRequesting",
            "stubborn": f"{_NEGOTIATING}.stubborn:Stubborn",
            "two_stage": f"{_NEGOTIATING}.two_stage:TwoStage",
        },
        "envelopes": {
            "none": f"{_ENVELOPES}.none:NoEnvelopes",
            "static": f"{_ENVELOPES}.static:StaticEnvelopes",
            "fair": f"{_ENVELOPES}.fair:FairEnvelopes",
            "equal": f"{_ENVELOPES}.fair:EqualEnvelopes",
            "proportional": f"{_ENVELOPES}.fair:ProportionalEnvelopes",
            "max_sum": f"{_ENVELOPES}.fair:MaxSumEnvelopes",
            "negotiated": f"{_ENVELOPES}.negotiated:NegotiatedEnvelopes",
        },
        "curtailment": {"pro_rata": "cosim.agents.dso.curtailment:ProRata"},
        "mechanism": {
            "bilateral": f"{_MARKET}.bilateral:Bilateral",
            "bill_sharing": f"{_MARKET}.bill_sharing:BillSharing",
            "continuous_double_auction": f"{_MARKET}.continuous_double_auction:ContinuousDoubleAuction",
            "huang": f"{_MARKET}.huang:Huang",
            "mcafee": f"{_MARKET}.mcafee:McAfee",
            "mid_market_rate": f"{_MARKET}.mid_market_rate:MidMarketRate",
            "pay_as_bid": f"{_MARKET}.pay_as_bid:PayAsBid",
            "posted_price": f"{_MARKET}.posted_price:PostedPrice",
            "supply_demand_ratio": f"{_MARKET}.supply_demand_ratio:SupplyDemandRatio",
            "uniform_price": f"{_MARKET}.uniform_price:UniformPrice",
            "vcg": f"{_MARKET}.vcg:Vcg",
        },
        "tariff": {
            "dynamic": "cosim.models.market.tariff:Dynamic",
            "time_of_use": "cosim.models.market.tariff:TimeOfUse",
        },
        "forecaster": {
            "perfect": "cosim.models.forecast.perfect:Perfect",
            "persistence": "cosim.models.forecast.persistence:Persistence",
            "noisy": "cosim.models.forecast.noisy:Noisy",
        },
    }
    return {kind: Registry(kind, names, f"cosim.{kind}", allowed or {}, isolate) for kind, names in built_in.items()}
