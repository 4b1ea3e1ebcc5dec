"""Six connections on the 33-bus feeder, and the desk of its operator."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.agents.dso.office import GridOffice
from cosim.agents.prosumer.bidding.situations import homes
from cosim.messages import RoomRequest
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.state import Limits
from cosim.models.step import Community, PassiveLoad
from cosim.models.time import Interval
from cosim.views import GrantView

FEEDER = load_feeder("ieee33_bw")
FLOW = BatchFlow(FEEDER, 1.0)
BUSES = np.array([10, 18, 33, 25])
PASSIVE_KW = np.where(np.isin(np.arange(len(FEEDER.bus_ids)), FEEDER.slack), 0.0, -30.0)


@pytest.fixture(scope="session")
def passive():
    """Return the passive load: 30 kW and 10 kvar at every bus but the slack's."""
    return PassiveLoad(PASSIVE_KW, PASSIVE_KW / 3)


@pytest.fixture(scope="session")
def office():
    """Return a desk for four connections of 2 MW to 3 MW, far more than the feeder carries."""
    community = Community(homes(100.0), FEEDER.bus_positions(BUSES), len(FEEDER.bus_ids))
    return GridOffice(community, FLOW, Limits())


@pytest.fixture(scope="session")
def asked(passive):
    """Return a function that makes the view of a request."""

    def make(lower_kw, firm_kw, upper_kw, load=passive) -> GrantView:
        columns = {"lower_kw": lower_kw, "firm_kw": firm_kw, "upper_kw": upper_kw}
        arrays = {name: np.asarray(column, float) for name, column in columns.items()}
        request = RoomRequest(0, **arrays, reactive_kvar=0.2 * arrays["firm_kw"])
        return GrantView(Interval(0, 0, 900), request, load.p_kw, load.q_kvar)

    return make


@pytest.fixture(scope="session")
def strict():
    """Return a function that gives a desk other limits."""
    return lambda office, **limits: replace(office, limits=replace(office.limits, **limits))
