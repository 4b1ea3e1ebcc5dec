"""The sentence that a run ends with."""

from typing import Any

import pytest

from cosim.experiments.verdict import grade, verdict

QUIET: dict[str, Any] = {
    "days": 7,
    "intervals": 672,
    "ac_checks": 1344,
    "violation_bus_intervals": 0,
    "over_voltage_bus_intervals": 0,
    "under_voltage_bus_intervals": 0,
    "overloaded_branch_intervals": 0,
    "diverged": 0,
    "unserved_kwh": 0.0,
    "prosumer_cost_eur": 880.0,
}


def compared(pays: float, paid: float, **more: Any) -> str:
    """Return what is said after the semicolon."""
    baseline = {"prosumer_cost_eur": paid, "violation_bus_intervals": 0, **more}
    return verdict({**QUIET, "prosumer_cost_eur": pays, "baseline": baseline}).partition("; ")[2]


def test_quiet_week() -> None:
    """A run without trouble is told in the words of the manual."""
    sentence = verdict({**QUIET, "baseline": {"prosumer_cost_eur": 1000.0, "violation_bus_intervals": 0}})
    assert sentence == (
        "7 days, 672 intervals, 1,344 AC checks, 0 violations; prosumers pay 12 % less than without a market"
    )


def test_no_baseline_no_comparison() -> None:
    """Without a baseline nothing is compared; without days the sentence begins with intervals."""
    assert verdict(QUIET) == "7 days, 672 intervals, 1,344 AC checks, 0 violations"
    without = {key: value for key, value in QUIET.items() if key != "days"}
    assert verdict({**without, "intervals": 1}) == "1 interval, 1,344 AC checks, 0 violations"


def test_trouble_is_said() -> None:
    """Violations of every kind, intervals not carried and energy not served stand in the sentence."""
    trouble = {
        "violation_bus_intervals": 1003,
        "over_voltage_bus_intervals": 1000,
        "under_voltage_bus_intervals": 3,
        "overloaded_branch_intervals": 2,
        "diverged": 1,
        "unserved_kwh": 1234.56,
    }
    assert verdict({**QUIET, **trouble}) == (
        "7 days, 672 intervals, 1,344 AC checks, 1,005 violations (1,000 over voltage, 3 under voltage, "
        "2 overloaded), 1 interval that the grid could not carry in full, 1,234.6 kWh not served"
    )


@pytest.mark.parametrize(
    ("pays", "paid", "words"),
    [
        (880.0, 1000.0, "prosumers pay 12 % less than without a market"),
        (1120.0, 1000.0, "prosumers pay 12 % more than without a market"),
        (-1120.0, -1000.0, "prosumers earn 12 % more than without a market"),
        (-880.0, -1000.0, "prosumers earn 12 % less than without a market"),
        (-30.0, 100.0, "prosumers earn 30.00 EUR instead of paying 100.00 EUR without a market"),
        (30.0, -1100.5, "prosumers pay 30.00 EUR instead of earning 1,100.50 EUR without a market"),
        (30.0, 0.0, "prosumers pay 30.00 EUR instead of paying 0.00 EUR without a market"),
        (0.0, 100.0, "prosumers pay 100 % less than without a market"),
        (100.0, 100.004, "prosumers pay as much as without a market"),
        (-100.0, -100.0, "prosumers earn as much as without a market"),
        (99.6, 100.0, "prosumers pay 0.4 % less than without a market"),
        (99.03, 100.0, "prosumers pay 1 % less than without a market"),
        (99.99, 100.0, "prosumers pay less than 0.1 % less than without a market"),
    ],
)
def test_signs_of_costs(pays: float, paid: float, words: str) -> None:
    """A cost may be an income on either side; the words never turn a loss into a gain."""
    assert compared(pays, paid) == words


def test_baseline_with_violations() -> None:
    """Who pays less only because the baseline breaks limits is told so."""
    said = compared(1100.0, 1000.0, violation_bus_intervals=64)
    assert said == "prosumers pay 10 % more than without a market (which has 64 violations)"


def test_what_was_without_voltage_is_told_apart() -> None:
    """Dead buses are no violations; a run with some is not sound either."""
    dark = {**QUIET, "dark_bus_intervals": 20, "unserved_kwh": 3.0}
    assert verdict(dark).endswith("0 violations, 20 bus-intervals without voltage, 3.0 kWh not served")
    assert grade({**QUIET, "dark_bus_intervals": 1}) == "short"


def test_grade() -> None:
    """The colour of the verdict follows limits first, then what was not served."""
    assert grade(QUIET) == "sound"
    assert grade({**QUIET, "unserved_kwh": 3.0}) == "short"
    assert grade({**QUIET, "unserved_kwh": 3.0, "overloaded_branch_intervals": 1}) == "broken"
    assert grade({**QUIET, "diverged": 1}) == "broken"


def test_plug_in_faults_are_not_passed_over() -> None:
    """A strategy that broke its contract is named in the sentence, however well the run went with the fallback."""
    sentence = verdict({"intervals": 4, "ac_checks": 8, "violation_bus_intervals": 0, "events": {"plugin_raised": 3}})
    assert "3 plug-in faults met by the fallback" in sentence
    events = {"plugin_timeout": 1, "plugin_lost": 1, "plugin_quarantined": 1}
    sentence = verdict({"intervals": 4, "ac_checks": 8, "violation_bus_intervals": 0, "events": events})
    assert "2 plug-in faults met by the fallback, 1 plug-in replaced by the fallback for good" in sentence


def test_the_supplier_s_side_is_told() -> None:
    """What prosumers save is partly what the supplier loses, and the sentence says so."""
    run = {**QUIET, "prosumer_cost_eur": 90.0, "accounts_eur": {"supplier": 20.0}}
    run["baseline"] = {"prosumer_cost_eur": 100.0, "accounts_eur": {"supplier": 32.5}}
    assert verdict(run).endswith("prosumers pay 10 % less than without a market, the supplier earns 12.50 EUR less")


def test_refused_orders_are_told() -> None:
    """Orders that never reached the book are counted in the sentence."""
    assert "960 orders refused or cut" in verdict({**QUIET, "events": {"order_refused": 960}})
