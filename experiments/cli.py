"""The command line. Heavy libraries are imported by the command that needs them, never by `--help`.

Exit codes: 0 ok, 2 bad input, 3 simulation failed, 4 storage failed, 130 interrupted.
"""

from importlib.metadata import version as installed
from typing import Annotated

import typer

from cosim.experiments.commands.dashboard import dashboard
from cosim.experiments.commands.examples import epilog
from cosim.experiments.commands.grid import convert, powerflow, reconfigure
from cosim.experiments.commands.market import clear
from cosim.experiments.commands.plugins import check, strategies
from cosim.experiments.commands.run import report, resume, run
from cosim.experiments.commands.scenario import describe, envelopes, gallery, new
from cosim.experiments.commands.study import study
from cosim.experiments.commands.sweep import compare, query, sweep

app = typer.Typer(
    name="cosim",
    help="Peer-to-peer electricity markets inside real distribution grids, every interval checked by AC power flow.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _say_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"cosim {installed('cosim')}")
        raise typer.Exit


@app.callback()
def _cosim(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=lambda wanted: _say_version(wanted=wanted)),
    ] = False,
) -> None:
    pass


# In the order of the help page.
for _command in (
    run,
    resume,
    report,
    dashboard,
    sweep,
    compare,
    query,
    study,
    gallery,
    new,
    describe,
    envelopes,
    clear,
    powerflow,
    reconfigure,
    convert,
    check,
    strategies,
):
    app.command(epilog=epilog(_command.__name__))(_command)
