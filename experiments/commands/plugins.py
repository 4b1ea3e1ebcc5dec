"""`cosim check` and `cosim strategies`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.experiments.commands.shared import AsJson, exit_codes


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


def strategies(
    kind: Annotated[
        str | None, typer.Argument(help="Kind of part, such as mechanism or envelopes; `all` for every kind.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """List what can be named without a plug-in of your own: how to bid and negotiate, or another kind."""
    with exit_codes():
        from cosim.experiments.parts import parts

        found = parts(kind)
        if json_:
            typer.echo(json.dumps(found, indent=2))
            return
        for group, members in found.items():
            typer.echo(group)
            for name, sentence in members.items():
                typer.echo(f"  {name:26} {sentence}")
