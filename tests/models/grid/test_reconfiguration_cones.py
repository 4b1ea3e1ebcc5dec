"""Bounds by mixed-integer cones: those of the listing, found in another way."""

import cvxpy as cp
import pytest

from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.reconfiguration.cones import certify_by_cones
from cosim.models.grid.reconfiguration.reconfigure import Reconfigurer

SCIP = pytest.mark.skipif("SCIP" not in cp.installed_solvers(), reason="SCIP is an extra: pip install 'cosim[scip]'")


def bounded(network: str, seconds: float):
    """Return the certificate of a network's own loads, and what a search finds for them."""
    feeder = load_feeder(network)
    asked = Reconfigurer(feeder)
    situation = asked.situation(feeder.load_kw, feeder.load_kvar)
    shown = certify_by_cones(situation, feeder.closed[situation.meshes.branch], seconds)
    return shown, asked(feeder.load_kw, feeder.load_kvar)


@SCIP
def test_three_feeders_of_civanlar():
    """The smallest bundled case, behind three slacks: bound and state are those of the search."""
    shown, found = bounded("dist16_civanlar", 60.0)
    assert shown.bound_kw == pytest.approx(float(found.loss_kw), rel=2e-4)
    assert shown.bound_kw <= float(found.loss_kw)


@SCIP
@pytest.mark.campaign
def test_33_buses():
    """139.551 kW is proven by cones, too."""
    shown, found = bounded("ieee33_bw", 300.0)
    assert shown.bound_kw == pytest.approx(139.5513, rel=2e-4)
    assert shown.bound_kw <= float(found.loss_kw)


def test_without_scip_it_says_what_to_install(monkeypatch):
    """An extra that is missing is named."""
    monkeypatch.setattr(cp, "installed_solvers", lambda: ["CLARABEL"])
    with pytest.raises(ImportError, match="cosim"):
        bounded("dist16_civanlar", 1.0)
