"""`cosim run`, `cosim resume` and `cosim report`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosim.experiments.commands.shared import (
    INTERRUPTED,
    Isolate,
    OnFault,
    Plugins,
    ScenarioName,
    Settings,
    Strategies,
    assignments,
    exit_codes,
    on_faults,
    print_figures,
    say_plugins,
)

if TYPE_CHECKING:
    from cosim.experiments.baseline import Beside

NoReport = Annotated[bool, typer.Option("--no-report", help="Leave out report.html.")]
SummaryAsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the verdict only.")]


def run(
    scenario: ScenarioName,
    out: Annotated[Path | None, typer.Option(help="New folder for the results; runs/SCENARIO-N by default.")] = None,
    days: Annotated[int | None, typer.Option(help="Length of the run in days, instead of the scenario's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all chance, instead of the scenario's.")] = None,
    strategy: Strategies = [],  # noqa: B006, typer copies it
    allow_plugin: Plugins = [],  # noqa: B006, typer copies it
    set_: Settings = [],  # noqa: B006, typer copies it
    on_fault: OnFault = None,
    isolate: Isolate = False,
    no_market: Annotated[bool, typer.Option("--no-market", help="Nobody trades.")] = False,
    no_envelopes: Annotated[
        bool, typer.Option("--no-envelopes", help="No grants, no tightening, no curtailment; checks stay.")
    ] = False,
    no_rescue: Annotated[
        bool, typer.Option("--no-rescue", help="Envelopes, but no tightening and no curtailment.")
    ] = False,
    no_baseline: Annotated[
        bool, typer.Option("--no-baseline", help="Leave out the run without a market beside this one.")
    ] = False,
    no_report: NoReport = False,
    json_: SummaryAsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a scenario and print its verdict."""
    with exit_codes():
        from cosim.experiments.assignments import strategy_of
        from cosim.experiments.baseline import Beside
        from cosim.experiments.build import Switches
        from cosim.experiments.progress import progress
        from cosim.experiments.restore import Insistence
        from cosim.experiments.run import Request, execute, free_folder

        request = Request(
            scenario=scenario,
            out=out if out is not None else free_folder(scenario),
            seed=seed,
            days=days,
            overrides={**assignments(set_), **on_faults(on_fault, isolate=isolate)},
            strategies=dict(map(strategy_of, strategy)),
            switches=Switches(not no_market, not no_envelopes, not no_rescue),
            plugins=tuple(allow_plugin),
            baseline=not no_baseline and not no_market,
        )
        request.build()
        say_plugins(request.plugins, request.plugin_folder)
        beside = Beside(request.out, Insistence(plugins=request.plugins, plugin_folder=request.plugin_folder))
        with _stopping(beside), progress(quiet=quiet or json_) as observe:
            finished = execute(request, beside.observing(observe))
        _finish(request.out, beside, finished=finished, report=not no_report, as_json=json_, quiet=quiet)


def resume(
    folder: Annotated[Path, typer.Argument(help="Folder of a run that was stopped.")],
    from_previous: Annotated[
        bool, typer.Option("--from-previous", help="Go on from the state before the last: the last is damaged.")
    ] = False,
    accept_versions: Annotated[
        bool, typer.Option("--accept-versions", help="Go on with other versions; the result may differ, and says so.")
    ] = False,
    accept_inputs: Annotated[
        bool, typer.Option("--accept-inputs", help="Go on with changed input files; the result differs, and says so.")
    ] = False,
    allow_plugin: Plugins = [],  # noqa: B006, typer copies it
    wait: Annotated[bool, typer.Option("--wait", help="Let another process that writes this run end first.")] = False,
    no_report: NoReport = False,
    json_: SummaryAsJson = False,
    quiet: Quiet = False,
) -> None:
    """Go on with a run from its last committed interval; the result is that of an unbroken run."""
    with exit_codes():
        from cosim.experiments.baseline import Beside
        from cosim.experiments.progress import progress
        from cosim.experiments.restore import Insistence
        from cosim.experiments.run import continue_run

        insistence = Insistence(accept_versions, accept_inputs, from_previous, wait, tuple(allow_plugin))
        beside = Beside(folder, insistence)
        with _stopping(beside), progress(quiet=quiet or json_) as observe:
            finished = continue_run(folder, beside.observing(observe), insistence)
        _finish(folder, beside, finished=finished, report=not no_report, as_json=json_, quiet=quiet)


def report(folder: Annotated[Path, typer.Argument(help="Folder of a finished run, or of a sweep.")]) -> None:
    """Write report.html of a run again, or sweep.html of a sweep."""
    with exit_codes():
        from cosim.experiments.load import load
        from cosim.experiments.untrusted import untrusted

        with untrusted(folder):
            page = load(folder).report()
        typer.echo(str(page))


@contextmanager
def _stopping(beside: "Beside") -> Iterator[None]:
    """Stop the baseline when its run is stopped by an error."""
    try:
        yield
    except BaseException:
        beside.stop()
        raise


def _finish(folder: Path, beside: "Beside", *, finished: bool, report: bool, as_json: bool, quiet: bool) -> None:
    """Add the baseline, write the report, print the verdict."""
    from cosim.experiments.run import Run

    if not finished:
        beside.stop()
        typer.echo(f"stopped; `cosim resume {folder}` goes on", err=True)
        raise typer.Exit(INTERRUPTED)
    with _stopping(beside):
        beside.finish()
    done = Run(folder)
    where = done.report() if report else None
    if as_json:
        typer.echo(json.dumps(done.summary, indent=2, sort_keys=True, allow_nan=False))
        return
    from cosim.experiments.verdict import verdict

    typer.echo(verdict(done.summary))
    for change in done.summary.get("changes", []):
        typer.echo(f"this result is not repeatable: {change}")
    if quiet:
        return
    print_figures({key: value for key, value in done.summary.items() if not isinstance(value, dict)})
    split = done.summary["time_split_s"]
    typer.echo("time split    " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in split.items()))
    if where:
        typer.echo(f"report        {where}")
