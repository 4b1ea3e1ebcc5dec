"""The files a scenario names, read and held against each other: network, customers, profiles. All faults at once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from cosim.experiments.scenario import Scenario, bundled_tables
from cosim.experiments.series_inputs import Used, own_files, profile_faults, read_profiles, with_peaks
from cosim.models.drawn_people import DeviceShares, draw_people
from cosim.models.errors import BadInputError, Fault
from cosim.models.faults import Gathered
from cosim.models.grid.carrying import carrying_faults
from cosim.models.grid.drawn import connection_buses, draw_feeder
from cosim.models.grid.feeder import Feeder, load_feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.paths import inside
from cosim.models.profiles import Profiles
from cosim.models.prosumer_table import ProsumerTable, prosumer_table


@dataclass(frozen=True)
class Inputs:
    """What a run is made of: the feeder, all customers in order of their ids, and profiles on the run's clock."""

    feeder: Feeder
    customers: ProsumerTable
    profiles: Profiles


def read_inputs(scenario: Scenario, folder: Path, file: str) -> Inputs:
    """Read every file that a scenario names; BadInputError lists the faults of all of them."""
    found = Gathered()
    feeder = found.attempt(partial(_feeder, scenario, folder, file))
    customers = found.attempt(partial(_customers, scenario, folder, file, feeder))
    own = found.attempt(partial(own_files, scenario.profiles, folder, file))
    profiles = None
    if feeder is not None and customers is not None:
        found.add(_place_faults(scenario, feeder, customers), scenario.people.source)
    if customers is not None and own is not None:
        used = Used(customers, own)
        profiles = found.attempt(partial(read_profiles, scenario, used, file))
        if profiles is not None:
            found.add(profile_faults(scenario, used, profiles, file), scenario.people.source)
    found.stop()
    assert feeder is not None
    assert customers is not None
    assert profiles is not None
    return Inputs(feeder, with_peaks(customers, profiles), profiles)


def _feeder(scenario: Scenario, folder: Path, file: str) -> Feeder:
    network, drawn = scenario.grid.network, scenario.grid.drawn
    if drawn is not None:
        return draw_feeder(drawn.feeders, drawn.buses, drawn.seed)
    assert network is not None
    if network.endswith(".json"):
        return load_feeder(str(inside(folder, network, file=file, key="grid.network")), network)
    try:
        return load_feeder(network)
    except BadInputError as error:
        raise BadInputError(
            replace(fault, file=file, key=f"grid.network, {fault.key}") for fault in error.faults
        ) from None


def _customers(scenario: Scenario, folder: Path, file: str, feeder: Feeder | None) -> ProsumerTable | None:
    """Return customers in order of their ids: drawn for the feeder if there is one, or read from a table."""
    drawn = scenario.people.drawn
    if drawn is None:
        table = _table(scenario, folder, file)
    elif feeder is None:
        return None
    else:
        shares = DeviceShares(drawn.pv_share, drawn.battery_share, drawn.heat_pump_share)
        table = draw_people(connection_buses(feeder), drawn.prosumers, drawn.seed, shares)
    return table.take(np.array(sorted(range(len(table)), key=lambda row: table.ids[row]), dtype=np.int64))


def _table(scenario: Scenario, folder: Path, file: str) -> ProsumerTable:
    """Read the table beside the scenario, or else the bundled one of that name."""
    name, bundled = scenario.people.table, bundled_tables()
    assert name is not None
    ours = name in bundled and not (folder / name).exists()
    path = bundled[name] if ours else inside(folder, name, file=file, key="people.table")
    return prosumer_table(path, name)


def _place_faults(scenario: Scenario, feeder: Feeder, customers: ProsumerTable) -> Iterator[Fault]:
    """Yield customers at buses that do not exist or have no voltage, and powers beyond all measure."""
    file = scenario.people.source
    position = {int(bus): place for place, bus in enumerate(feeder.bus_ids)}
    admittance = PowerFlow(feeder, slack_vm_pu=scenario.grid.slack_vm_pu).admittance()
    strangers = False
    for name, bus in zip(customers.ids, customers.bus.tolist(), strict=True):
        if bus not in position:
            strangers = True
            known = f"its numbers are {feeder.bus_ids.min()} to {feeder.bus_ids.max()}"
            yield Fault(file, f"bus of {name}", str(bus), f"network {feeder.name} has no such bus; {known}")
        elif not admittance.energised[position[bus]]:
            yield Fault(file, f"bus of {name}", str(bus), f"no closed path joins it to a slack of {feeder.name}")
    if not strangers:
        rows = feeder.bus_positions(customers.bus)
        peak = np.bincount(rows, customers.peak_kva(), len(feeder.bus_ids))
        yield from carrying_faults(feeder, admittance, peak, file=file, what="peak of the customers")
    network = scenario.grid.network or ""
    if network.endswith(".json"):
        load = np.hypot(feeder.load_kw, feeder.load_kvar)
        yield from carrying_faults(feeder, admittance, load, file=network, what="load of the file")


def bus_rows(feeder: Feeder, customers: ProsumerTable) -> np.ndarray:
    """Return the bus position of every bus number (highest number + 1,), -1 where there is none."""
    numbers = np.concatenate([feeder.bus_ids, customers.bus])
    positions = np.full(int(numbers.max()) + 1, -1, np.int64)
    positions[feeder.bus_ids] = np.arange(len(feeder.bus_ids))
    return positions
