"""Runs with cars that give back, elastic demand, ageing batteries and houses: planned is delivered, and all adds up."""

import json

import numpy as np
import pytest

from cosim.experiments.describe import describe
from cosim.experiments.run import Request, continue_run, execute
from cosim.journal import Journal

DEVICES = {
    "v2g": {"people__car_v2g_share": 0.6, "people__cars_per_kw": 0.4},
    "elastic": {"people__elastic_share": 0.3},
    "ageing": {"people__battery_ageing": True},
    "houses": {"people__heat_pump_comfort": True},
}
ALL = {key: value for switches in DEVICES.values() for key, value in switches.items()}
COLUMNS = {
    "v2g": {"v2g_kw"},
    "elastic": {"forgone_kw", "forgone_eur"},
    "ageing": {"ageing_eur", "soh"},
    "houses": {"indoor_c"},
}
EVENING = "2016-06-20T17:00:00+01:00"


@pytest.mark.parametrize("strategy", ["predictive", "price_responsive", "truthful", "passive"])
def test_what_is_planned_is_delivered(short_runs, strategy):
    """Where the future is known exactly every prosumer delivers its nomination to the bit, with all devices on."""
    world = short_runs.world(12, people__strategy=strategy, forecast__kind="perfect", **ALL, **{"time.start": EVENING})
    played = short_runs.play(world)
    for tables in played:
        rows = tables["prosumers"]
        np.testing.assert_array_equal(rows["net_kw"], rows["nominated_kw"])
        np.testing.assert_array_equal(rows["metered_wh"], rows["nominated_wh"])
        assert np.all(rows["unserved_kw"] < 1e-9)
        assert np.all(rows["ev_unmet_kwh"] < 1e-9)
        assert np.all(rows["heat_unmet_kwh"] < 1e-9)
    last = played[-1]["prosumers"]
    assert np.all((last["soh"] > 0.99) & (last["soh"] < 1.0))
    assert max(tables["prosumers"]["forgone_kw"].max() for tables in played) > 0.0
    gave = max(tables["prosumers"]["v2g_kw"].max() for tables in played)
    assert (gave > 1.0) == (strategy == "predictive")


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_brings_its_columns_and_no_other(short_runs, name):
    """Tables hold the columns of a device where somebody has it; without, they are those of any other run."""
    plain = set(short_runs.play(short_runs.world(2))[0]["prosumers"])
    with_device = set(short_runs.play(short_runs.world(2, **DEVICES[name]))[0]["prosumers"])
    assert with_device - plain == COLUMNS[name]
    assert not plain & set().union(*COLUMNS.values())


@pytest.mark.parametrize("strategy", ["predictive", "price_responsive", "truthful"])
def test_the_two_forms_of_a_strategy_see_the_devices_alike(short_runs, strategy):
    """What a one-prosumer form sees of elastic demand, ageing and houses is enough to decide as the cohort form does.

    The plans of the two forms differ in how late cars may charge, so these runs have none; and the planner for one
    plans anew after each fill, so only its answer to prices is compared.
    """
    switches = ALL | {"people__cars_per_kw": 0.0, "forecast__kind": "perfect", "time.start": EVENING}
    forms = (strategy, f"{strategy}_one")
    one, other = (short_runs.play(short_runs.world(4, people__strategy=form, **switches)) for form in forms)
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left["prosumers"]["forgone_kw"], right["prosumers"]["forgone_kw"], atol=1e-3)
        for column in () if strategy == "predictive" else ("metered_wh", "position_wh"):
            assert np.abs(left["prosumers"][column] - right["prosumers"][column]).max() <= 2


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    """Stopped and resumed, a run with all devices ends like an unbroken one; the summary says what they did."""
    overrides = {key.replace("__", "."): value for key, value in ALL.items()} | {"people.strategy": "truthful"}
    requests = [Request("smoke-v1", tmp_path / name, days=1, overrides=overrides) for name in ("whole", "broken")]
    execute(requests[0])
    seen = []

    def stop(world, now):
        seen.append(now)
        if now == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(requests[1], stop)
    journal = Journal.open(tmp_path / "broken")
    assert journal.latest()[0] <= 40
    journal.close()
    continue_run(tmp_path / "broken")
    whole, broken = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("whole", "broken"))
    assert broken["result_sha256"] == whole["result_sha256"]
    assert whole["forgone_kwh"] > 0.0
    assert 0.99 < whole["soh_min"] < 1.0
    assert 19.0 <= whole["indoor_min_c"] <= whole["indoor_max_c"] <= 23.0
    assert whole["money_residual_eur"] == 0.0
    told = describe(requests[0].build())["what"]
    assert told["cars_that_give_back"] == round(0.6 * told["cars"])
    assert told["elastic_share_of_firm_demand"] == 0.3
    assert told["houses_hold_kwh"] > 0.0
