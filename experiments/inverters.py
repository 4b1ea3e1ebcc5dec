"""From a table of ratings and the scenario's laws to the inverter of every prosumer."""

from cosim.experiments.scenario_grid import InverterSection
from cosim.experiments.scenario_people import People
from cosim.models.devices.inverter import Inverter
from cosim.models.devices.local_control import Curve, LocalControl
from cosim.models.prosumer_table import ProsumerTable


def inverters(table: ProsumerTable, people: People, section: InverterSection) -> Inverter | None:
    """Return the inverters of the prosumers of a table (n,), None where no law holds."""
    if section.reactive == "none" and section.active == "none":
        return None
    rated_kw = people.pv_scale * table.pv_kw + people.wind_scale * table.wind_kw
    return Inverter(
        rated_kw=rated_kw,
        apparent_kva=section.kva_per_kw * rated_kw,
        cos_phi_min=section.cos_phi_min,
        at_rest=section.at_rest,
        control=_control(section),
    )


def _control(section: InverterSection) -> LocalControl:
    """Return the laws that hold, as curves."""
    most, dead, awake, least = section.q_u_pu
    begin, end = section.p_u_pu
    # Without a band at rest the curve goes through one point.
    middle = ((dead, 0.0), (awake, 0.0)) if dead < awake else ((dead, 0.0),)
    return LocalControl(
        cos_phi_p=Curve.through((section.cos_phi_from, 1.0), (1.0, section.cos_phi_min))
        if section.reactive == "cos_phi_p"
        else None,
        q_u=Curve.through((most, 1.0), *middle, (least, -1.0)) if section.reactive == "q_u" else None,
        p_u=Curve.through((begin, 1.0), (end, section.p_u_least)) if section.active == "p_u" else None,
    )
