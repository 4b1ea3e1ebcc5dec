"""What commands share: options, exit codes, and how figures are printed."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

INTERRUPTED = 130

ScenarioName = Annotated[str, typer.Argument(help="A scenario of the gallery, or the path of a TOML file.")]
Plugins = Annotated[
    list[str],
    typer.Option("--allow-plugin", help="Module with code of your own: installed, or NAME.py here."),
]
Settings = Annotated[list[str], typer.Option("--set", help="KEY=VALUE: any field of the scenario, dotted.")]
Strategies = Annotated[list[str], typer.Option(help="[ID=]NAME: strategy of one prosumer, or of all.")]
OnFault = Annotated[
    str | None,
    typer.Option("--on-fault", help="What follows when a plug-in breaks its contract: fallback, quarantine, or fail."),
]
Isolate = Annotated[bool, typer.Option("--isolate", help="Run code of your own in processes that can be ended.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn the package's own errors into sentences and exit codes."""
    from cosim.models.errors import BadInputError, CosimError, StorageError

    try:
        yield
    except BadInputError as error:
        count = len(error.faults)
        typer.echo(f"{count} fault{'s' if count > 1 else ''} in the input:", err=True)
        for fault in error.faults:
            typer.echo(f"  {printable(str(fault))}", err=True)
        raise typer.Exit(error.exit_code) from None
    except CosimError as error:
        typer.echo(printable(str(error)), err=True)
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        typer.echo(printable(str(error)), err=True)
        raise typer.Exit(StorageError.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None


def assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Read the values of `--set`."""
    from cosim.experiments.assignments import assignment

    return dict(assignment(text, "--set") for text in texts)


def on_faults(on_fault: str | None, *, isolate: bool) -> dict[str, Any]:
    """Return what `--on-fault` and `--isolate` set of the scenario."""
    said = {} if on_fault is None else {"plugins.on_fault": on_fault}
    return {**said, "plugins.isolate": True} if isolate else said


def say_plugins(names: Iterable[str], folder: Path) -> None:
    """Name the file of each allowed plug-in."""
    from cosim.registry import allow_plugins

    for name, file in allow_plugins(names, folder, load=False).items():
        typer.echo(f"plug-in {name}: {file or 'built in'}", err=True)


def print_figures(figures: dict[str, Any]) -> None:
    """Print names and figures, a line each."""
    width = max(len(name) for name in figures)
    for name, value in figures.items():
        typer.echo(f"  {name:{width}}  {_figure(value)}")


def printable(text: str) -> str:
    """Escape control characters: what a file says must not steer the terminal."""
    return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text)


def _figure(value: Any) -> str:
    """Return a figure as text: lists with commas, counts behind their names, a dash for what there is not."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_figure(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_figure, value))
    if value is None:
        return "-"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
