"""Kills at random: whatever the scenario and whenever the end, the run gets through with the unbroken run's result."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

HOURLY = {"time.interval_s": 3600, "time.days": 1}
INVERTERS = {"inverter.reactive": "q_u", "inverter.active": "p_u"}
SCENARIOS: dict[str, tuple[str, dict[str, Any]]] = {
    "smoke-v1": ("smoke-v1", HOURLY),
    "village-v1 with inverters": ("village-v1", {**HOURLY, **INVERTERS}),
    "smoke-v1, negotiated": ("smoke-v1", {**HOURLY, "operator.envelopes": "negotiated"}),
    "village-v1, rewired": ("village-v1", {**HOURLY, "reconfiguration.kind": "hourly"}),
    "village-winter-v1": ("village-winter-v1", HOURLY),
}
KILLS = 42
KILLED = -9


@dataclass
class Chain:
    """One run after another, each killed and gone on with until it is through."""

    breaker: Any
    folder: Any
    scenario: str
    overrides: dict[str, Any]
    kills: int = 0
    faults: list[str] = field(default_factory=list)

    def run(self, unbroken: Any, most: dict[str, float], chance: np.random.Generator, kills: int) -> "Chain":
        """Break runs until there have been that many kills; `most` says how late each kind of kill may come."""
        number = 0
        while self.kills < kills and not self.faults:
            number += 1
            place = self.folder / str(number)
            self._until_through(place, most, chance)
            if not self.faults:
                self.faults += self.breaker.differences(unbroken, place)
        return self

    def _until_through(self, place: Any, most: dict[str, float], chance: np.random.Generator) -> None:
        done = None
        while True:
            kind = str(chance.choice(list(most)))
            value = chance.uniform(0.0, most[kind]) if kind == "wall" else int(chance.integers(1, most[kind]))
            went = self.breaker.play(place, self.scenario, self.overrides, kind, value)
            if went["code"] not in {0, KILLED}:
                self.faults.append(f"exit {went['code']} after {kind} {value}: {went['said']}")
            if done is not None and went["begun"] is not None and went["begun"] <= done:
                self.faults.append(f"tick {done} was committed and is settled again, from {went['begun']}")
            if went["code"] == 0 or self.faults:
                return
            self.kills += 1
            done = went["done"] if went["done"] is not None else done


def reference(breaker, folder, scenario, overrides) -> Any:
    """Make the unbroken run, and return how many answers, rounds and statements it took."""
    went = breaker.play(folder, scenario, overrides)
    assert went["code"] == 0, went["said"]
    return went


def test_killed_four_times_the_result_is_that_of_an_unbroken_run(breaker, tmp_path, campaign_row):
    """Two kills at answers of actors, two inside the journal: one interval at most is computed twice, to the bit."""
    scenario, overrides = "smoke-v1", {**HOURLY, "people.strategy": "truthful"}
    whole = reference(breaker, tmp_path / "unbroken", scenario, overrides)
    chain = Chain(breaker, tmp_path, scenario, overrides)
    for kind, share in (("answer", 0.2), ("statement", 0.3), ("answer", 0.3), ("statement", 0.1)):
        went = breaker.play(tmp_path / "broken", scenario, overrides, kind, int(share * whole[kind]))
        assert went["code"] == KILLED, went["said"]
    through = breaker.play(tmp_path / "broken", scenario, overrides)
    assert through["code"] == 0, through["said"]
    assert through["begun"] > went["done"]
    differences = chain.breaker.differences(tmp_path / "unbroken", tmp_path / "broken")
    campaign_row("F", 4, len(differences), "kill -9, the short part")
    assert differences == []


@pytest.mark.campaign
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_random_the_result_is_that_of_an_unbroken_run(breaker, tmp_path, campaign_row, name):
    """At random answers, at random statements of the journal, and at random moments: one hash, the same tables."""
    scenario, overrides = SCENARIOS[name]
    whole = reference(breaker, tmp_path / "unbroken", scenario, overrides)
    most = {"wall": 3.0, "answer": 0.4 * whole["answer"], "statement": 0.4 * whole["statement"]}
    chance = np.random.default_rng(list(SCENARIOS).index(name))
    chain = Chain(breaker, tmp_path, scenario, overrides).run(tmp_path / "unbroken", most, chance, KILLS)
    campaign_row("F", chain.kills, len(chain.faults), f"kill -9, {name}")
    assert chain.faults == []


@pytest.mark.campaign
def test_killed_inside_a_negotiation_the_result_is_that_of_an_unbroken_run(breaker, tmp_path, campaign_row):
    """The day gate and the rounds about an interval share their tick's transaction: a kill repeats them to the bit."""
    scenario, overrides = SCENARIOS["smoke-v1, negotiated"]
    whole = reference(breaker, tmp_path / "unbroken", scenario, overrides)
    chance = np.random.default_rng(7)
    # Most rounds are those of the day gates, at the first tick and at noon.
    most = {"round": 0.6 * whole["round"]}
    chain = Chain(breaker, tmp_path, scenario, overrides).run(tmp_path / "unbroken", most, chance, 20)
    campaign_row("F", chain.kills, len(chain.faults), "kill -9 inside a negotiation, day gates included")
    assert chain.faults == []


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["term", "int"])
def test_stopped_by_a_signal_the_result_is_that_of_an_unbroken_run(breaker, tmp_path, campaign_row, kind):
    """SIGTERM and SIGINT end a run at the end of its tick, with exit code 130; before it has begun, at once."""
    scenario, overrides = SCENARIOS["smoke-v1"]
    reference(breaker, tmp_path / "unbroken", scenario, overrides)
    chance, faults, stops = np.random.default_rng(3), [], 0
    for number in range(3):
        place = tmp_path / str(number)
        # The last one is left alone: on a busy machine a run might never get through.
        for end in [*[(kind, chance.uniform(0.0, 1.5)) for _ in range(6)], ("none", 0)]:
            went = breaker.play(place, scenario, overrides, *end)
            stops += went["code"] != 0
            faults += [f"exit {went['code']}: {went['said']}"] if went["code"] not in {0, 130, -15} else []
        faults += breaker.differences(tmp_path / "unbroken", place)
    campaign_row("F", stops, len(faults), f"SIG{kind.upper()}, smoke-v1")
    assert faults == []
