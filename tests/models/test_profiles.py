"""Profiles on the run's clock, and the village whose published power flows must come out."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import cosim.models
from cosim.models.errors import BadInputError
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.profiles import load_profiles
from cosim.models.prosumer_table import prosumer_table
from cosim.models.village import profile_columns, village

DATA = Path(cosim.models.__file__).parent / "data"
VILLAGE = DATA / "ieee33_32prosumers.csv"
# The four-week blocks of the reference begin at local midnight, in the table's fixed UTC+1.
BLOCKS = {"winter": (1, 11), "spring": (4, 4), "summer": (6, 20), "autumn": (10, 3)}
STEPS = 2688


def start(season):
    return datetime(2016, *BLOCKS[season], tzinfo=UTC) - timedelta(hours=1)


@pytest.fixture(scope="module")
def table():
    return prosumer_table(VILLAGE)


@pytest.fixture(scope="module")
def profiles(table):
    return load_profiles(start("winter"), columns=profile_columns(table))


@pytest.fixture(scope="module")
def flow():
    return PowerFlow(load_feeder("ieee33_bw"), slack_vm_pu=1.0)


@pytest.fixture(scope="module")
def reference():
    with (DATA / "ieee33_32prosumers_reference.csv").open(newline="") as file:
        return {row["time"]: row for row in csv.DictReader(file)}


def net(table, profiles, first, count):
    """Return active and reactive power of all prosumers without any control, by the law of signs."""
    series = village(table, profiles)
    passive = (series.demand, series.heat_pump, series.ev, series.sun, series.wind)
    return sum(part.window(first, count) for part in passive), series.demand_q.window(first, count)


def batched_flow(flow, p_kw, q_kvar):
    """Solve many steps at once by the Z-bus fixed point V = V0 + Z (S / V)*; returns |V| and loss in kW."""
    grid = flow.admittance()
    buses = len(flow.feeder.bus_ids)
    ybus = np.asarray(grid.ybus.todense())
    slack = int(flow.feeder.slack[0])
    others = np.delete(np.arange(buses), slack)
    z = np.linalg.inv(ybus[np.ix_(others, others)])
    no_load = -z @ ybus[np.ix_(others, [slack])]
    power = (p_kw + 1j * q_kvar)[others] / grid.base_kva
    volt = np.broadcast_to(no_load, power.shape)
    for _ in range(60):
        last, volt = volt, no_load + z @ np.conj(power / volt)
        if np.abs(volt - last).max() < 1e-11:
            break
    current = ybus[[slack]][:, others] @ volt + ybus[slack, slack]
    loss = np.conj(current[0]).real * grid.base_kva + p_kw[others].sum(axis=0)
    return np.abs(volt), loss


def test_the_passive_village_reproduces_the_published_power_flows(table, profiles, flow, reference):
    """Four seasons at slack 1.00: net power, losses (0.1 kWh), voltages (1e-5 pu), counts as published."""
    rows = flow.feeder.bus_positions(table.bus)
    for season, expected in reference.items():
        first = round((start(season) - start("winter")).total_seconds()) // 900
        p, q = net(table, profiles, first, STEPS)
        p_bus, q_bus = np.zeros((33, STEPS)), np.zeros((33, STEPS))
        np.add.at(p_bus, rows, p)
        np.add.at(q_bus, rows, q)
        volt, loss = batched_flow(flow, p_bus, q_bus)
        total = -p.sum(axis=0)
        for name, value in (("net_min", total.min()), ("net_mean", total.mean()), ("net_max", total.max())):
            assert value == pytest.approx(float(expected[name]), abs=1e-3), (season, name)
        assert loss.sum() * 0.25 == pytest.approx(float(expected["loss_kwh"]), abs=0.1), season
        assert volt.min() == pytest.approx(float(expected["vmin"]), abs=1e-5), season
        assert max(volt.max(), 1.0) == pytest.approx(float(expected["vmax"]), abs=1e-5), season
        lowest, highest = volt.min(axis=0), volt.max(axis=0)
        counts = (np.sum(highest > 1.05), np.sum(highest > 1.03), np.sum(lowest < 0.95))
        assert counts == tuple(int(expected[name]) for name in ("over105", "over103", "under095")), season


def test_the_batched_flow_of_these_tests_agrees_with_the_real_one(table, profiles, flow):
    """A handful of steps solved by `PowerFlow`: voltages to 1e-9 pu, losses to 1e-6 kW."""
    rows = flow.feeder.bus_positions(table.bus)
    for step in (0, 40, 76, 1000, 2687):
        p, q = net(table, profiles, step, 1)
        p_bus, q_bus = np.zeros((33, 1)), np.zeros((33, 1))
        np.add.at(p_bus, rows, p)
        np.add.at(q_bus, rows, q)
        volt, loss = batched_flow(flow, p_bus, q_bus)
        state = flow.solve(p_bus[:, 0], q_bus[:, 0])
        np.testing.assert_allclose(np.delete(state.vm_pu, flow.feeder.slack), volt[:, 0], atol=1e-9)
        assert state.loss_kw == pytest.approx(loss[0], abs=1e-6)


@pytest.mark.parametrize("scale", [1, 3, 5])
def test_scaled_sun_reproduces_the_published_stress_table(table, flow, scale):
    """Summer with PV x 1, 3, 5: lowest net power, losses, voltages and steps over 1.05 pu as published."""
    with (DATA / "ieee33_32prosumers_pv_stress_summer.csv").open(newline="") as file:
        expected = {int(row["pv_scale"]): row for row in csv.DictReader(file)}[scale]
    series = village(table, load_profiles(start("summer"), columns=profile_columns(table)), pv_scale=scale)
    p = sum(s.window(0, STEPS) for s in (series.demand, series.heat_pump, series.ev, series.sun, series.wind))
    p_bus, q_bus = np.zeros((33, STEPS)), np.zeros((33, STEPS))
    np.add.at(p_bus, flow.feeder.bus_positions(table.bus), p)
    np.add.at(q_bus, flow.feeder.bus_positions(table.bus), series.demand_q.window(0, STEPS))
    volt, loss = batched_flow(flow, p_bus, q_bus)
    assert -p.sum(axis=0).max() == pytest.approx(float(expected["min_net_kw"]), abs=1e-3)
    assert loss.sum() * 0.25 == pytest.approx(float(expected["loss_kwh"]), abs=0.1)
    assert volt.max() == pytest.approx(float(expected["vmax"]), abs=1e-5)
    assert np.sum(volt.max(axis=0) > 1.05) == int(expected["steps_over_1_05"] or 0)


def test_series_obey_the_law_of_signs(table, profiles):
    """Demand, heat pumps and cars import, sun and wind export, in every step of the year."""
    series = village(table, profiles)
    first, count = -10 * 96, 366 * 96
    for part in (series.demand, series.heat_pump, series.ev):
        assert part.window(first, count).max() <= 0.0
    assert series.available_kw(first, count).min() >= 0.0
    assert series.demand.window(first, 4).shape == (32, 4)


def test_windows_reach_before_the_start_and_stop_at_the_edge_of_the_table(profiles, table):
    """History of the run is there; beyond the year the fault names what the table holds."""
    demand = village(table, profiles).demand
    np.testing.assert_array_equal(demand.window(-4, 8)[:, 4:], demand.window(0, 4))
    with pytest.raises(BadInputError, match="intervals -960 to 34175"):
        demand.window(-961, 2)
    with pytest.raises(BadInputError, match="intervals of the run"):
        demand.window(34175, 2)


def test_the_price_is_in_euro_per_kilowatt_hour_and_on_the_clock():
    """1 January 2016 in the Netherlands began at 23.86 EUR/MWh, the day's fourth hour cost 16.81."""
    price = load_profiles(datetime(2015, 12, 31, 23, tzinfo=UTC), columns=["price_nl_da_eur_mwh"]).price()
    assert price.window(0, 1)[0, 0] == pytest.approx(0.02386)
    assert price.window(12, 4)[0] == pytest.approx([0.01681] * 4)


def test_other_intervals_average_or_repeat():
    """An hour holds the mean of its quarters, five minutes repeat theirs; what does not fit is refused."""
    begin = datetime(2016, 6, 20, 10, tzinfo=UTC)
    quarter = load_profiles(begin, columns=["PV1"]).values
    first = load_profiles(begin, columns=["PV1"]).first
    hour = load_profiles(begin, columns=["PV1"], interval_s=3600)
    fine = load_profiles(begin, columns=["PV1"], interval_s=300)
    assert hour.values[0, hour.first] == pytest.approx(quarter[0, first : first + 4].mean())
    assert fine.values[0, fine.first : fine.first + 6] == pytest.approx(np.repeat(quarter[0, first : first + 2], 3))
    with pytest.raises(BadInputError, match="interval_s is 700"):
        load_profiles(begin, columns=["PV1"], interval_s=700)


@pytest.mark.parametrize(
    ("begin", "columns", "message"),
    [
        (datetime(2016, 6, 20, 10, 7, tzinfo=UTC), ["PV1"], "allowed is a whole number of 900 s"),
        (datetime(2017, 6, 20, tzinfo=UTC), ["PV1"], "until 2016-12-31T23:00"),
        (datetime(2016, 6, 20, tzinfo=UTC), ["PV11"], "did you mean 'PV1'"),
    ],
)
def test_what_the_table_does_not_hold_is_bad_input(begin, columns, message):
    """Starts off the grid or out of the year and misspelt columns are named, with what is allowed."""
    with pytest.raises(BadInputError, match=message):
        load_profiles(begin, columns=columns)


def test_files_that_are_no_tables_are_bad_input(tmp_path):
    """Missing and foreign files end in a fault, not in a traceback of the reader."""
    begin = datetime(2016, 6, 20, tzinfo=UTC)
    with pytest.raises(BadInputError, match="cannot be read"):
        load_profiles(begin, path=tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("not a table")
    with pytest.raises(BadInputError, match="cannot be read"):
        load_profiles(begin, path=tmp_path / "text.parquet")


def test_gaps_and_missing_numbers_in_a_table_are_faults(tmp_path):
    """A table with a hole in time and a NaN is refused with both faults."""
    import duckdb

    path = tmp_path / "holes.parquet"
    rows = (
        "SELECT TIMESTAMP '2016-01-01' + INTERVAL 15 MINUTE * i AS __index_level_0__, "
        "CASE WHEN i = 3 THEN 'nan'::DOUBLE ELSE 1.0 END AS PV1 FROM range(10) t(i) WHERE i <> 7"
    )
    duckdb.connect().sql(rows).write_parquet(str(path))
    with pytest.raises(BadInputError) as caught:
        load_profiles(datetime(2016, 1, 1, tzinfo=UTC), path=path)
    assert [fault.key for fault in caught.value.faults] == ["time", "column 'PV1'"]


def test_all_faults_of_a_prosumer_table_are_listed_at_once(tmp_path):
    """Words and negatives where numbers belong, half buses, missing profiles: each with row and column."""
    lines = VILLAGE.read_text().splitlines()
    lines[1] = lines[1].replace("100.0", "much").replace("150.0", "-1")
    lines[2] = lines[2].replace("3,residential", "3.5,residential").replace(",PV2,", ",,")
    path = tmp_path / "village.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(BadInputError) as caught:
        prosumer_table(path)
    keys = {fault.key for fault in caught.value.faults}
    assert keys == {"line 2 p_peak_kw", "line 2 pv_kwp", "line 3 bus", "line 3 pv_profile"}
    path.write_text("bus,kind\n")
    with pytest.raises(BadInputError, match="at least one row"):
        prosumer_table(path)
    path.write_text("bus,kind\n1,farm\n")
    with pytest.raises(BadInputError, match="column 'load_profile'"):
        prosumer_table(path)


def test_an_unknown_profile_is_named_with_its_nearest(profiles):
    """A profile that the loaded table lacks is bad input."""
    with pytest.raises(BadInputError, match="did you mean 'PV1'"):
        profiles.series(["PV1x"], np.ones(1))


def test_fleets_grow_with_the_peak_load_of_homes(table):
    """0.6 cars a kW give the published 969 cars, 0.7 give 1,130; firms and farms have none."""
    assert int(table.cars(0.6).sum()) == 969
    assert int(table.cars(0.7).sum()) == 1130
    homes = np.array([kind == "residential" for kind in table.kind])
    assert not table.cars(0.6)[~homes].any()
