"""Networks of other tools, by pandapower's own converters: MATPOWER cases (.m, .mat) and OpenDSS circuits (.dss).

MATPOWER's distribution cases convert units in code at the file's end. Converters read the matrices and not the
code, and take 3.7 MW for 3,715 MW. The two conversions in use are carried out here; any other code is refused.
"""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cosim.models.errors import BadInputError, Fault
from cosim.models.paths import read_text
from cosim.models.table_file import shown

CASES: Final = {".m": "matpower", ".mat": "matpower", ".dss": "engines"}
HERTZ: Final = 50
UNRATED_KA: Final = 9999.0  # what the converters write where a case has no rating
UNRATED_MVA: Final = 99_999.0
CONSTANT_POWER: Final = 1
# Statements with all blanks and commas taken out.
OHM_TO_PU: Final = "mpc.branch(:[BR_RBR_X])=mpc.branch(:[BR_RBR_X])/(Vbase^2/Sbase)"
KW_TO_MW: Final = "mpc.bus(:[PDQD])=mpc.bus(:[PDQD])/1e3"
BASES: Final = ("Vbase=mpc.bus(1BASE_KV)*1e3", "Sbase=mpc.baseMVA*1e6")
_MATRIX: Final = re.compile(r"mpc\.\w+\s*=\s*(\[.*?\]|\{.*?\})\s*;", re.DOTALL)
_SCALAR: Final = re.compile(r"mpc\.\w+\s*=\s*('[^']*'|[-+\d.eE]+)\s*;")
_NAMES: Final = re.compile(r"\[[^\[\]=]*\]\s*=\s*idx_\w+\s*;")


@dataclass(frozen=True, slots=True)
class Converted:
    """A pandapower network of another tool's file, and what was done to it or left out, in sentences."""

    net: Any
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """Return the file that a scenario can name."""
        import pandapower

        return str(pandapower.to_json(self.net))


def read_case(path: Path) -> Converted:
    """Convert a MATPOWER case or an OpenDSS circuit; BadInputError names what cannot be read.

    An OpenDSS file is a script that OpenDSS carries out: convert only those whose origin is trusted.
    """
    if path.suffix not in CASES or not path.is_file():
        allowed = f"an existing file that ends in {', '.join(CASES)}"
        raise BadInputError.one(str(path), "file", shown(path.name), allowed)
    conversions = _conversions(path) if path.suffix == ".m" else ()
    net = _by_pandapower(path)
    notes = [*_carried_out(conversions, net, path), *_rated(net)]
    report = net.pop("opendss_import", None) or {}
    if path.suffix == ".dss":
        notes += _as_opendss_has_it(net)
    net.pop("_options", None)
    return Converted(net, (*notes, *map(str, report.get("warnings", ()))))


def _by_pandapower(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # converters warn of their own use of pandas
            if path.suffix == ".dss":
                from pandapower.converter.opendss import from_opendss

                return from_opendss(str(path.resolve()))
            from pandapower.converter.matpower import from_mpc
            from pandapower.toolbox import reindex_buses

            net = from_mpc(str(path), f_hz=HERTZ)
            # the converter counts from 0; people know their buses by the case's own numbers
            reindex_buses(net, {bus: bus + 1 for bus in net.bus.index})
            return net
    except NotImplementedError:
        wanted = f"this needs the extra `{CASES[path.suffix]}`: pip install 'cosim[{CASES[path.suffix]}]'"
        raise BadInputError.one(str(path), "file", path.suffix, wanted) from None
    except Exception as error:  # whatever a foreign library raises on a foreign file is that file's fault
        reason = shown(f"{type(error).__name__}: {error}", 200)
        raise BadInputError.one(str(path), "network", None, f"pandapower cannot convert it: {reason}") from error


def _rated(net: Any) -> Iterator[str]:
    """Take out what the converters write for "no rating"; transformers need one, which is said."""
    net.line.loc[net.line.max_i_ka >= UNRATED_KA, "max_i_ka"] = float("nan")
    for index in net.trafo.index[net.trafo.sn_mva >= UNRATED_MVA]:
        share = float(net.sn_mva) / float(net.trafo.sn_mva[index])
        net.trafo.loc[index, ["vk_percent", "vkr_percent"]] *= share
        net.trafo.loc[index, "i0_percent"] /= share
        net.trafo.loc[index, "sn_mva"] = float(net.sn_mva)
        yield f"transformer {index} has no rating; {net.sn_mva:g} MVA is written, so its loading means nothing"


def _as_opendss_has_it(net: Any) -> Iterator[str]:
    """Take over the frequency, by which charging counts, and name loads that are not of constant power."""
    import opendssdirect

    net.f_hz = float(opendssdirect.Solution.Frequency())
    at = opendssdirect.Loads.First()
    while at:
        model = opendssdirect.Loads.Model()
        if model != CONSTANT_POWER:
            yield f"load {opendssdirect.Loads.Name()} is of model {model}, taken as constant power"
        at = opendssdirect.Loads.Next()


def _conversions(path: Path) -> tuple[str, ...]:
    """Return the known unit conversions in the code of a case; BadInputError for code that is not known."""
    text = re.sub(r"%[^\n]*|\.\.\.[^\n]*\n", "", read_text(path, file=str(path)))
    code = _NAMES.sub("", _SCALAR.sub("", _MATRIX.sub("", text)))
    statements = [re.sub(r"[\s,]", "", one) for one in re.split(r"[;\n]", code)]
    known = (OHM_TO_PU, KW_TO_MW)
    faults = [
        Fault(str(path), "code", shown(one), "a matrix, or one of MATPOWER's conversions of ohm to pu and kW to MW")
        for one in statements
        if one and not one.startswith("functionmpc") and one not in (*known, *BASES)
    ]
    if faults:
        raise BadInputError(faults)
    return tuple(one for one in known if one in statements)


def _carried_out(conversions: tuple[str, ...], net: Any, path: Path) -> Iterator[str]:
    """Convert the units of a network as its file's code would have, and say so."""
    if OHM_TO_PU in conversions:
        if len(net.trafo) or net.bus.vn_kv.nunique() > 1:
            allowed = "of one voltage, without transformers"
            raise BadInputError.one(str(path), "code", "ohm to pu", f"allowed for networks {allowed}")
        # read as pu, an impedance is too large by the base impedance
        base_ohm = float(net.bus.vn_kv.iloc[0]) ** 2 / float(net.sn_mva)
        net.line[["r_ohm_per_km", "x_ohm_per_km"]] /= base_ohm
        yield "impedances converted from ohm to pu, as the code of the case says"
    if KW_TO_MW in conversions:
        if len(net.sgen):
            raise BadInputError.one(str(path), "code", "kW to MW", "allowed for cases without negative loads")
        net.load[["p_mw", "q_mvar"]] /= 1e3
        yield "loads converted from kW to MW, as the code of the case says"
