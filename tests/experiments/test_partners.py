"""Partners as scenarios and `cosim clear` declare them: who trades with whom, and what is said about bad tables."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from cosim.experiments.build import Build
from cosim.experiments.cli import app
from cosim.experiments.partners import neighbours
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.powerflow import PowerFlow

HEAD = "buyer,seller,preference_eur_per_kwh\n"


@pytest.fixture
def traded(tmp_path, short_runs, monkeypatch):
    """Play two intervals of smoke-v1 at noon with partners, and return how much each pair traded by their names."""

    def play(market: dict, table: str = "") -> dict[tuple[str, str], int]:
        (tmp_path / "partners.csv").write_text(table)
        scenario, _ = Scenario.load("smoke-v1", overrides={f"market.{key}": value for key, value in market.items()})
        monkeypatch.setattr(Scenario, "load", classmethod(lambda _cls, _name, *, overrides: (_of(overrides), tmp_path)))

        def _of(overrides: dict) -> Scenario:
            raw = scenario.model_dump(mode="json")
            for key, value in overrides.items():
                section, _, name = key.partition(".")
                raw[section][name] = value
            return Scenario.checked(raw, "smoke-v1.toml")

        world = short_runs.world(2)
        ids = world.setting.ids
        pairs: dict[tuple[str, str], int] = {}
        for tables in short_runs.play(world):
            columns = (tables["trades"][name].tolist() for name in ("seller", "buyer", "energy_wh"))
            for seller, buyer, energy in zip(*columns, strict=True):
                key = ids[seller], ids[buyer]
                pairs[key] = pairs.get(key, 0) + energy
        monkeypatch.undo()
        return pairs

    return play


def test_a_preference_changes_who_trades_with_whom(traded):
    """Of two sellers with energy to spare the one that the buyer likes better serves it, whichever that is."""
    pool = traded({"mechanism": "bilateral"})
    needy = max({buyer for _, buyer in pool}, key=lambda name: sum(e for (_, b), e in pool.items() if b == name))
    one, other, *_ = sorted({seller for seller, _ in pool}, key=lambda name: -sum(e for (s, _), e in pool.items() if s == name))
    market = {"mechanism": "bilateral", "partners": "partners.csv"}
    for liked, passed in ((one, other), (other, one)):
        found = traded(market, f"{HEAD}{needy},{liked},0.03\n{needy},{passed},0.0\n")
        assert set(found) <= {(liked, needy), (passed, needy)}
        assert found[liked, needy] > 0
        assert found.get((passed, needy), 0) == 0 or found[liked, needy] > found[passed, needy]
