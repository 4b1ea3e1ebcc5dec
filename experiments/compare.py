"""Runs side by side: what they were told otherwise, then which figures differ most."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cosim.experiments.key_figures import KEY_FIGURES, number
from cosim.experiments.run import Run
from cosim.experiments.sweeps.leaves import leaves
from cosim.experiments.sweeps.text import DECIMALS
from cosim.experiments.text_table import text_table
from cosim.models.errors import BadInputError, Fault, StorageError
from cosim.models.faults import Gathered
from cosim.models.table_file import shown

MOST_DIFFERENCES: Final = 12
# Differences below this share of the larger value are rounding.
ROUNDING: Final = 1e-9
# Figures that say how a run went on the machine, not what came of it.
_NO_RESULTS: Final = ("wall_s", "time_split_s.", "baseline.", "seed", "energy_residual_kwh", "money_residual_eur")
_UNITS: Final = {figure.key: figure.unit for figure in KEY_FIGURES}
Row = dict[str, Any]


def finished_runs(folders: Sequence[Path]) -> list[Run]:
    """Open the runs of some folders; BadInputError lists all that hold none or one that has not ended."""
    found = Gathered()
    if len(folders) < 2:
        found.add([Fault("command line", "RUN", "", "allowed are two runs or more, or one sweep")], "command line")
    runs = []
    for folder in folders:
        try:
            run = Run(folder)
            _ = run.summary
            runs.append(run)
        except StorageError as error:
            found.add([Fault("command line", "RUN", repr(shown(str(folder), 200)), str(error))], "command line")
    found.stop()
    return runs


def compare(folders: Sequence[Path]) -> dict[str, Any]:
    """Compare finished runs as plain data, each with the first.

    `settings` are dotted keys told otherwise; `differences` the figures that differ, by relative size; `figures` the
    key figures in their usual order. A value for every run; `relative` is the largest difference from the first run
    as a share of the larger of both values.
    """
    runs = finished_runs(folders)
    told = [_told(run.manifest) for run in runs]
    figures = [_figures(run.summary) for run in runs]
    names = [str(folder) for folder in folders]
    differing = [row for row in (_row(key, figures) for key in _keys(figures)) if row["relative"]]
    return {
        "runs": [_about(name, run) for name, run in zip(names, runs, strict=True)],
        "same_scenario": len({run.manifest["scenario"]["name"] for run in runs}) == 1,
        "same_seed": len({run.manifest["scenario"]["seed"] for run in runs}) == 1,
        "same_result": len({run.summary["result_sha256"] for run in runs}) == 1,
        "settings": [
            {"key": key, "values": [each.get(key) for each in told]}
            for key in _keys(told)
            if any(each.get(key) != told[0].get(key) for each in told)
        ],
        "differences": sorted(differing, key=lambda row: -row["relative"]),
        "figures": [_row(figure.key, figures) for figure in KEY_FIGURES if any(figure.key in one for one in figures)],
    }


def compare_text(found: Mapping[str, Any]) -> str:
    """Return a comparison as text: what was told otherwise, what differs most, then the key figures."""
    runs = found["runs"]
    names = [chr(ord("A") + place) if place < 26 else f"run {place + 1}" for place in range(len(runs))]
    listed = [
        f"{name}  {run['folder']}  ({run['scenario']}, seed {run['seed']})"
        for name, run in zip(names, runs, strict=True)
    ]
    said = [
        "the same scenario" if found["same_scenario"] else "different scenarios",
        "the same seed" if found["same_seed"] else "different seeds: differences hold chance, too",
        *(["identical results"] if found["same_result"] else []),
    ]
    settings = [
        {"setting": row["key"], **dict(zip(names, map(_as_text, row["values"]), strict=True))}
        for row in found["settings"]
    ]
    most = [_shown_row(row, names) for row in found["differences"][:MOST_DIFFERENCES]]
    rest = [_shown_row(row, names) for row in found["figures"]]
    return "\n".join(
        [
            *listed,
            "; ".join(said),
            *(["", "Told otherwise:", text_table(settings)] if settings else ["Nothing was told otherwise."]),
            *(["", "Differs most, by share of the larger value:", text_table(most)] if most else []),
            "",
            "Key figures:",
            text_table(rest),
        ]
    )


def _told(manifest: Mapping[str, Any]) -> Row:
    """Return everything a run was told, by dotted key, but its seed."""
    scenario = {key: value for key, value in manifest["scenario"].items() if key not in {"seed", "title"}}
    parts = {"switches": manifest["switches"], "versions": manifest["versions"], "plugins": list(manifest["plugins"])}
    return dict(leaves({**scenario, **parts}))


def _figures(summary: Mapping[str, Any]) -> Row:
    return {
        key: value
        for key, value in leaves(summary)
        if not key.startswith(_NO_RESULTS) and isinstance(value, int | float) and not isinstance(value, bool)
    }


def _keys(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for table in tables for key in table))


def _row(key: str, figures: Sequence[Mapping[str, Any]]) -> Row:
    missing = 0 if key.startswith(("events.", "letters.")) else None
    values = [each.get(key, missing) for each in figures]
    first, *others = values
    shares = [_share(first, value) for value in others if value is not None and first is not None]
    return {"figure": key, "unit": _UNITS.get(key, ""), "values": values, "relative": max(shares, default=0.0)}


def _share(one: float, other: float) -> float:
    larger = max(abs(one), abs(other))
    share = abs(other - one) / larger if larger else 0.0
    return share if share > ROUNDING else 0.0


def _about(name: str, run: Run) -> Row:
    scenario = run.manifest["scenario"]
    return {
        "folder": name,
        "scenario": scenario["name"],
        "seed": scenario["seed"],
        "days": scenario["time"]["days"],
        "result_sha256": run.summary["result_sha256"],
    }


def _shown_row(row: Row, names: Sequence[str]) -> Row:
    decimals = DECIMALS.get(row["figure"], 3)
    values = {name: number(value, decimals) for name, value in zip(names, row["values"], strict=True)}
    first, *others = row["values"]
    change = (
        {"change": number(others[0] - first, decimals, signed=True)}
        if len(others) == 1 and None not in row["values"]
        else {}
    )
    return {
        "figure": row["figure"],
        "unit": row["unit"],
        **values,
        **change,
        "differs by": f"{number(100 * row['relative'], 1)} %",
    }


def _as_text(value: Any) -> str:
    return "-" if value is None else shown(str(value))


def one_or_the_other(folders: Sequence[Path], sweeps: Sequence[Path]) -> None:
    """Refuse sweeps among runs, and several sweeps."""
    if sweeps and len(folders) > 1:
        raise BadInputError(
            Fault("command line", "RUN", repr(shown(str(folder), 200)), "it is a sweep; allowed are runs, or one sweep")
            for folder in sweeps
        )
