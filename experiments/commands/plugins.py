"""`cosim check` and `cosim strategies`."""

from pathlib import Path
from typing import Annotated

import typer

from cosim.experiments.commands.shared import exit_codes


def check(
    plugin: Annotated[str, typer.Argument(help="MODULE:CLASS of a plug-in of any kind, or the name of one.")],
) -> None:
    """Say whether a plug-in keeps its contract, in sentences."""
    with exit_codes():
        from cosim.experiments.checking import check_plugin

        broken = check_plugin(plugin, Path.cwd())
        for sentence in broken:
            typer.echo(f"  {sentence}")
        typer.echo(
            f"{plugin} keeps the contract" if not broken else f"{plugin} breaks the contract in {len(broken)} ways"
        )
        raise typer.Exit(2 if broken else 0)


def strategies() -> None:
    """List what can be named without a plug-in of your own: how to bid, and how to negotiate."""
    with exit_codes():
        from cosim.experiments.plugins import registries

        known = registries()
        for kind in ("strategy", "negotiation"):
            typer.echo(kind)
            for name in known[kind].names():
                first = (known[kind].load(name).__doc__ or "").strip().splitlines()
                typer.echo(f"  {name:24} {first[0] if first else ''}")
