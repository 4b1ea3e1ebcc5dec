"""`cosim powerflow`, `cosim reconfigure` and `cosim convert`: a network by itself."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.experiments.commands.shared import AsJson, exit_codes, print_figures

Network = Annotated[str, typer.Argument(help="Bundled network, pandapower:NAME, simbench:CODE, or a JSON file.")]
LoadScale = Annotated[float, typer.Option(help="Factor on all loads.")]


def powerflow(
    network: Network,
    slack: Annotated[float | None, typer.Option(help="Slack voltage in pu, instead of the network's.")] = None,
    load_scale: LoadScale = 1.0,
    json_: AsJson = False,
) -> None:
    """Solve the AC power flow of a network's own loads."""
    with exit_codes():
        from cosim.experiments.snapshot import snapshot
        from cosim.models.errors import SimulationError

        figures = snapshot(network, slack, load_scale)
        if json_:
            typer.echo(json.dumps(figures, indent=2, sort_keys=True, allow_nan=False))
        if not figures["converged"]:
            raise SimulationError(f"{figures['feeder']}: {figures['reason']}")
        if not json_:
            print_figures(figures)


def reconfigure(
    network: Network,
    load_scale: LoadScale = 1.0,
    vm_min: Annotated[float | None, typer.Option(help="Lowest voltage allowed in pu; none by default.")] = None,
    vm_max: Annotated[float | None, typer.Option(help="Highest voltage allowed in pu; none by default.")] = None,
    kicks: Annotated[int, typer.Option(help="How often to search again from the best state, disturbed.")] = 100,
    seconds: Annotated[float | None, typer.Option(help="Stop searching after so long; a guard only.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the kicks.")] = 0,
    certify: Annotated[
        bool, typer.Option("--certify", help="Prove a bound: no state loses less. May take a minute, or --seconds.")
    ] = False,
    cones: Annotated[
        bool, typer.Option("--cones", help="Prove it by mixed-integer cones instead; needs the extra scip.")
    ] = False,
    json_: AsJson = False,
) -> None:
    """Find the branches to open so that a network's own loads lose least."""
    with exit_codes():
        from cosim.experiments.switches import Wish, reconfigured
        from cosim.models.errors import SimulationError

        figures = reconfigured(Wish(network, load_scale, vm_min, vm_max, kicks, seconds, seed, certify, cones))
        if json_:
            typer.echo(json.dumps(figures, indent=2, sort_keys=True, allow_nan=False))
        else:
            print_figures(
                {key: ", ".join(value) if isinstance(value, list) else value for key, value in figures.items()}
            )
        if figures["loss_kw"] is None:
            raise SimulationError(f"{network}: no radial state was found that carries these loads")


def convert(
    case: Annotated[Path, typer.Argument(help="MATPOWER case (.m, .mat) or OpenDSS circuit (.dss) that you trust.")],
    out: Annotated[Path, typer.Option(help="New pandapower JSON, for `network` in a scenario.")],
    json_: AsJson = False,
) -> None:
    """Turn a network of MATPOWER or OpenDSS into a file for scenarios, check its units, and solve it."""
    with exit_codes():
        from cosim.experiments.convert import convert as converted

        figures = converted(case, out)
        if json_:
            typer.echo(json.dumps(figures, indent=2, sort_keys=True, allow_nan=False))
        else:
            print_figures(figures)
