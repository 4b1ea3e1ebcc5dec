"""`cosim sweep` and `cosim query`: many runs as one."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cosim.experiments.commands.shared import (
    INTERRUPTED,
    Plugins,
    ScenarioName,
    Settings,
    Strategies,
    exit_codes,
    printable,
    say_plugins,
)


def sweep(
    scenario: ScenarioName,
    vary: Annotated[list[str], typer.Option(help="KEY=A,B,...: values of a field; switches.market=true,false.")] = [],  # noqa: B006, typer copies it
    seeds: Annotated[
        str | None, typer.Option(help="Seeds, such as 1..20 or 1,5,9..12; the scenario's if absent.")
    ] = None,
    days: Annotated[int | None, typer.Option(help="Length of each run in days, instead of the scenario's.")] = None,
    strategy: Strategies = [],  # noqa: B006, typer copies it
    allow_plugin: Plugins = [],  # noqa: B006, typer copies it
    set_: Settings = [],  # noqa: B006, typer copies it
    engine: Annotated[str, typer.Option(help="loky (this machine), dask or ray.")] = "loky",
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", help="Processes; one for each core by default.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder; what it has finished is kept. runs/...-sweep-N if absent.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print cases and effects as JSON and nothing else.")] = False,
) -> None:
    """Run a scenario over values of its fields and over seeds; the same command goes on with what is missing."""
    with exit_codes():
        from cosim.experiments.sweeps.asked import asked
        from cosim.experiments.sweeps.conduct import StoppedError
        from cosim.experiments.sweeps.progress import progress
        from cosim.experiments.sweeps.sweep import Sweep, failure, own_folder, planned
        from cosim.models.faults import Gathered

        found = Gathered()
        wish = asked(scenario, vary, seeds, days, strategy, allow_plugin, set_, found)
        folder = out if out is not None else own_folder(scenario)
        plan = planned(wish, folder, engine, jobs, found)
        say_plugins(wish.plugins, wish.plugin_folder)
        try:
            with progress(quiet=json_) as observe:
                done = plan.carry_out(observe)
        except StoppedError as stopped:
            where = "" if out is not None else f" with --out {folder}"
            typer.echo(f"{stopped}{where}", err=True)
            raise typer.Exit(INTERRUPTED) from None
        if not json_:
            typer.echo(f"{done.finished} of {done.cases} cases finished, {done.before} of them earlier", err=True)
        if done.finished:
            _tell(Sweep(folder), as_json=json_)
        if done.failed:
            raise failure(done, folder)


def query(
    folder: Annotated[Path, typer.Argument(help="Folder of a run or of a sweep.")],
    sql: Annotated[str, typer.Argument(help="One SELECT over the tables; of a sweep also over `cases`.")],
    json_: Annotated[bool, typer.Option("--json", help="Print rows as JSON.")] = False,
) -> None:
    """Answer one SELECT over the tables of a run, or over all cases of a sweep."""
    with exit_codes():
        from cosim.experiments.load import load
        from cosim.experiments.sweeps.sql import rows_of
        from cosim.experiments.text_table import text_table
        from cosim.experiments.untrusted import untrusted

        with untrusted(folder):
            rows = rows_of(load(folder).sql(sql))
        typer.echo(json.dumps(rows, indent=2, allow_nan=False, default=str) if json_ else printable(text_table(rows)))


def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders of runs, or the folder of one sweep.", metavar="RUN...")
    ],
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what runs were told otherwise and which figures differ most; for a sweep, what each varied key does."""
    with exit_codes():
        from cosim.experiments.compare import compare as compared
        from cosim.experiments.compare import compare_text, one_or_the_other
        from cosim.experiments.sweeps.conduct import is_sweep
        from cosim.experiments.sweeps.sweep import Sweep

        sweeps = [folder for folder in folders if is_sweep(folder)]
        one_or_the_other(folders, sweeps)
        if sweeps:
            _tell(Sweep(sweeps[0]), as_json=json_)
            return
        found = compared(folders)
        typer.echo(json.dumps(found, indent=2, allow_nan=False) if json_ else printable(compare_text(found)))


def _tell(sweep: Any, *, as_json: bool) -> None:
    """Print what a sweep came to."""
    if as_json:
        from cosim.experiments.sweeps.text import as_data

        typer.echo(json.dumps(as_data(sweep), indent=2, allow_nan=False))
        return
    from cosim.experiments.sweeps.text import sweep_text

    typer.echo(printable(sweep_text(sweep)))
    typer.echo(f"\ncases  {sweep.folder / 'cases.parquet'}\npage   {sweep.folder / 'sweep.html'}")
