"""`cosim study`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.experiments.commands.shared import INTERRUPTED, exit_codes


def study(
    name: Annotated[str | None, typer.Argument(help="A study; without a name they are listed.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and smaller cases.")] = False,
    only: Annotated[list[str], typer.Option(help="Key of a question: answer this one only; may be repeated.")] = [],  # noqa: B006, typer copies it
    out: Annotated[Path | None, typer.Option(help="New folder for the results; runs/NAME-N by default.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print study.json and nothing else.")] = False,
) -> None:
    """Answer the questions of a study: tables, study.json, and a page with pictures."""
    with exit_codes():
        from cosim.experiments.studies.catalogue import STUDIES

        if name is None:
            for known, entry in STUDIES.items():
                typer.echo(f"{known:24} {entry.title}")
            return
        from cosim.experiments.run import free_folder
        from cosim.experiments.studies.conduct import Order, conduct
        from cosim.experiments.studies.text import answer_text

        order = Order(name, out if out is not None else free_folder(name), quick, tuple(only))
        try:
            found = conduct(order, lambda answered: None if json_ else typer.echo(answer_text(answered)))
        except KeyboardInterrupt:
            typer.echo(f"stopped; `{order.command} --out {order.out}` goes on with the runs it has", err=True)
            raise typer.Exit(INTERRUPTED) from None
        typer.echo(json.dumps(found, indent=2, allow_nan=False) if json_ else f"page  {order.out / 'study.html'}")
