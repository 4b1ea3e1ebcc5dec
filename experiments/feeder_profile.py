"""A large feeder as a picture: how many buses have which voltage at which electrical distance."""

import numpy as np

from cosim.experiments.feeder_map import FeederPlan
from cosim.experiments.plots import (
    ROOM_FOR_SCALE,
    SEE_THROUGH,
    Figure,
    layout,
    limit_lines,
    limit_names,
    listed,
    scale_above,
)
from cosim.models.grid.state import Limits

MOST_BUSES = 1000
"""Of more buses a map is nothing but ink."""
_CELLS = 80, 48


def feeder_profile(plan: FeederPlan, vm_pu: np.ndarray, limits: Limits) -> Figure:
    """Draw the number of buses by distance and voltage `vm_pu` (B,) of one interval, with the limits."""
    order = plan.tree.order
    distance, voltage = plan.distance[order], vm_pu[order]
    known = np.isfinite(voltage)
    counts, across, up = np.histogram2d(distance[known], voltage[known], bins=_CELLS)
    counts[counts == 0] = np.nan
    heat = {
        "type": "heatmap",
        "x": listed((across[:-1] + across[1:]) / 2, 4),
        "y": listed((up[:-1] + up[1:]) / 2, 5),
        "z": [listed(row, 0) for row in counts.T],
        "zmin": 0,
        "colorscale": SEE_THROUGH,
        "colorbar": scale_above(ticksuffix=" buses"),
        "hovertemplate": "%{z} buses at %{x:.1f} %/MVA, about %{y:.4f} pu<extra></extra>",
    }
    title = {"text": "electrical distance from upstream, sum of |Z| (% per MVA)", "standoff": 6}
    drawn = layout(420, {"title": title, "automargin": True}, "voltage, pu")
    drawn["yaxis"]["tickformat"] = ".3f"
    beside = {"shapes": limit_lines(limits), "annotations": limit_names(limits), "hovermode": "closest"}
    return {"data": [heat], "layout": {**drawn, **beside, "margin": drawn["margin"] | ROOM_FOR_SCALE}}
