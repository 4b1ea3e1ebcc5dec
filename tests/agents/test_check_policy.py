"""The checker of envelope policies: every built-in passes, and each kind of broken promise is found and named."""

import numpy as np
import pytest

from cosim.agents.dso.envelopes.check import check_policy
from cosim.agents.dso.envelopes.fair import FairEnvelopes
from cosim.agents.dso.envelopes.none import NoEnvelopes
from cosim.agents.dso.envelopes.policy import EnvelopePolicy, Grant
from cosim.agents.dso.envelopes.static import StaticEnvelopes
from cosim.experiments.plugins import registries
from cosim.models.envelope import Envelopes

POLICIES = registries()["envelopes"]


@pytest.mark.parametrize("name", POLICIES.built_in)
def test_every_built_in_policy_keeps_the_contract(name):
    """What we ship passes what we ship."""
    assert check_policy(POLICIES.load(name)()) == []


def test_parameters_are_kept():
    """A policy with parameters of its own is checked with them, and is not changed by the check."""
    policy = StaticEnvelopes(export_share=0.5)
    assert check_policy(policy) == []
    assert policy == StaticEnvelopes(export_share=0.5)


class Wide(EnvelopePolicy):
    """A sound policy to spoil."""

    name = "wide"

    def grant(self, view, office, memory):
        return Grant(self.bands(view, office, memory))

    def bands(self, view, office, memory):
        return Envelopes(-office.connection_kw, office.connection_kw.copy())


class Raises(Wide):
    def bands(self, view, office, memory):
        raise ZeroDivisionError("no room")


class RaisesAtStart(Wide):
    def start(self):
        raise ValueError("no memory")


class ReturnsNothing(Wide):
    def grant(self, view, office, memory):
        return None


class ReturnsBands(Wide):
    def grant(self, view, office, memory):
        return self.bands(view, office, memory)


class GrantsText(Wide):
    def grant(self, view, office, memory):
        return Grant("everything")


class Short(Wide):
    def bands(self, view, office, memory):
        return Envelopes(np.zeros(3), np.ones(3))


class Flat(Wide):
    def bands(self, view, office, memory):
        bands = super().bands(view, office, memory)
        return Envelopes(bands.lower_kw[None, :], bands.upper_kw[None, :])


class Crossed(Wide):
    def bands(self, view, office, memory):
        return Envelopes(office.connection_kw, -office.connection_kw)


class NanLater(Wide):
    def bands(self, view, office, memory):
        bands = super().bands(view, office, memory)
        bands.upper_kw[1] = np.nan
        return bands


class NoFirmPower(Wide):
    def bands(self, view, office, memory):
        return Envelopes(np.zeros(4), office.connection_kw)


class TooWide(Wide):
    def bands(self, view, office, memory):
        return Envelopes(-2 * office.connection_kw, office.connection_kw)


class BadRemarks(Wide):
    def grant(self, view, office, memory):
        return Grant(self.bands(view, office, memory), ["all is well"])


class WritesIntoRequest(Wide):
    def bands(self, view, office, memory):
        view.request.upper_kw[:] = 0.0
        return super().bands(view, office, memory)


class WritesIntoOffice(Wide):
    def bands(self, view, office, memory):
        rating = office.connection_kw
        rating *= 0.7
        return Envelopes(-rating, rating)


class DrawsGlobally(Wide):
    def bands(self, view, office, memory):
        np.random.rand()  # noqa: NPY002
        return super().bands(view, office, memory)


class OwnEntropy(Wide):
    def bands(self, view, office, memory):
        share = 1 - 0.1 * np.random.default_rng().random()
        return Envelopes(np.minimum(-share * office.connection_kw, view.request.firm_kw), office.connection_kw)


class KeepsAFunction(Wide):
    def bands(self, view, office, memory):
        memory["office"] = office
        return super().bands(view, office, memory)


class Forgets(Wide):
    def __init__(self):
        self.count = 0

    def bands(self, view, office, memory):
        self.count += 1
        return Envelopes(-office.connection_kw, office.connection_kw - 0.01 * self.count)


BROKEN = {
    Raises: "grant raises ZeroDivisionError: no room (nobody asks for room)",
    RaisesAtStart: "cannot be begun: it raises ValueError: no memory",
    ReturnsNothing: "grant returned a NoneType; a Grant with Envelopes is needed",
    ReturnsBands: "grant returned a Envelopes; a Grant with Envelopes is needed",
    GrantsText: "grant returned a Grant; a Grant with Envelopes is needed",
    Short: "grant returned bands (3,) of float64; numbers (4,) are needed",
    Flat: "grant returned bands (1, 4) of float64; numbers (4,) are needed",
    Crossed: "grant raises ValueError: envelope with lower_kw > upper_kw or NaN",
    NanLater: "grant returned a band with lower_kw above upper_kw or NaN",
    NoFirmPower: "the band of row 0 excludes its firm power",
    TooWide: "grant goes beyond the rating of the connection in row 0",
    BadRemarks: "grant returned remarks that are not (cause, sentence)",
    WritesIntoRequest: "grant writes into what it is shown",
    WritesIntoOffice: "grant writes into what it is shown",
    DrawsGlobally: "draws from the global generator of numpy; policies have no chance",
    OwnEntropy: "answers the same view and memory differently: grant, nobody asks for room",
    KeepsAFunction: "keeps what cannot be saved: envelope policy: state.office is a GridOffice",
    Forgets: "forgets: after its memory was saved and loaded it grants differently, little room asked for",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_each_broken_policy_is_found(broken):
    """One deliberately broken policy for every promise; the sentence says which and where."""
    found = check_policy(broken())
    assert any(BROKEN[broken] in sentence for sentence in found), found


def test_something_else_is_no_policy():
    """What is no policy at all is said to be none."""
    assert check_policy(FairEnvelopes) == ["a ABCMeta is not an EnvelopePolicy"]
    assert check_policy(NoEnvelopes()) == []
