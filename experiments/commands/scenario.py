"""`cosim gallery`, `cosim new`, `cosim describe` and `cosim envelopes`: a scenario, of which nothing is run."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cosim.experiments.commands.shared import (
    AsJson,
    Plugins,
    ScenarioName,
    Settings,
    assignments,
    exit_codes,
    print_figures,
    printable,
)


def gallery(json_: AsJson = False) -> None:
    """List the scenarios that come with the package."""
    with exit_codes():
        from cosim.experiments.load import gallery as titled

        titles = titled()
        if json_:
            typer.echo(json.dumps(titles, indent=2))
            return
        for name, title in titles.items():
            typer.echo(f"{name:20} {title}")


def new(name: Annotated[str, typer.Argument(help="Name of the scenario, and of the new folder.")]) -> None:
    """Write a folder with a commented scenario and a table of prosumers to edit."""
    with exit_codes():
        from cosim.experiments.new import new_scenario

        for path in new_scenario(name, Path()):
            typer.echo(str(path))


def describe(
    scenario: ScenarioName,
    set_: Settings = [],  # noqa: B006, typer copies it
    allow_plugin: Plugins = [],  # noqa: B006, typer copies it
    json_: AsJson = False,
) -> None:
    """Say who takes part in a scenario, with what, where and within which limits; nothing is run."""
    with exit_codes():
        from cosim.experiments.describe import describe as described
        from cosim.experiments.run import Request

        request = Request(scenario, Path(), overrides=assignments(set_), plugins=tuple(allow_plugin))
        chapters = described(request.build())
        if json_:
            typer.echo(json.dumps(chapters, indent=2, allow_nan=False))
            return
        for chapter, figures in chapters.items():
            typer.echo(chapter)
            print_figures(figures)


def envelopes(
    scenario: ScenarioName,
    at: Annotated[str, typer.Option(help="Moment an interval begins, with its offset: 2016-06-21T12:00+01:00.")],
    policy: Annotated[str | None, typer.Option(help="Envelope policy, instead of the scenario's.")] = None,
    set_: Settings = [],  # noqa: B006, typer copies it
    allow_plugin: Plugins = [],  # noqa: B006, typer copies it
    json_: AsJson = False,
) -> None:
    """Say who is granted which room at one moment, what limits it, and whether AC power flow carries all of it."""
    with exit_codes():
        from cosim.experiments.envelopes_at import envelopes_at
        from cosim.experiments.envelopes_text import envelopes_text
        from cosim.experiments.run import Request

        request = Request(scenario, Path(), overrides=assignments(set_), plugins=tuple(allow_plugin))
        found = envelopes_at(request, at, policy)
        typer.echo(json.dumps(found, indent=2, allow_nan=False) if json_ else printable(envelopes_text(found)))
