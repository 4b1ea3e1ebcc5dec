"""From the scenario's words on reconfiguration to when switches are reconsidered, and to the desk that does it."""

import numpy as np

from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.switching import SwitchDesk, SwitchRules
from cosim.day_gate import DayGate
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError
from cosim.models.grid.reconfiguration.question import Effort
from cosim.models.grid.reconfiguration.reconfigure import Reconfigurer
from cosim.models.grid.topology import is_radial
from cosim.rewiring import Rewiring


def rewiring(scenario: Scenario) -> Rewiring | None:
    """Return when switches are reconsidered, None where they stay; the day gate is that of negotiated room."""
    section, time = scenario.reconfiguration, scenario.time
    if section.kind == "none":
        return None
    gate = DayGate(time.start, time.zone, time.interval_s, scenario.negotiation.day_gate_hour)
    return Rewiring(gate, section.on_violation, section.on_error if section.on_error > 0.0 else np.inf)


def switch_desk(scenario: Scenario, office: GridOffice, file: str) -> SwitchDesk | None:
    """Return the operator's desk for switches, None where they stay; BadInputError for a network with loops."""
    section, feeder = scenario.reconfiguration, office.flow.feeder
    if section.kind == "none":
        return None
    if not is_radial(feeder):
        allowed = f"{feeder.name} has loops: switches are only operated where every bus is fed on one path"
        raise BadInputError.one(file, "reconfiguration.kind", repr(section.kind), allowed)
    rules = SwitchRules(
        per="day" if section.kind == "daily" else "hour",
        operation_eur=section.operation_eur,
        most_per_day=section.most_per_day,
        most_per_switch=section.most_per_switch,
        within_limits=section.within_limits,
        effort=Effort(section.kicks),
    )
    return SwitchDesk(rules, office, Reconfigurer(feeder, scenario.grid.slack_vm_pu))
