"""A feeder as columns: buses, branches, base loads, slacks; from the library, a file, or pandapower.

One of the two doors to pandapower; it is imported only when a pandapower network is asked for.
"""

import importlib
import inspect
import random
import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from cosim.models.errors import BadInputError, Fault, did_you_mean
from cosim.models.grid.network_file import LineImpedances, NetworkFile, parse_json, read_network
from cosim.models.grid.pandapower_json import is_pandapower, read_pandapower
from cosim.models.paths import read_text

PANDAPOWER = "pandapower:"
SIMBENCH = "simbench:"
LARGEST_FILE = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Feeder:
    """A distribution feeder with B buses, L branches and S slacks; every column is in the order of the file.

    Attributes:
        name: short name
        bus_ids: the file's bus numbers, int64 (B,); star points of three-winding transformers come last
        base_kv: nominal voltage (B,)
        load_kw, load_kvar: base injections of the file, negative for consumption (B,)
        branch_ids: the file's branch names (L)
        branch_from, branch_to: bus positions, int64 (L,)
        branch_kind: "line", "tie", "trafo", "trafo3w" or "impedance" (L)
        branch_rate_kva: rating, inf where unrated (L,)
        branch_rate_a: rated current at the from and to side in A, inf where unrated (L, 2)
        closed: switch state of the file (L,)
        slack: bus positions of the connections upstream, int64 (S,)
        slack_vm_pu: their voltages in the file (S,)
        fused: position of the first bus that closed bus-bus switches join this bus with, int64 (B,)
        citation: where the data are from
        network: what the power flow converts: series impedances, or a pandapower network

    """

    name: str
    bus_ids: np.ndarray
    base_kv: np.ndarray
    load_kw: np.ndarray
    load_kvar: np.ndarray
    branch_ids: tuple[str, ...]
    branch_from: np.ndarray
    branch_to: np.ndarray
    branch_kind: tuple[str, ...]
    branch_rate_kva: np.ndarray
    branch_rate_a: np.ndarray
    closed: np.ndarray
    slack: np.ndarray
    slack_vm_pu: np.ndarray
    fused: np.ndarray
    citation: str
    network: Any

    @cached_property
    def _position(self) -> dict[int, int]:
        return {bus: position for position, bus in enumerate(self.bus_ids.tolist())}

    def bus_positions(self, bus_ids: np.ndarray) -> np.ndarray:
        """Return the positions (n,) of bus numbers (n,); BadInputError names every unknown one."""
        ids = np.asarray(bus_ids).tolist()
        unknown = sorted({str(bus) for bus in ids if bus not in self._position})
        if unknown:
            allowed = f"bus numbers of {self.name} are {self.bus_ids.min()} to {self.bus_ids.max()}"
            raise BadInputError(Fault(self.name, "bus", bus, allowed) for bus in unknown)
        return np.array([self._position[bus] for bus in ids], dtype=np.int64)


def bundled_feeders() -> list[str]:
    """Names of the networks that come with the package."""
    library = files("cosim.models.grid") / "library"
    return sorted(entry.name.removesuffix(".json") for entry in library.iterdir() if entry.name.endswith(".json"))


def load_feeder(spec: str, file: str | None = None) -> Feeder:
    """Load a feeder by name.

    `spec` is a bundled name ("ieee33_bw"), "pandapower:NAME" with a network of `pandapower.networks` (with or
    without "create_"), "simbench:CODE" where the package simbench is installed, or the path of a JSON file: of the
    bundled format, or written by `pandapower.to_json`. Whatever is wrong with it is one BadInputError with every
    fault found. `file` is the name of a file in messages.
    """
    if spec.startswith(PANDAPOWER):
        name = spec.removeprefix(PANDAPOWER)
        return _converted(_pandapower_network(name), name, f"pandapower network {name}")
    if spec.startswith(SIMBENCH):
        code = spec.removeprefix(SIMBENCH)
        return _converted(_simbench_network(code), code, f"SimBench network {code}, simbench.de, ODbL")
    if spec in bundled_feeders():
        text = (files("cosim.models.grid") / "library" / f"{spec}.json").read_text(encoding="utf-8")
        return _from_file(read_network(parse_json(text, spec), spec))
    path = Path(spec)
    if path.suffix != ".json" or not path.is_file():
        others = f"{did_you_mean(spec, bundled_feeders())}; or {PANDAPOWER}NAME, {SIMBENCH}CODE, a JSON file"
        raise BadInputError.one("feeder", "name", repr(spec), others)
    return _from_json(path, file or str(path))


def _from_json(path: Path, file: str) -> Feeder:
    """Read a JSON file of either format."""
    data = parse_json(read_text(path, file=file, largest_bytes=LARGEST_FILE), file)
    if is_pandapower(data):
        return _converted(read_pandapower(data, file), file, f"pandapower file {path.name}")
    return _from_file(read_network(data, file))


def _converted(net: Any, name: str, citation: str) -> Feeder:
    from cosim.models.grid.pandapower_feeder import from_pandapower

    return from_pandapower(net, name=name, citation=citation)


def _simbench_network(code: str) -> Any:
    """Build a network of the SimBench data set with the optional package of that name."""
    try:
        simbench = importlib.import_module("simbench")
    except ImportError:
        allowed = "needs the package simbench, which is not installed: pip install 'cosim[simbench]'"
        raise BadInputError.one("feeder", "network", repr(f"{SIMBENCH}{code}"), allowed) from None
    codes = simbench.collect_all_simbench_codes()
    if code not in codes:
        near = get_close_matches(code, codes, n=3)
        allowed = f"did you mean {', '.join(near)}?" if near else "allowed are codes such as 1-LV-rural1--0-sw"
        raise BadInputError.one("feeder", "SimBench code", repr(code), allowed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # simbench warns of columns that its data lack
        return simbench.get_simbench_net(code)


def _from_file(network: NetworkFile) -> Feeder:
    """Turn a checked network file into columns."""
    count = len(network.bus_ids)
    rate_a = network.rate_kva / (np.sqrt(3) * network.base_kv)
    return Feeder(
        name=network.name,
        bus_ids=network.bus_ids,
        base_kv=np.full(count, network.base_kv),
        load_kw=network.load_kw,
        load_kvar=network.load_kvar,
        branch_ids=network.branch_ids,
        branch_from=network.branch_from,
        branch_to=network.branch_to,
        branch_kind=network.branch_kind,
        branch_rate_kva=network.rate_kva,
        branch_rate_a=np.column_stack([rate_a, rate_a]),
        closed=network.closed,
        slack=network.slack,
        slack_vm_pu=np.full(len(network.slack), network.slack_vm_pu),
        fused=np.arange(count),
        citation=network.citation,
        network=LineImpedances(network.r_ohm, network.x_ohm),
    )


def _pandapower_network(name: str) -> Any:
    """Build a network of `pandapower.networks`; the random ones are always the same draw."""
    import pandapower.networks as library

    makers = {short: make for short, make in vars(library).items() if _is_maker(make)}
    make = makers.get(name) or makers.get(f"create_{name}")
    if make is None:
        raise BadInputError.one("feeder", "pandapower network", repr(name), did_you_mean(name, makers))
    before = random.getstate()
    random.seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandapower deprecates columns of its own library networks
            return make()
    finally:
        random.setstate(before)


def _is_maker(entry: object) -> bool:
    """Say whether an entry of `pandapower.networks` builds a network without being told anything."""
    if not inspect.isfunction(entry) or entry.__name__.startswith("_"):
        return False
    required = [
        p for p in inspect.signature(entry).parameters.values() if p.default is p.empty and p.kind < p.VAR_POSITIONAL
    ]
    return entry.__module__.startswith("pandapower.networks") and not required
