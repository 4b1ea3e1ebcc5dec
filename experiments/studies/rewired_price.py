"""How often is it worth switching? Operations by what one of them costs."""

import numpy as np

from cosim.experiments.studies.pictures import lines
from cosim.experiments.studies.rewired_case import LOSS_EUR_PER_KWH, DayCase
from cosim.experiments.studies.study import Found, Row
from cosim.models.grid.reconfiguration.question import Effort, Switching

PRICES_EUR = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


def answer(quick: bool) -> Found:
    """Search the 33-bus day, with prosumers at rest, at several prices of an operation."""
    case = DayCase.of("ieee33_bw")
    p_kw, q_kvar = case.grid.injections(case.day.resting.net_kw, case.kvar)
    rows: list[Row] = []
    for price in PRICES_EUR:
        for once in (False, True):
            found = case.reconfigurer(
                p_kw,
                q_kvar,
                loss_eur_per_kwh=LOSS_EUR_PER_KWH,
                switching=Switching(price, at_once=once),
                effort=Effort(2 if quick else 50),
            )
            rows.append(
                {
                    "operation_eur": price,
                    "states": "one for the day" if once else "any hour",
                    "operations": found.switched,
                    "switch_states": len(np.unique(found.closed, axis=0)),
                    "loss_kwh": float(found.loss_kw.sum()),
                    "cost_eur": found.cost_eur,
                }
            )
    hourly = [row for row in rows if row["states"] == "any hour"]
    drawn = lines(hourly, "operation_eur", {"loss_kwh": "losses of the day"}, "kWh")
    return Found(rows, [drawn], ["Most of what switches save is saved by one good state; hours add little to it."])
