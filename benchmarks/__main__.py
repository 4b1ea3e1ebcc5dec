"""Run the benchmarks, all of them or those named, print their tables and keep them in results.json.

A benchmark is a module of this package with a function ``main() -> list[dict]``: one row per measurement. Those whose
``main`` takes ``most`` leave out sizes above ``--most``.
"""

import argparse
import importlib
import inspect
import json
import pkgutil
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import benchmarks
from cosim.models.errors import did_you_mean

RESULTS = Path(__file__).parent / "results.json"


def names() -> list[str]:
    """Names of all benchmarks."""
    found = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def table(rows: list[dict[str, Any]]) -> str:
    """Write rows as aligned columns, in the order in which keys first occur."""
    heads = list(dict.fromkeys(key for row in rows for key in row))
    cells = [heads, *([_cell(row.get(head, "")) for head in heads] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def run(chosen: Iterable[str], most: int | None = None) -> None:
    """Run benchmarks by name, up to a size where they have sizes, and replace their results in the file."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results["machine"] = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
    for name in chosen:
        main_of = importlib.import_module(f"benchmarks.{name}").main
        sized = most is not None and "most" in inspect.signature(main_of).parameters
        rows = main_of(most=most) if sized else main_of()
        print(f"\n{name}\n{table(rows)}", flush=True)
        results[name] = rows
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Run what was asked for; 2 for a name that is no benchmark."""
    known = names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, print, keep in results.json.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(known)}; all if none is named")
    parser.add_argument("--most", type=int, help="largest size of benchmarks that have sizes")
    asked = parser.parse_args(arguments)
    for name in asked.names:
        if name not in known:
            print(f"no benchmark {name!r}: {did_you_mean(name, known)}", file=sys.stderr)
            return 2
    run(asked.names or known, asked.most)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
