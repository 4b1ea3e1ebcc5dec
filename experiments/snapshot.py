"""One power flow of a network as its file has it: what `cosim powerflow` prints."""

from pathlib import Path
from typing import Any

from cosim.models.errors import BadInputError
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.powerflow import PowerFlow, powerflow_summary

SLACK_PU = (0.5, 1.5)
MOST_SCALE = 1e6


def snapshot(network: str, slack_vm_pu: float | None, load_scale: float) -> dict[str, Any]:
    """Solve a network's own loads times a factor; BadInputError for numbers that make no sense."""
    if slack_vm_pu is not None and not SLACK_PU[0] <= slack_vm_pu <= SLACK_PU[1]:
        raise BadInputError.one("command line", "--slack", slack_vm_pu, "allowed is 0.5 to 1.5 pu")
    if not abs(load_scale) <= MOST_SCALE:
        raise BadInputError.one("command line", "--load-scale", load_scale, "allowed is a finite factor")
    feeder = load_feeder(network, Path(network).name if network.endswith(".json") else None)
    flow = PowerFlow(feeder, slack_vm_pu=slack_vm_pu, engine="pandapower")
    return powerflow_summary(feeder, flow.solve(load_scale * feeder.load_kw, load_scale * feeder.load_kvar))
