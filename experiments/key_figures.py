"""The figures of a summary that a person reads first, beside those of the baseline."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOT_KNOWN = "–"  # noqa: RUF001, a dash is what stands for a missing figure in print


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One line of the table: a key of the summary, what it says, its unit, and the decimals shown."""

    key: str
    label: str
    unit: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Row:
    """A key figure as text: of this run, of the baseline, and the difference between them."""

    figure: KeyFigure
    value: str
    baseline: str
    change: str


KEY_FIGURES = (
    KeyFigure("prosumer_cost_eur", "Prosumers pay", "EUR", 2),
    KeyFigure("dso_cost_eur", "Operator pays", "EUR", 2),
    KeyFigure("traded_kwh", "Traded among prosumers", "kWh", 1),
    KeyFigure("price_mean_eur_per_kwh", "Mean market price", "EUR/kWh", 4),
    KeyFigure("imbalance_kwh", "Imbalance", "kWh", 1),
    KeyFigure("imbalance_eur", "Paid for imbalance", "EUR", 2),
    KeyFigure("served_kwh", "Consumed by prosumers", "kWh", 1),
    KeyFigure("generated_kwh", "Generated", "kWh", 1),
    KeyFigure("curtailed_kwh", "Generation curtailed", "kWh", 1),
    KeyFigure("unserved_kwh", "Not served", "kWh", 1),
    KeyFigure("loss_kwh", "Network losses", "kWh", 1),
    KeyFigure("violation_bus_intervals", "Voltage violations", "bus-intervals", 0),
    KeyFigure("dark_bus_intervals", "Without voltage", "bus-intervals", 0),
    KeyFigure("overloaded_branch_intervals", "Overloads", "branch-intervals", 0),
    KeyFigure("planned_violation_bus_intervals", "Violations in first plans", "bus-intervals", 0),
    KeyFigure("diverged", "Not carried in full", "intervals", 0),
    KeyFigure("vm_min_pu", "Lowest voltage", "pu", 4),
    KeyFigure("vm_max_pu", "Highest voltage", "pu", 4),
    KeyFigure("loading_max_percent", "Highest branch loading", "%", 1),
    KeyFigure("tighten_rounds_mean", "Rounds of tightening", "per interval", 3),
    KeyFigure("market_rounds_mean", "Market rounds with trades", "per interval", 3),
    KeyFigure("flexible_share", "Flexible share of energy", "of 1", 3),
    KeyFigure("switch_operations", "Switch operations", "", 0),
    KeyFigure("switch_states", "Switch states", "", 0),
    KeyFigure("ac_checks", "AC power flows checked", "", 0),
)


def key_figures(summary: Mapping[str, Any]) -> list[Row]:
    """Return the key figures that a summary has, in order; without a baseline its texts are dashes."""
    baseline: Mapping[str, Any] = summary.get("baseline") or {}
    return [
        _row(figure, summary[figure.key], baseline.get(figure.key)) for figure in KEY_FIGURES if figure.key in summary
    ]


def number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """Return a number as text with thousands separated; a dash for None and NaN, never a negative zero."""
    if value is None or math.isnan(value):
        return NOT_KNOWN
    rounded = round(float(value), decimals) + 0.0
    return f"{rounded:+,.{decimals}f}" if signed and rounded else f"{rounded:,.{decimals}f}"


def _row(figure: KeyFigure, value: float | None, baseline: float | None) -> Row:
    change = None if value is None or baseline is None else value - baseline
    return Row(
        figure,
        number(value, figure.decimals),
        number(baseline, figure.decimals),
        number(change, figure.decimals, signed=True),
    )
