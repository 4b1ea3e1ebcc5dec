"""`cosim check`: load a plug-in as a run would, and hand it to the checker of its contract."""

from pathlib import Path
from typing import Any

from cosim.experiments.plugins import registries
from cosim.models.errors import BadInputError
from cosim.registry import allow_plugins


def check_plugin(name: str, folder: Path) -> list[str]:
    """Return how a plug-in breaks its contract, a sentence each; BadInputError when it is none."""
    from cosim.agents.dso.envelopes.check import check_policy
    from cosim.agents.dso.envelopes.policy import EnvelopePolicy
    from cosim.agents.prosumer.bidding.check import check_strategy
    from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, CohortStrategy
    from cosim.models.forecast.check import check_forecaster
    from cosim.models.forecast.forecaster import Forecaster
    from cosim.models.market.check import check_mechanism
    from cosim.models.market.mechanism import Mechanism

    module, _, attribute = name.partition(":")
    allowed = allow_plugins([module], folder) if attribute else {}
    plugin = _load(name, allowed)
    if isinstance(plugin, type) and issubclass(plugin, (BiddingStrategy, CohortStrategy)):
        return check_strategy(plugin)
    if isinstance(plugin, type) and issubclass(plugin, EnvelopePolicy):
        return check_policy(plugin())
    if isinstance(plugin, type) and issubclass(plugin, Mechanism):
        return check_mechanism(plugin())
    if isinstance(plugin, type) and issubclass(plugin, Forecaster):
        return check_forecaster(plugin())
    kinds = "a subclass of BiddingStrategy, CohortStrategy, EnvelopePolicy, Mechanism or Forecaster"
    raise BadInputError.one("command line", "PLUGIN", name, f"allowed is {kinds}")


def _load(name: str, allowed: dict[str, Path | None]) -> Any:
    known = registries(allowed)
    if ":" in name:
        return known["strategy"].load(name, key="PLUGIN")
    for registry in known.values():
        if name in registry.names():
            return registry.load(name, key="PLUGIN")
    return known["strategy"].load(name, key="PLUGIN")
