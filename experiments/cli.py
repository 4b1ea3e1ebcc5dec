"""The command line. Heavy libraries are imported by the command that needs them, never by `--help`.

Exit codes: 0 ok, 2 bad input, 3 simulation failed, 4 storage failed, 130 interrupted.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="cosim",
    help="Peer-to-peer electricity markets inside real distribution grids, every interval checked by AC power flow.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
INTERRUPTED = 130

ScenarioArgument = Annotated[str, typer.Argument(help="A scenario of the gallery, or the path of a TOML file.")]
PluginOption = Annotated[
    list[str],
    typer.Option("--allow-plugin", help="Module with code of your own: installed, or NAME.py here."),
]


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Turn the package's own errors into sentences and exit codes."""
    from cosim.models.errors import BadInputError, CosimError

    try:
        yield
    except BadInputError as error:
        count = len(error.faults)
        typer.echo(f"{count} fault{'s' if count > 1 else ''} in the input:", err=True)
        for fault in error.faults:
            typer.echo(f"  {_printable(str(fault))}", err=True)
        raise typer.Exit(error.exit_code) from None
    except CosimError as error:
        typer.echo(_printable(str(error)), err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None


@app.command()
def run(
    scenario: ScenarioArgument,
    out: Annotated[Path | None, typer.Option(help="New folder for the results; runs/SCENARIO-N by default.")] = None,
    days: Annotated[int | None, typer.Option(help="Length of the run in days, instead of the scenario's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all chance, instead of the scenario's.")] = None,
    strategy: Annotated[list[str], typer.Option(help="[ID=]NAME: strategy of one prosumer, or of all.")] = [],  # noqa: B006, typer copies it
    allow_plugin: PluginOption = [],  # noqa: B006, typer copies it
    set_: Annotated[list[str], typer.Option("--set", help="KEY=VALUE: any field of the scenario, dotted.")] = [],  # noqa: B006, typer copies it
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
    no_report: Annotated[bool, typer.Option("--no-report", help="Leave out report.html.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the verdict only.")] = False,
) -> None:
    """Run a scenario and print its verdict."""
    with _exit_codes():
        from cosim.experiments.baseline import Beside
        from cosim.experiments.build import Switches
        from cosim.experiments.progress import progress
        from cosim.experiments.run import Request, execute, free_folder

        request = Request(
            scenario=scenario,
            out=out if out is not None else free_folder(scenario),
            seed=seed,
            days=days,
            overrides=dict(_assignment(text, "--set") for text in set_),
            strategies=dict(_strategy(text) for text in strategy),
            switches=Switches(not no_market, not no_envelopes, not no_rescue),
            plugins=tuple(allow_plugin),
        )
        request.build()
        _say_plugins(request.plugins)
        beside = Beside(request, wanted=not no_baseline and not no_market)
        try:
            with progress(quiet=quiet or json_) as observe:
                finished = execute(request, beside.observing(observe))
        except BaseException:
            beside.stop()
            raise
        _finish(
            request.out,
            finished=finished,
            baseline=beside.baseline,
            report=not no_report,
            as_json=json_,
            quiet=quiet,
        )


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(help="Folder of a run that was stopped.")],
    no_report: Annotated[bool, typer.Option("--no-report", help="Leave out report.html.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the verdict only.")] = False,
) -> None:
    """Go on with a run from its last committed interval; the result is that of an unbroken run."""
    with _exit_codes():
        from cosim.experiments.progress import progress
        from cosim.experiments.run import continue_run

        with progress(quiet=quiet or json_) as observe:
            finished = continue_run(folder, observe)
        _finish(folder, finished=finished, baseline=None, report=not no_report, as_json=json_, quiet=quiet)


@app.command()
def check(
    plugin: Annotated[str, typer.Argument(help="MODULE:CLASS of a plug-in of any kind, or the name of one.")],
) -> None:
    """Say whether a plug-in keeps its contract, in sentences."""
    with _exit_codes():
        from cosim.experiments.checking import check_plugin

        broken = check_plugin(plugin, Path.cwd())
        for sentence in broken:
            typer.echo(f"  {sentence}")
        typer.echo(
            f"{plugin} keeps the contract" if not broken else f"{plugin} breaks the contract in {len(broken)} ways"
        )
        raise typer.Exit(2 if broken else 0)


@app.command()
def powerflow(
    network: Annotated[str, typer.Argument(help="Bundled network, pandapower:NAME, simbench:CODE, or a JSON file.")],
    slack: Annotated[float | None, typer.Option(help="Slack voltage in pu, instead of the network's.")] = None,
    load_scale: Annotated[float, typer.Option(help="Factor on all loads.")] = 1.0,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Solve the AC power flow of a network's own loads."""
    with _exit_codes():
        from cosim.experiments.snapshot import snapshot
        from cosim.models.errors import SimulationError

        figures = snapshot(network, slack, load_scale)
        if json_:
            typer.echo(json.dumps(figures, indent=2, sort_keys=True, allow_nan=False))
        if not figures["converged"]:
            raise SimulationError(f"{figures['feeder']}: {figures['reason']}")
        if not json_:
            _print_figures(figures)


@app.command()
def reconfigure(
    network: Annotated[str, typer.Argument(help="Bundled network, pandapower:NAME, simbench:CODE, or a JSON file.")],
    load_scale: Annotated[float, typer.Option(help="Factor on all loads.")] = 1.0,
    vm_min: Annotated[float | None, typer.Option(help="Lowest voltage allowed in pu; none by default.")] = None,
    vm_max: Annotated[float | None, typer.Option(help="Highest voltage allowed in pu; none by default.")] = None,
    kicks: Annotated[int, typer.Option(help="How often to search again from the best state, disturbed.")] = 100,
    seconds: Annotated[float | None, typer.Option(help="Stop searching after so long; a guard only.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the kicks.")] = 0,
    certify: Annotated[
        bool, typer.Option("--certify", help="Prove a bound: no state loses less. May take a minute, or --seconds.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the branches to open so that a network's own loads lose least."""
    with _exit_codes():
        from cosim.experiments.switches import Wish, reconfigured

        figures = reconfigured(Wish(network, load_scale, vm_min, vm_max, kicks, seconds, seed, certify))
        if json_:
            typer.echo(json.dumps(figures, indent=2, sort_keys=True, allow_nan=False))
        else:
            _print_figures(
                {key: ", ".join(value) if isinstance(value, list) else value for key, value in figures.items()}
            )


@app.command()
def new(name: Annotated[str, typer.Argument(help="Name of the scenario, and of the new folder.")]) -> None:
    """Write a folder with a commented scenario and a table of prosumers to edit."""
    with _exit_codes():
        from cosim.experiments.new import new_scenario

        for path in new_scenario(name, Path()):
            typer.echo(str(path))


@app.command()
def describe(
    scenario: ScenarioArgument,
    set_: Annotated[list[str], typer.Option("--set", help="KEY=VALUE: any field of the scenario, dotted.")] = [],  # noqa: B006, typer copies it
    allow_plugin: PluginOption = [],  # noqa: B006, typer copies it
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say who takes part in a scenario, with what, where and within which limits; nothing is run."""
    with _exit_codes():
        from cosim.experiments.describe import describe as described
        from cosim.experiments.run import Request

        overrides = dict(_assignment(text, "--set") for text in set_)
        request = Request(scenario, Path(), overrides=overrides, plugins=tuple(allow_plugin))
        chapters = described(request.build())
        if json_:
            typer.echo(json.dumps(chapters, indent=2, allow_nan=False))
            return
        for chapter, figures in chapters.items():
            typer.echo(chapter)
            _print_figures(figures)


@app.command()
def envelopes(
    scenario: ScenarioArgument,
    at: Annotated[str, typer.Option(help="Moment an interval begins, with its offset: 2016-06-21T12:00+01:00.")],
    policy: Annotated[str | None, typer.Option(help="Envelope policy, instead of the scenario's.")] = None,
    set_: Annotated[list[str], typer.Option("--set", help="KEY=VALUE: any field of the scenario, dotted.")] = [],  # noqa: B006, typer copies it
    allow_plugin: PluginOption = [],  # noqa: B006, typer copies it
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say who is granted which room at one moment, what limits it, and whether AC power flow carries all of it."""
    with _exit_codes():
        from cosim.experiments.envelopes_at import envelopes_at
        from cosim.experiments.envelopes_text import envelopes_text
        from cosim.experiments.run import Request

        overrides = dict(_assignment(text, "--set") for text in set_)
        request = Request(scenario, Path(), overrides=overrides, plugins=tuple(allow_plugin))
        found = envelopes_at(request, at, policy)
        typer.echo(json.dumps(found, indent=2, allow_nan=False) if json_ else _printable(envelopes_text(found)))


@app.command()
def study(
    name: Annotated[str | None, typer.Argument(help="A study; without a name they are listed.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and smaller cases.")] = False,
    only: Annotated[list[str], typer.Option(help="Key of a question: answer this one only; may be repeated.")] = [],  # noqa: B006, typer copies it
    out: Annotated[Path | None, typer.Option(help="New folder for the results; runs/NAME-N by default.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print study.json and nothing else.")] = False,
) -> None:
    """Answer the questions of a study: tables, study.json, and a page with pictures."""
    with _exit_codes():
        from cosim.experiments.studies.catalogue import STUDIES

        if name is None:
            for known, entry in STUDIES.items():
                typer.echo(f"{known:24} {entry.title}")
            return
        from cosim.experiments.run import free_folder
        from cosim.experiments.studies.conduct import Order, conduct
        from cosim.experiments.studies.text import answer_text

        order = Order(name, out if out is not None else free_folder(name), quick, tuple(only))
        found = conduct(order, lambda answered: None if json_ else typer.echo(answer_text(answered)))
        typer.echo(json.dumps(found, indent=2, allow_nan=False) if json_ else f"page  {order.out / 'study.html'}")


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a finished run.")]) -> None:
    """Write report.html of a run again."""
    with _exit_codes():
        from cosim.experiments.run import Run

        typer.echo(str(Run(folder).report()))


@app.command()
def clear(
    book: Annotated[Path, typer.Argument(help="CSV with the columns trader, side, energy_kwh, limit_eur_per_kwh.")],
    mechanism: Annotated[str, typer.Option(help="Market mechanism, built in or MODULE:CLASS.")] = "uniform_price",
    floor: Annotated[float | None, typer.Option(help="Feed-in price in EUR/kWh; the lowest limit by default.")] = None,
    ceiling: Annotated[
        float | None, typer.Option(help="Retail price in EUR/kWh; the highest limit by default.")
    ] = None,
    allow_plugin: PluginOption = [],  # noqa: B006, typer copies it
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Clear one book of orders: who trades with whom, at what price, and what it is worth; nothing is run."""
    with _exit_codes():
        from cosim.experiments.clear import clear_book
        from cosim.experiments.text_table import text_table

        found = clear_book(book, mechanism, floor, ceiling, tuple(allow_plugin))
        if json_:
            typer.echo(json.dumps(found, indent=2, allow_nan=False))
            return
        trades = found.pop("trades")
        _print_figures(found)
        typer.echo(_printable(text_table(trades)))


@app.command()
def gallery() -> None:
    """List the scenarios that come with the package."""
    with _exit_codes():
        from cosim.experiments.scenario import Scenario, bundled_scenarios

        for name in bundled_scenarios():
            scenario, _ = Scenario.load(name)
            typer.echo(f"{name:20} {scenario.title}")


@app.command()
def strategies() -> None:
    """List what can be named without a plug-in of your own: how to bid, and how to negotiate."""
    with _exit_codes():
        from cosim.experiments.plugins import registries

        known = registries()
        for kind in ("strategy", "negotiation"):
            typer.echo(kind)
            for name in known[kind].names():
                first = (known[kind].load(name).__doc__ or "").strip().splitlines()
                typer.echo(f"  {name:22} {first[0] if first else ''}")


def _finish(folder: Path, *, finished: bool, baseline: Any, report: bool, as_json: bool, quiet: bool) -> None:
    """Add the baseline, write the report, print the verdict."""
    from cosim.experiments.run import Run, add_to_summary

    if not finished:
        if baseline:
            baseline.stop()
        typer.echo(f"stopped; `cosim resume {folder}` goes on", err=True)
        raise typer.Exit(INTERRUPTED)
    done = Run(folder)
    if baseline:
        add_to_summary(folder, {"baseline": baseline.figures()})
    where = done.report() if report else None
    if as_json:
        typer.echo(json.dumps(done.summary, indent=2, sort_keys=True, allow_nan=False))
        return
    from cosim.experiments.verdict import verdict

    typer.echo(verdict(done.summary))
    if quiet:
        return
    _print_figures({key: value for key, value in done.summary.items() if not isinstance(value, dict)})
    split = done.summary["time_split_s"]
    typer.echo("time split    " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in split.items()))
    if where:
        typer.echo(f"report        {where}")


def _print_figures(figures: dict[str, Any]) -> None:
    width = max(len(name) for name in figures)
    for name, value in figures.items():
        typer.echo(f"  {name:{width}}  {_figure(value)}")


def _figure(value: Any) -> str:
    """Return a figure as text: lists with commas, counts behind their names, a dash for what there is not."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_figure(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_figure, value))
    if value is None:
        return "-"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _printable(text: str) -> str:
    """Escape control characters: what a file says must not steer the terminal."""
    return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text)


def _assignment(text: str, option: str) -> tuple[str, Any]:
    """Read KEY=VALUE; the value is TOML where it can be, else text."""
    import tomllib

    from cosim.models.errors import BadInputError

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise BadInputError.one("command line", option, repr(text), "allowed is KEY=VALUE")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return key.strip(), value


def _strategy(text: str) -> tuple[str, str]:
    who, equals, name = text.partition("=")
    return (who, name) if equals else ("", text)


def _say_plugins(names: tuple[str, ...]) -> None:
    for name in names:
        typer.echo(f"plug-in {name}: {getattr(sys.modules[name], '__file__', 'built in')}", err=True)
