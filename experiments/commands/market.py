"""`cosim clear`: a market by itself."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.experiments.commands.shared import AsJson, Plugins, exit_codes, print_figures, printable


def clear(
    book: Annotated[Path, typer.Argument(help="CSV with the columns trader, side, energy_kwh, limit_eur_per_kwh.")],
    mechanism: Annotated[str, typer.Option(help="Market mechanism, built in or MODULE:CLASS.")] = "uniform_price",
    floor: Annotated[float | None, typer.Option(help="Feed-in price in EUR/kWh; the lowest limit if absent.")] = None,
    ceiling: Annotated[
        float | None, typer.Option(help="Retail price in EUR/kWh; the highest limit by default.")
    ] = None,
    partners: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns buyer, seller, preference_eur_per_kwh: who may trade, bilaterally."),
    ] = None,
    allow_plugin: Plugins = [],  # noqa: B006, typer copies it
    json_: AsJson = False,
) -> None:
    """Clear one book of orders: who trades with whom, at what price, and what it is worth; nothing is run."""
    with exit_codes():
        from cosim.experiments.clear import clear_book
        from cosim.experiments.text_table import text_table

        found = clear_book(book, mechanism, floor, ceiling, tuple(allow_plugin), partners)
        if json_:
            typer.echo(json.dumps(found, indent=2, allow_nan=False))
            return
        trades = found.pop("trades")
        print_figures(found)
        typer.echo(printable(text_table(trades)))
