"""The checkers of curtailment rules and tariffs: ours pass, and each kind of broken promise is found and named."""

from dataclasses import dataclass
from datetime import UTC, datetime, time

import numpy as np
import pytest

from cosim.agents.dso.curtailment import CurtailmentRule, ProRata
from cosim.agents.dso.curtailment_check import check_rule
from cosim.experiments.checking import check_plugin
from cosim.models.errors import BadInputError
from cosim.models.market.check_tariff import check_tariff
from cosim.models.market.tariff import Band, Dynamic, PriceSeries, Tariff, TimeOfUse

RUN_START = datetime(2016, 6, 20, tzinfo=UTC)


class ToFirm(CurtailmentRule):
    """A sound rule to spoil."""

    name = "to_firm"

    def curtail(self, office, net_kw, firm_kw, reactive_kvar, passive):
        return self.powers(net_kw.copy(), firm_kw.copy())

    def powers(self, net_kw, firm_kw):
        return firm_kw


class Raises(ToFirm):
    def powers(self, net_kw, firm_kw):
        raise ZeroDivisionError("no plan")


class ReturnsAList(ToFirm):
    def powers(self, net_kw, firm_kw):
        return firm_kw.tolist()


class Short(ToFirm):
    def powers(self, net_kw, firm_kw):
        return firm_kw[:2]


class Nan(ToFirm):
    def powers(self, net_kw, firm_kw):
        return firm_kw * np.nan


class Beyond(ToFirm):
    def powers(self, net_kw, firm_kw):
        return firm_kw - 1.0


class DoesNothing(ToFirm):
    def powers(self, net_kw, firm_kw):
        return net_kw


class Writes(ToFirm):
    def curtail(self, office, net_kw, firm_kw, reactive_kvar, passive):
        net_kw[:] = firm_kw
        return net_kw


class DrawsGlobally(ToFirm):
    def powers(self, net_kw, firm_kw):
        return firm_kw + 0.0 * np.random.rand()  # noqa: NPY002


class Remembers(ToFirm):
    calls = 0

    def powers(self, net_kw, firm_kw):
        self.calls += 1
        return firm_kw + 1e-3 * self.calls * np.sign(net_kw - firm_kw)


BROKEN_RULES = {
    Raises: "curtail raises ZeroDivisionError: no plan (a plan that fits)",
    ReturnsAList: "curtail returned list; numbers (4,) are needed",
    Short: "curtail returned float64 (2,); numbers (4,) are needed",
    Nan: "curtail returned NaN or infinity",
    Beyond: "the power of row 0 is not between firm and nominated",
    DoesNothing: "what is left is not carried by the grid, which carries firm power",
    Writes: "curtail writes into what it is shown",
    DrawsGlobally: "draws from the global generator of numpy; rules have no chance",
    Remembers: "answers the same question differently",
}


def test_sound_rules_pass():
    """What we ship passes, and so does the harshest rule there is."""
    assert check_rule(ProRata()) == []
    assert check_rule(ToFirm()) == []
    assert check_rule(ProRata) == ["a ABCMeta is not a CurtailmentRule"]


@pytest.mark.parametrize("broken", BROKEN_RULES, ids=lambda broken: broken.__name__)
def test_each_broken_rule_is_found(broken):
    """One deliberately broken rule for every promise; the sentence says which."""
    found = check_rule(broken())
    assert any(BROKEN_RULES[broken] in sentence for sentence in found), found


class Flat(Tariff):
    """A sound tariff to spoil."""

    def energy_at(self, times_s):
        return self.priced(times_s)

    def priced(self, times_s):
        return np.full(len(times_s), 0.2)


class RaisesToo(Flat):
    def priced(self, times_s):
        raise LookupError("no price")


class Scalar(Flat):
    def priced(self, times_s):
        return 0.2


class Cents(Flat):
    def priced(self, times_s):
        return np.full(len(times_s), 20)


class Endless(Flat):
    def priced(self, times_s):
        return np.full(len(times_s), np.inf)


class OfTheCompany(Flat):
    def priced(self, times_s):
        return 0.2 + (times_s - times_s.mean()) * 1e-9


class Shifts(Flat):
    def priced(self, times_s):
        times_s += 900
        return super().priced(times_s)


@dataclass(frozen=True, kw_only=True)
class Generous(Flat):
    def prices(self, horizon_start_s, hours):
        told = super().prices(horizon_start_s, hours)
        return type(told)(told.energy_eur_per_kwh, told.energy_eur_per_kwh + 0.1, 0.0, 0.0)


class Riddle(Flat):
    def known_times(self, times_s, known_at_s):
        return times_s / 2


class Forgets(Flat):
    def prices(self, horizon_start_s, hours):
        return super().prices(horizon_start_s, hours)


BROKEN_TARIFFS = {
    RaisesToo: "raises LookupError: no price",
    Scalar: "energy_at returned float",
    Cents: "energy_at returned int64",
    Endless: "energy_at returned prices that are not finite",
    OfTheCompany: "a price depends on which others are asked for",
    Shifts: "energy_at writes into the times it is shown",
    Generous: "the feed-in price is above the energy price",
    Riddle: "known_times returned array([",
    Forgets: "raises TypeError",
}


def test_sound_tariffs_pass():
    """Both of ours pass with prices that change, and what is no tariff is said to be none."""
    bands = (Band(time(0), 0.16), Band(time(6), 0.28))
    clock = TimeOfUse(feed_in_eur_per_kwh=0.06, bands=bands, zone="Europe/Berlin", run_start=RUN_START)
    wholesale = PriceSeries(np.linspace(-0.1, 0.4, 24 * 20), first_s=-5 * 86_400)
    for tariff in (clock, Dynamic(feed_in_eur_per_kwh=0.06, day_ahead=wholesale, markup_eur_per_kwh=0.1)):
        assert check_tariff(tariff) == []
    assert check_tariff(0.2) == ["a float is not a Tariff"]


@pytest.mark.parametrize("broken", BROKEN_TARIFFS, ids=lambda broken: broken.__name__)
def test_each_broken_tariff_is_found(broken):
    """One deliberately broken tariff for every promise; the sentence says which."""
    found = check_tariff(broken(feed_in_eur_per_kwh=0.06))
    assert any(BROKEN_TARIFFS[broken] in sentence for sentence in found), found


@pytest.mark.parametrize("name", ["pro_rata", "uniform_price", "persistence", "static", "zero_intelligence_one"])
def test_every_kind_is_checked_by_name(name, tmp_path):
    """`cosim check` takes built-in names of every kind."""
    assert check_plugin(name, tmp_path) == []


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "Mine = 3",
            "allowed is a subclass of BiddingStrategy, CohortStrategy, NegotiationStrategy, CohortNegotiation",
        ),
        (
            """
from cosim.agents.dso.curtailment import ProRata

class Mine(ProRata):
    def __init__(self, share):
        self.share = share
""",
            "cannot be begun: TypeError",
        ),
    ],
)
def test_what_cannot_be_checked_is_bad_input(code, told, tmp_path):
    """Something that is no plug-in, or that a run could not begin, is a sentence and not a traceback."""
    module = f"strange_{len(code)}"
    (tmp_path / f"{module}.py").write_text(code)
    with pytest.raises(BadInputError) as caught:
        check_plugin(f"{module}:Mine", tmp_path)
    assert told in str(caught.value)
