"""`cosim check`: load a plug-in as a run would, and hand it to the checker of its contract."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cosim.experiments.plugins import registries
from cosim.models.errors import BadInputError
from cosim.registry import allow_plugins


def check_plugin(name: str, folder: Path) -> list[str]:
    """Return how a plug-in breaks its contract, a sentence each; BadInputError when it is none."""
    from cosim.agents.dso.curtailment import CurtailmentRule
    from cosim.agents.dso.curtailment_check import check_rule
    from cosim.agents.dso.envelopes.check import check_policy
    from cosim.agents.dso.envelopes.policy import EnvelopePolicy
    from cosim.agents.prosumer.bidding.check import check_strategy
    from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, CohortStrategy
    from cosim.agents.prosumer.negotiating.check import check_negotiation
    from cosim.agents.prosumer.negotiating.strategy import CohortNegotiation, NegotiationStrategy
    from cosim.experiments.begin import begun
    from cosim.experiments.tariffs import sample, tariff_of
    from cosim.models.forecast.check import check_forecaster
    from cosim.models.forecast.forecaster import Forecaster
    from cosim.models.market.check import check_mechanism
    from cosim.models.market.check_tariff import check_tariff
    from cosim.models.market.mechanism import Mechanism
    from cosim.models.market.tariff import Tariff

    module, _, attribute = name.partition(":")
    allowed = allow_plugins([module], folder) if attribute else {}
    plugin = _load(name, allowed)
    begin = partial(begun, plugin, file="command line", key="PLUGIN", name=name)
    # Strategies and negotiators are begun by their checkers, as often as they need; a tariff gets a scenario's offers.
    checks: dict[type, Callable[[Any], list[str]]] = {
        BiddingStrategy: check_strategy,
        CohortStrategy: check_strategy,
        NegotiationStrategy: check_negotiation,
        CohortNegotiation: check_negotiation,
        EnvelopePolicy: lambda _: check_policy(begin(EnvelopePolicy)),
        CurtailmentRule: lambda _: check_rule(begin(CurtailmentRule)),
        Mechanism: lambda _: check_mechanism(begin(Mechanism)),
        Forecaster: lambda _: check_forecaster(begin(Forecaster)),
        Tariff: lambda make: check_tariff(tariff_of(make, sample(), file="command line", name=name)),
    }
    for contract, check in checks.items():
        if isinstance(plugin, type) and issubclass(plugin, contract):
            return check(plugin)
    kinds = f"a subclass of {', '.join(contract.__name__ for contract in checks)}"
    raise BadInputError.one("command line", "PLUGIN", name, f"allowed is {kinds}")


def _load(name: str, allowed: dict[str, Path | None]) -> Any:
    known = registries(allowed)
    if ":" in name:
        return known["strategy"].load(name, key="PLUGIN")
    for registry in known.values():
        if name in registry.names():
            return registry.load(name, key="PLUGIN")
    return known["strategy"].load(name, key="PLUGIN")
