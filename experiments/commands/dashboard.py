"""`cosim dashboard`."""

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer

from cosim.experiments.commands.shared import exit_codes


def dashboard(
    folder: Annotated[Path, typer.Argument(help="Folder of a run, going on or finished.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 is a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open nothing.")] = False,
) -> None:
    """Look on while a run goes on: a page for this machine only, which changes nothing."""
    with exit_codes():
        from cosim.journal import read_manifest
        from cosim.models.errors import BadInputError

        if importlib.util.find_spec("dash") is None:
            needed = "this needs the extra `dash`: pip install 'cosim[dash]'"
            raise BadInputError.one("command line", "dashboard", None, needed)
        read_manifest(folder)
        from cosim.experiments.dashboard.serve import serve

        serve(folder, port, typer.echo, browse=not no_browser and sys.stdout.isatty())
