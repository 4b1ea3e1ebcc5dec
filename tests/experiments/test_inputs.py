"""Inputs of a person's own: series, tables and networks that are good, and what is made of them."""

import json
import sys
import types
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pandapower
import pytest

from cosim.clock import Clock
from cosim.experiments.build import Build
from cosim.experiments.inputs import read_inputs
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.series_file import SeriesFile, read_series
from cosim.models.village import village

BEGIN = datetime(2016, 6, 18, tzinfo=UTC)
SCENARIO = """
name = "own"
[time]
start = 2016-06-20T00:00:00+02:00
days = 1
[grid]
network = "ieee33_bw"
[people]
table = "people.csv"
strategy = "passive"
[tariff]
kind = "dynamic"
[profiles]
price = "price"
files = [{ file = "series.csv" }]
"""
PEOPLE = """id,bus,kind,load_profile,p_peak_kw,pv_profile,pv_kwp,bess_kw,bess_kwh
ann,13,residential,use,8,sun,6,5,10
bob,18,commercial,lv_rural1,30,PV1,20,0,0
"""


def rows(count, step=timedelta(minutes=15), begin=BEGIN):
    """Rows of use (4 to 7), sun (0 to 0.9) and price (40 to 52 EUR/MWh)."""
    moments = [begin + place * step for place in range(count)]
    return ["time,use,sun,price"] + [
        f"{moment.isoformat()},{4 + place % 7 / 2},{place % 10 / 10},{40 + place % 13}"
        for place, moment in enumerate(moments)
    ]


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a scenario whose series, prices and people are its own."""
    (tmp_path / "own.toml").write_text(SCENARIO)
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "series.csv").write_text("\n".join(rows(7 * 96)))
    return tmp_path


def inputs(folder, **overrides):
    """Read the inputs of the folder's scenario; dots of overridden keys are written as `__`."""
    chosen = {key.replace("__", "."): value for key, value in overrides.items()}
    scenario, beside = Scenario.load(str(folder / "own.toml"), overrides=chosen)
    return read_inputs(scenario, beside, "own.toml")


def test_own_series_and_bundled_ones_stand_side_by_side_on_the_runs_clock(folder):
    """The own load peaks at its rating where its column peaks, the bundled one stays, the price is in EUR/kWh."""
    read = inputs(folder)
    series = village(read.customers, read.profiles)
    demand, sun = series.demand.window(0, 96), series.sun.window(0, 96)
    first = 46 * 4  # rows from 18 June 00:00 UTC to 19 June 22:00 UTC
    np.testing.assert_allclose(demand[0], [-8 * (4 + (first + step) % 7 / 2) / 7 for step in range(96)])
    np.testing.assert_allclose(sun[0], [6 * ((first + step) % 10) / 10 for step in range(96)])
    assert read.profiles.price().window(0, 1)[0, 0] == pytest.approx((40 + first % 13) * 1e-3)
    assert read.profiles.first == first
    bundled = inputs(folder, people__only=["bob"])
    np.testing.assert_array_equal(village(bundled.customers, bundled.profiles).demand.window(0, 96), demand)


def test_values_in_kw_are_taken_as_they_are(folder):
    """With unit kW neither rating nor peak scales a series; the scenario's factor does."""
    (folder / "people.csv").write_text("id,bus,kind,load_profile,p_peak_kw\nann,13,residential,use,8\n")
    read = inputs(folder, profiles__files=[{"file": "series.csv", "unit": "kW"}])
    first = 46 * 4
    demand = village(read.customers, read.profiles, load_scale=2.0).demand.window(0, 8)[0]
    np.testing.assert_allclose(demand, [-2 * (4 + (first + step) % 7 / 2) for step in range(8)])


def test_a_world_of_own_series_runs(folder):
    """Such a scenario runs, here for its first three intervals."""
    scenario, beside = Scenario.load(str(folder / "own.toml"))
    world = Build(scenario, beside).world()
    assert world.setting.ids == ("ann", "bob")
    Clock(world, None, lambda now: now < 2).run()


def test_other_steps_of_a_file_fit_the_runs_intervals(folder):
    """Hourly rows repeat, five-minute rows are averaged."""
    for seconds, count in ((3600, 7 * 24), (300, 7 * 288)):
        (folder / "series.csv").write_text("\n".join(rows(count, timedelta(seconds=seconds))))
        read = inputs(folder, profiles__files=[{"file": "series.csv", "step_s": seconds}])
        sun = village(read.customers, read.profiles).sun.window(0, 4)[0]
        first = 46 * 3600 // seconds
        if seconds == 3600:
            np.testing.assert_allclose(sun, 6 * (first % 10) / 10)
        else:
            mean = [np.mean([(first + 3 * step + part) % 10 / 10 for part in range(3)]) for step in range(4)]
            np.testing.assert_allclose(sun, 6 * np.array(mean))


@pytest.mark.parametrize(
    ("fill", "expected"), [("hold", [4, 4, 4, 5.5]), ("linear", [4, 4.5, 5, 5.5]), ("zero", [4, 0, 0, 5.5])]
)
def test_gaps_are_filled_only_as_the_scenario_says(tmp_path, fill, expected):
    """A missing row and an empty cell get the last value, a line or zero."""
    lines = rows(4)
    lines[2] = f"{(BEGIN + timedelta(minutes=15)).isoformat()},,0,0"
    path = tmp_path / "series.csv"
    path.write_text("\n".join([*lines[:3], *lines[4:]]))
    read = read_series(SeriesFile(path, "series.csv", fill=fill), ["use"])
    np.testing.assert_allclose(read.values[0], expected)
    with pytest.raises(BadInputError, match="1 rows are missing before it"):
        read_series(SeriesFile(path, "series.csv"), ["use"])


def test_local_times_are_unrolled_over_both_clock_changes(tmp_path):
    """A local day of 92 and one of 100 quarter-hours lie evenly in UTC; the second 02:00 is winter time."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Europe/Berlin")
    for day, begins in ((datetime(2016, 3, 27, tzinfo=zone), 23), (datetime(2016, 10, 30, tzinfo=zone), 22)):
        count = 92 if day.month == 3 else 100
        first = day.astimezone(UTC)
        moments = [(first + place * timedelta(minutes=15)).astimezone(zone) for place in range(count)]
        assert moments[-1].strftime("%H:%M") == "23:45"
        path = tmp_path / f"{day.month}.csv"
        path.write_text("time,use\n" + "\n".join(f"{moment:%Y-%m-%d %H:%M},1" for moment in moments))
        read = read_series(SeriesFile(path, path.name, zone="Europe/Berlin"), ["use"])
        assert read.values.shape == (1, count)
        assert read.begin.hour == begins


def test_parquet_says_the_same_as_csv(tmp_path):
    """Times with a zone and without one, in a table of DuckDB, read as the CSV of the same rows does."""
    lines = rows(200)
    (tmp_path / "series.csv").write_text("\n".join(lines))
    db = duckdb.connect()
    text = "SELECT time::TIMESTAMPTZ AS time, use, sun FROM read_csv(?, all_varchar = false)"
    db.execute("SET TimeZone = 'UTC'")
    db.execute("CREATE TABLE zoned AS " + text, [str(tmp_path / "series.csv")])
    db.execute("COPY zoned TO '" + str(tmp_path / "zoned.parquet") + "'")
    db.execute(
        "COPY (SELECT time::TIMESTAMP AS time, use, sun FROM zoned) TO '" + str(tmp_path / "plain.parquet") + "'"
    )
    expected = read_series(SeriesFile(tmp_path / "series.csv", "s"), ["use", "sun"])
    zoned = read_series(SeriesFile(tmp_path / "zoned.parquet", "s"), ["use", "sun"])
    plain = read_series(SeriesFile(tmp_path / "plain.parquet", "s", zone="UTC"), ["use", "sun"])
    for read in (zoned, plain):
        np.testing.assert_array_equal(read.values, expected.values)
        assert read.begin == expected.begin


def test_byte_order_marks_and_line_ends_of_windows_are_no_fault(folder):
    """What spreadsheets on Windows write is read: scenario, customers, series and network alike."""
    (folder / "own.toml").write_text(
        SCENARIO.replace("ieee33_bw", "net.json").replace("}]", ', columns = { use = "use" }}]')
    )
    network = {"base_kv": 10.0, "slack_buses": [1], "buses": [], "branches": []}
    network["buses"] = [{"id": bus, "p_kw": 0, "q_kvar": 0} for bus in (1, 13, 18)]
    network["branches"] = [{"id": bus, "from_bus": 1, "to_bus": bus, "r_ohm": 0.1, "x_ohm": 0.1} for bus in (13, 18)]
    (folder / "net.json").write_text(json.dumps(network, indent=1))
    (folder / "own.toml").write_text(
        (folder / "own.toml").read_text().replace("columns = { use", 'columns = { price = "price", sun = "sun", use')
    )
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    read = inputs(folder)
    assert read.customers.ids == ("ann", "bob")
    assert read.feeder.bus_ids.tolist() == [1, 13, 18]


def test_a_pandapower_file_is_the_network_it_was_written_from(tmp_path):
    """CIGRE's networks by way of JSON, whose numbers have 15 digits, have the same columns and power flow."""
    for name in ("create_cigre_network_lv", "create_cigre_network_mv"):
        own = load_feeder(f"pandapower:{name}")
        pandapower.to_json(own.network, str(tmp_path / f"{name}.json"))
        read = load_feeder(str(tmp_path / f"{name}.json"))
        for column in ("bus_ids", "load_kw", "load_kvar", "branch_rate_kva", "closed", "slack", "fused"):
            np.testing.assert_allclose(getattr(read, column), getattr(own, column), rtol=1e-13)
        states = [PowerFlow(feeder).solve(feeder.load_kw, feeder.load_kvar) for feeder in (read, own)]
        np.testing.assert_allclose(states[0].vm_pu, states[1].vm_pu, rtol=0, atol=1e-12)


def test_reading_a_hostile_network_imports_and_opens_nothing(tmp_path):
    """Neither the module a file names nor the file it points to is touched; a marker module would tell."""
    marker = tmp_path / "marker_of_the_test.py"
    marker.write_text(f"open({str(tmp_path / 'touched')!r}, 'w').close()")
    net = {"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": {}}
    inner = {"_module": "marker_of_the_test", "_class": "function", "_object": "x"}
    frame = {"_module": "pandas.core.frame", "_class": "DataFrame", "_object": json.dumps([json.dumps(inner)])}
    sys.path.insert(0, str(tmp_path))
    seen = []
    sys.addaudithook(lambda event, args: seen.append(args[0]) if event == "import" else None)
    try:
        for place, content in enumerate(({"x": inner}, {"bus": frame}, {"x": json.dumps(inner)}, inner)):
            path = tmp_path / f"{place}.json"
            path.write_text(json.dumps(net | {"_object": content}))
            with pytest.raises(BadInputError, match="marker_of_the_test"):
                load_feeder(str(path))
    finally:
        sys.path.remove(str(tmp_path))
    assert "marker_of_the_test" not in seen
    assert not (tmp_path / "touched").exists()


def test_simbench_codes_need_the_optional_package(monkeypatch):
    """Without simbench the fault says how to get it; with it codes are networks, and misspelt ones are helped."""
    monkeypatch.setitem(sys.modules, "simbench", None)
    with pytest.raises(BadInputError, match=r"pip install 'cosim\[simbench\]'"):
        load_feeder("simbench:1-LV-rural1--0-sw")
    fake = types.ModuleType("simbench")
    fake.collect_all_simbench_codes = lambda: ["1-LV-rural1--0-sw", "1-MV-rural--0-sw"]
    fake.get_simbench_net = lambda _code: load_feeder("pandapower:create_cigre_network_lv").network
    monkeypatch.setitem(sys.modules, "simbench", fake)
    assert load_feeder("simbench:1-LV-rural1--0-sw").citation.startswith("SimBench network 1-LV-rural1--0-sw")
    with pytest.raises(BadInputError, match="did you mean 1-LV-rural1--0-sw"):
        load_feeder("simbench:1-LV-rural1-0-sw")


def test_a_pipe_is_no_file(folder):
    """Nothing waits for a pipe that nobody writes to."""
    import os

    os.mkfifo(folder / "pipe.csv")
    with pytest.raises(BadInputError, match="no such file"):
        inputs(folder, people__table="pipe.csv")


def test_faults_of_all_files_come_together(folder):
    """Network, customers, series and plug-in names are looked at before anything is refused."""
    (folder / "people.csv").write_text(PEOPLE.replace("ann,13", "ann,-1"))
    (folder / "series.csv").write_text("when,use\n")
    overrides = {"grid.network": "ieee34", "forecast.kind": "oracle"}
    scenario, beside = Scenario.load(str(folder / "own.toml"), overrides=overrides)
    with pytest.raises(BadInputError) as caught:
        Build(scenario, beside, source="own.toml").world()
    assert {fault.file for fault in caught.value.faults} == {"own.toml", "people.csv", "series.csv"}
    assert len(caught.value.faults) == 4
