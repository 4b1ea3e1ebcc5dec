"""The path of somebody who has never seen the package: an own street, own series, an own strategy, all by command."""

import json
import math
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pandapower as pp
import pytest
from typer.testing import CliRunner

import cosim
from cosim.experiments.cli import app

DAYS = 3
MIDNIGHT = datetime(2024, 5, 6)  # noqa: DTZ001, a logger at home writes local times without an offset
PEOPLE = """\
id,role,bus,kind,load_profile,p_peak_kw,q_peak_kvar,pv_profile,pv_kwp,bess_kw,bess_kwh
anna,prosumer,3,residential,House,2,0.5,Sun,8,0,0
bert,prosumer,5,residential,House,2,0.5,Sun,10,4,8
shop,prosumer,6,commercial,Shop,5,1.5,,0,0,0
carl,passive,7,residential,House,2,0.5,,0,0,0
"""
STRATEGY = '''\
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy
from cosim.models.market.order import Order


class Cautious(BiddingStrategy):
    """Sell half of the surplus a little above the feed-in price; buy nothing."""

    def bid(self, view, chance):
        spare_kwh = 0.5 * view.envelope.clip(view.natural_net_kw) * view.interval.hours
        return [Order("sell", spare_kwh, view.sell_eur_per_kwh[0] + 0.01)] if spare_kwh > 0 else []
'''


def series() -> str:
    """Return three days in May: a house, a shop, the sun and a price, every quarter of an hour."""
    lines = ["time,House,Shop,Sun,Price"]
    for step in range(96 * DAYS):
        hour = step % 96 / 4
        house = 0.25 + 0.6 * math.exp(-(((hour - 7.5) / 1.2) ** 2)) + 1.3 * math.exp(-(((hour - 19) / 1.8) ** 2))
        shop = 4.4 if 8 <= hour < 19 else 0.4
        sun = max(0.0, math.sin(math.pi * (hour - 5.5) / 15)) ** 1.5 * (0.85, 0.5, 0.9)[step // 96]
        price = 60 + 40 * math.exp(-(((hour - 19.5) / 2) ** 2)) - 50 * max(0.0, math.sin(math.pi * (hour - 6) / 13))
        moment = (MIDNIGHT + timedelta(minutes=15 * step)).isoformat()
        lines.append(f"{moment},{house:.3f},{shop:.3f},{sun:.4f},{price:.2f}")
    return "\n".join(lines) + "\n"


def write_network(path: Path) -> None:
    """Write a street of seven low-voltage buses behind a transformer, as pandapower keeps networks."""
    net = pp.create_empty_network(name="my street")
    upper = pp.create_bus(net, 20.0)
    street = [pp.create_bus(net, 0.4) for _ in range(7)]
    pp.create_ext_grid(net, upper, vm_pu=1.0)
    pp.create_transformer(net, upper, street[0], "0.25 MVA 20/0.4 kV")
    for start, end in pairwise(street):
        pp.create_line(net, start, end, 0.09, "NAYY 4x150 SE")
    for bus in street[1:]:
        pp.create_load(net, bus, 0.004, 0.001)
    pp.to_json(net, str(path))


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call the command line in an empty folder; what is said of files with code goes there, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_agents", raising=False)

    def called(line, code=0):
        result = CliRunner().invoke(app, line.split(" "))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.stderr

    yield called
    sys.modules.pop("my_agents", None)


def edit(path: Path, **changes: str) -> None:
    """Change values in a scenario that `cosim new` wrote, commented out or not, as one does with an editor."""
    lines = path.read_text().splitlines()
    for key, value in changes.items():
        (place,) = [row for row, line in enumerate(lines) if line.removeprefix("# ").startswith(f"{key} = ")]
        if lines[place].endswith("["):
            end = next(row for row in range(place, len(lines)) if lines[row].removeprefix("# ") == "]")
            del lines[place + 1 : end + 1]
        lines[place] = f"{key} = {value}"
    path.write_text("\n".join(lines) + "\n")


def test_the_way_to_a_first_run_of_ones_own(call, tmp_path):
    """From `cosim new` to a report: each stumble is told in a sentence that says what to do, then all goes through."""
    written = call("new my-street").split()
    scenario, table = (tmp_path / name for name in written)
    file = written[0]
    call(f"describe {file}")

    table.write_text(PEOPLE)
    (table.parent / "mine.csv").write_text(series())
    write_network(table.parent / "street.json")
    edit(scenario, network='"street.json"', start="2024-05-06T00:00:00", files='[{ file = "mine.csv" }]')
    assert "time.start is 2024-05-06T00:00:00; the moment needs an offset, such as" in call(f"describe {file}", 2)
    edit(scenario, start="2024-05-06T00:00:00+02:00")
    said = call(f"describe {file}", 2)
    assert "line 2 time is '2024-05-06T00:00:00'; says not which time zone it is in" in said
    assert "or a `zone` for the whole file" in said
    assert len(said.splitlines()) == 5
    edit(scenario, files='[{ file = "mine.csv", zone = "Europe/Berlin" }]')
    said = call(f"describe {file}", 2)
    assert "time.start is 2024-05-06T00:00:00+02:00; the bundled profiles reach from 2015-" in said
    assert said.endswith("used of them are the day-ahead price (`price` in [profiles] names a profile of your own)\n")
    edit(scenario, price='"Price"')
    assert "what came before must be known: allowed is 2024-05-07T00:15:00+02:00 or later" in call(
        f"describe {file}", 2
    )
    edit(scenario, start="2024-05-07T00:15:00+02:00", title='"My street"')

    chapters = json.loads(call(f"describe {file} --json"))
    assert chapters["who"]["prosumers"] == 3
    assert chapters["who"]["passive_customers"] == 1
    assert (chapters["where"]["network"], chapters["where"]["buses"]) == ("street.json", 8)
    assert chapters["when"]["profiles"] == "mine.csv"
    assert "street.json" in call(f"powerflow {table.parent.name}/street.json")

    (tmp_path / "my_agents.py").write_text(STRATEGY)
    assert call("check my_agents:Cautious") == "my_agents:Cautious keeps the contract\n"
    options = "--strategy anna=my_agents:Cautious"
    assert "code of your own needs --allow-plugin my_agents" in call(f"run {file} {options}", 2)
    assert "did you mean 'anna'?" in call(f"run {file} --strategy ana=truthful", 2)
    told = call(f"run {file} {options} --allow-plugin my_agents --out first")
    assert told.startswith("1 day, 96 intervals, 192 AC checks, 0 violations; prosumers ")
    look_at(tmp_path / "first")

    rooms = json.loads(call(f"envelopes {file} --at 2024-05-07T02:00+02:00 --json"))
    assert {row["id"] for row in rooms["prosumers"]} == {"anna", "bert", "shop"}


def look_at(folder: Path) -> None:
    """Look at the summary, the tables and the report of the run, as one does afterwards."""
    run = cosim.Run(folder)
    assert run.summary["traded_kwh"] > 0
    assert run.summary["events"] == {}
    assert 0 < run.summary["loading_max_percent"] < 100
    net = run.table("prosumers").groupby("id")["net_kw"]
    assert set(net.groups) == {"anna", "bert", "shop"}
    assert net.max()["anna"] > 1
    assert net.max()["shop"] < 0
    assert "anna" in set(run.table("trades")["seller_id"])
    # 60 EUR/MWh at night, as in the file.
    assert run.table("intervals")["day_ahead_eur_per_kwh"].iloc[0] == pytest.approx(0.06, abs=1e-4)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("My street", "anna", "bert", "shop", "my_agents:Cautious"))
