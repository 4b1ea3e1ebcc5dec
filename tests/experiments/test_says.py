"""The sentences of a report: computed, true, and different where the figures are."""

from datetime import UTC, datetime

import numpy as np
import plotly.graph_objects as go
import pytest

from cosim.experiments import plots_shares, plots_time, says
from cosim.experiments.plots import TimeAxis
from cosim.experiments.stills import write_still
from cosim.models.errors import BadInputError, StorageError
from cosim.models.grid.state import Limits

AXIS = TimeAxis(datetime(2016, 6, 20, tzinfo=UTC), 900, 4)


def plain(text: str) -> str:
    """Return a sentence with plain spaces."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_price() -> None:
    """The mean price is weighted by energy, and intervals without a price do not spoil it."""
    intervals = {
        "traded_wh": np.array([0, 1000, 3000, 0]),
        "price_eur_per_kwh": np.array([np.nan, 0.10, 0.20, np.nan]),
        "sell_eur_per_kwh": np.full(4, 0.06),
        "energy_eur_per_kwh": np.full(4, 0.30),
    }
    assert says.price(intervals, AXIS) == (
        "4 kWh change hands at 0.175 EUR/kWh on average, where the supplier would pay 0.060 and charge 0.300;"
        " most, 3 kWh, on Mon 20 Jun 00:30."
    )
    assert says.price({**intervals, "traded_wh": np.zeros(4)}, AXIS).startswith("Nobody traded")


@pytest.mark.parametrize(
    ("low", "high", "over", "words"),
    [
        (0.96, 1.049, 0, "never leave their limits; the upper one is nearest, with 0.0010 pu to spare"),
        (0.951, 1.04, 0, "the lower one is nearest, with 0.0010 pu to spare"),
        (0.96, 1.06, 3, "3 bus-intervals are beyond a limit, by up to 0.0100 pu"),
        (0.93, 1.06, 2, "2 bus-intervals are beyond a limit, by up to 0.0200 pu"),
    ],
)
def test_voltages(low: float, high: float, over: int, words: str) -> None:
    """Within limits the sentence says how much is spare, beyond them by how much and how often."""
    intervals = {"vm_min_pu": np.array([1.0, low]), "vm_max_pu": np.array([high, 1.0])}
    counts = {"over_buses": np.array([over, 0]), "under_buses": np.zeros(2, int)}
    told = says.voltages({**intervals, **counts}, Limits(0.95, 1.05, 100.0))
    assert words in told
    dark = {"dark_buses": np.array([7, 13])}
    assert says.voltages({**intervals, **counts, **dark}, Limits(0.95, 1.05, 100.0)) == (
        f"{told} 20 bus-intervals are without voltage."
    )


def test_envelopes() -> None:
    """The use of room is the net power over the edge in its own direction."""
    totals = {
        "net_kw": np.array([5.0, -2.0, 9.0, 0.0]),
        "upper_kw": np.array([10.0, 10.0, 10.0, 0.0]),
        "lower_kw": np.array([-4.0, -4.0, -4.0, 0.0]),
    }
    told = plain(says.envelopes(totals, {"bound": np.array([1, 1])}, AXIS))
    assert "up to 90 % of their room to export (Mon 20 Jun 00:30)" in told
    assert "50 % of that to import (Mon 20 Jun 00:15)" in told
    assert "at an edge 25 % of the time" in told


def test_held_back() -> None:
    """Far and near thirds are compared, and the moment when most are held back is named with its direction."""
    people, share = {"bound": np.array([0, 1, 2])}, np.array([[0.0, 0.0], [0.0, -50.0], [0.0, -100.0]])
    told = plain(says.held_back(people, np.arange(3), share, AXIS, 2))
    assert told.startswith("The third farthest from upstream is held back 50 % of the time, more than the nearest")
    assert told.endswith("around Mon 20 Jun 00:30, when they import.")
    turned = says.held_back(people, np.arange(3)[::-1], share, AXIS, 2)
    assert ", less than the nearest" in turned


def test_trades_and_money() -> None:
    """Who deals most and who wins by the market are named."""
    trades = {"seller": np.array([0, 0, 1]), "buyer": np.array([1, 2, 2]), "energy_wh": np.array([1000, 1000, 3000])}
    told = plain(says.trades(trades, ["a", "b", "c"]))
    assert told == "b sells most (60 % of all), c buys most (80 %); 3 of 6 possible pairs traded at least once."
    now, before = {"prosumers": -100.0, "supplier": 100.0}, {"prosumers": -120.0, "supplier": 120.0}
    assert says.money(now, before).endswith(
        "against no market the prosumers are better off by 20 EUR, the supplier is worse off by 20 EUR."
    )
    assert "against" not in says.money(now, {})


def test_energy_and_time() -> None:
    """The largest parts are named with what they are of the whole."""
    sides = {"in": [("from upstream", 3.0), ("sun", 1.0)], "out": [("demand", 3.9), ("losses", 0.1)]}
    assert plain(says.energy(sides)) == (
        "Of 4 kWh that enter the feeder most are from upstream (75 %), of those that leave it demand (98 %);"
        " losses take 2.5 %."
    )
    assert (
        plain(says.time({"power_flow": 1.0, "market": 0.5, "total": 2.0})) == "2.0 s in all, 50 % of it for power flow."
    )


def test_fairness_and_shares() -> None:
    """The half that has least is told, and followers won and lost."""
    told = plain(says.fairness({"gains": np.array([3.0, 1.0, 0.0, 0.0])}, {"gains": 0.625}))
    assert "0 % of gains (Gini 0.62)" in told
    moved = plain(says.shares(["bold", "calm"], np.array([[0.25, 0.75], [0.75, 0.25]])))
    assert moved.startswith("bold wins most followers, from 25 % of prosumers on the first day to 75 % on the last")


def test_talks_that_end() -> None:
    """The curve of talks that have ended reaches all, that of agreements the share that agreed."""
    rounds, agreed = np.array([1, 3, 3, 5]), np.array([True, True, False, False])
    ended, settled = plots_shares.rounds_needed(rounds, agreed)["data"]
    assert ended["y"] == [0.0, 25.0, 25.0, 75.0, 75.0, 100.0]
    assert settled["y"][-1] == 50.0
    assert "3 rounds in half of the intervals and take 5 at most" in says.rounds(rounds, agreed)


@pytest.mark.parametrize("people", [1, 7, 10_000])
def test_lorenz_is_thin(people: int) -> None:
    """The curve goes from nobody to everybody with a bounded number of points, at any number of prosumers."""
    (_, curve) = plots_shares.lorenz({"gains": np.arange(1.0, people + 1.0)})["data"]
    assert (curve["x"][0], curve["y"][0], curve["x"][-1], curve["y"][-1]) == (0.0, 0.0, 100.0, 100.0)
    assert len(curve["x"]) <= 200


def test_pictures_of_shares_are_valid() -> None:
    """Plotly accepts what a run of the tests does not draw: agreements, followers by day, who is held back."""
    share = np.array([[np.nan, 100.0], [-50.0, np.nan]])
    for figure in (
        plots_shares.shares_by_day(["a<b", "c"], np.array([[0.5, 1.0], [0.5, 0.0]])),
        plots_shares.rounds_needed(np.array([1, 2]), np.array([True, False])),
        plots_time.held_back(share, ["a<b", "c"], AXIS, 2),
    ):
        go.Figure(figure)
        assert "a<b" not in str(figure)


def test_a_still_needs_a_browser(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Without one, or with an ending that nobody draws, a sentence says so and no file is left."""
    figure = plots_shares.lorenz({"gains": np.ones(3)})
    with pytest.raises(BadInputError, match=r"\.svg or \.png"):
        write_still(figure, tmp_path / "still.gif")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match="no browser"):
        write_still(figure, tmp_path / "still.svg")
    assert list(tmp_path.iterdir()) == []
