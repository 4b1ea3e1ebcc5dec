"""Ensembles: what forecasters think may come instead, and how wide that is."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.models.forecast import Forecaster, ForecastView, Noisy, Perfect, Persistence, check_forecaster

PER_DAY = 8
DAYS = 6
NOW = 60
SERIES = np.abs(np.random.default_rng(7).normal(3.0, 1.0, (2, 200)))


class Spy(Forecaster):
    """Expects the mean of what it knows; its ensemble is the contract's own."""

    name = "mean"

    def forecast(self, view):
        return view.clip(np.repeat(view.history.mean(axis=1, keepdims=True), view.count, axis=1))


def view(issued_at=NOW, first=NOW, count=12, quantity="price", days=DAYS, values=SERIES):
    return ForecastView(
        quantity=quantity,
        issued_at=issued_at,
        first=first,
        count=count,
        known=days * PER_DAY,
        past=lambda count: values[:, issued_at - count : issued_at],
        truth=values[:, first : first + count],
        spread=np.linspace(0.5, 1.5, PER_DAY)[None, :] * np.array([[1.0], [2.0]]),
        rho=np.array([0.9, 0.5]),
        normals=lambda first, count: np.random.default_rng(3).standard_normal((2, 400))[:, first : first + count],
    )


def draws_of(members, seed=0):
    """Return standard normals that belong to members, rows and base intervals."""
    table = np.random.default_rng(seed).standard_normal((members, 2, 150))
    return lambda first, count: table[:, :, first : first + count]


ALL = pytest.mark.parametrize("forecaster", [Perfect(), Persistence(), Noisy(0.7), Spy()], ids=lambda f: f.name)


@ALL
def test_our_own_ensembles_keep_the_contract(forecaster):
    """The check that is shipped to users finds nothing, in those of our forecasters and in the default."""
    assert check_forecaster(forecaster) == []


@ALL
@pytest.mark.parametrize("quantity", ["demand", "generation"])
def test_members_stay_on_the_possible_side_of_zero(forecaster, quantity):
    """However wide the spread, no member of an ensemble has demand that generates or panels that consume."""
    signed = -SERIES if quantity == "demand" else SERIES
    wide = replace(view(quantity=quantity, values=signed), spread=np.full((2, PER_DAY), 50.0))
    found = forecaster.ensemble(wide, 20, draws_of(20))
    assert found.shape == (20, 2, 12)
    assert (found <= 0.0).all() if quantity == "demand" else (found >= 0.0).all()


@ALL
def test_the_same_draws_give_the_same_members(forecaster):
    """An ensemble is a function of the view and the draws; fewer members are the first of more."""
    asked = view(first=NOW + 3)
    first = forecaster.ensemble(asked, 30, draws_of(30))
    np.testing.assert_array_equal(first, forecaster.ensemble(asked, 30, draws_of(30)))
    fewer = forecaster.ensemble(asked, 10, lambda first, count: draws_of(30)(first, count)[:10])
    np.testing.assert_array_equal(fewer, first[:10])


def test_noisy_members_have_the_forecast_as_mean_and_the_stated_variance():
    """Over 6,000 members: mean within 4 standard errors, deviation share x spread x sqrt(1 - rho^(2 lead)) to 5 %."""
    asked, members = view(first=NOW + 2, count=10), 6000
    found = Noisy(0.6).ensemble(asked, members, draws_of(members))
    lead = np.arange(2, 12) + 1
    stated = 0.6 * asked.spread[:, (NOW + np.arange(2, 12)) % PER_DAY] * np.sqrt(1 - asked.rho[:, None] ** (2 * lead))
    assert np.all(np.abs(found.mean(axis=0) - Noisy(0.6).forecast(asked)) < 4 * stated / np.sqrt(members))
    np.testing.assert_allclose(found.std(axis=0), stated, rtol=0.05)


def test_noisy_members_move_together_in_time():
    """Neighbouring intervals of a member are correlated as the law says, not drawn one by one."""
    asked, members = view(count=12), 6000
    off = Noisy(0.6).ensemble(asked, members, draws_of(members)) - Noisy(0.6).forecast(asked)
    for row, rho in enumerate(asked.rho):
        found = np.corrcoef(off[:, row, 9], off[:, row, 10])[0, 1]
        wanted = rho * np.sqrt((1 - rho**20) / (1 - rho**22))
        assert found == pytest.approx(wanted, abs=0.03)


def test_noisy_members_lose_only_what_became_known():
    """Issued later, a member's error has lost the innovations in between: ensembles follow the forecasts' own law."""
    target, passed = NOW + 9, 4
    early, late = view(NOW, target, 1), view(NOW + passed, target, 1)
    draws = draws_of(5)
    errors = [Noisy(1.0).ensemble(asked, 5, draws) - Noisy(1.0).forecast(asked) for asked in (early, late)]
    power = early.rho[:, None] ** (target - np.arange(NOW, NOW + passed))
    known = np.sum(power * draws(NOW, passed), axis=2)
    scale = early.spread[:, target % PER_DAY] * np.sqrt(1 - early.rho**2)
    np.testing.assert_allclose((errors[0] - errors[1])[:, :, 0], scale * known, atol=1e-12)


def test_perfect_members_are_the_truth():
    """Who knows the future sees no other."""
    asked = view()
    np.testing.assert_array_equal(Perfect().ensemble(asked, 3, draws_of(3)), np.stack([asked.truth] * 3))


def test_persistent_members_are_the_past_days():
    """Member m is m + 1 days ago at the same time of day; after the oldest day it begins again."""
    asked = view(first=NOW + 3)
    found = Persistence().ensemble(asked, 14, draws_of(14))
    for member in range(14):
        for place in range(asked.count):
            lead = 3 + place
            column = NOW - PER_DAY * (member % DAYS + 1) + lead % PER_DAY
            np.testing.assert_array_equal(found[member, :, place], SERIES[:, column])
    np.testing.assert_array_equal(found[0], Persistence().forecast(asked))


def errors_one_by_one(asked, days):
    """Return what persistence erred by on known days, looked up value by value."""
    lead = np.arange(asked.first, asked.first + asked.count) - NOW
    lag = np.minimum(lead // PER_DAY + 1, days - 1)
    errors = []
    for day in range(1, days - lag.max() + 1):
        there = NOW - PER_DAY * day + lead % PER_DAY
        errors.append(SERIES[:, there] - SERIES[:, there - lag * PER_DAY])
    return np.array(errors)


@pytest.mark.parametrize("days", [2, 3, 6])
def test_other_forecasts_are_dressed_with_the_errors_of_persistence(days):
    """Mean the forecast, covariance over time the mean product of past errors: 20,000 members, to 4 standard errors."""
    asked, members = view(days=days, first=NOW + 2, count=12), 20_000
    off = Spy().ensemble(asked, members, draws_of(members)) - Spy().forecast(asked)
    errors = errors_one_by_one(asked, days)
    for row in range(2):
        wanted = errors[:, row].T @ errors[:, row] / len(errors)
        deviation = np.sqrt(np.diag(wanted))
        assert np.all(np.abs(off[:, row].mean(axis=0)) < 4 * deviation / np.sqrt(members))
        standard = np.sqrt((np.outer(deviation, deviation) ** 2 + wanted**2) / members)
        assert np.all(np.abs(off[:, row].T @ off[:, row] / members - wanted) < 4.5 * standard)


def test_an_error_days_ahead_is_that_of_days_ahead():
    """In a series that grows by 1 a day, persistence errs by 1 within a day, by 2 on the next, by 3 on the third."""
    growing = np.repeat(np.arange(25.0), PER_DAY)[None].repeat(2, axis=0)
    asked = view(count=3 * PER_DAY, values=growing, days=7)
    one = Spy().ensemble(asked, 1, lambda _first, count: np.ones((1, 2, count))) - Spy().forecast(asked)
    days = 7 - 3
    np.testing.assert_allclose(one[0] / np.sqrt(days), np.repeat([1.0, 2.0, 3.0], PER_DAY)[None].repeat(2, axis=0))


def test_with_one_known_day_there_are_no_errors_to_dress_with():
    """Members are then the forecast itself; without a whole day nothing can be said."""
    asked = view(days=1)
    np.testing.assert_array_equal(Spy().ensemble(asked, 4, draws_of(4)), np.stack([Spy().forecast(asked)] * 4))
    with pytest.raises(ValueError, match="8 known intervals"):
        Spy().ensemble(replace(asked, known=5), 4, draws_of(4))


def test_members_stay_themselves_throughout_a_day():
    """Issued at two intervals of one day, a member errs the same way about an interval of the same day."""
    early, late = view(56, 62, 1, days=6), view(58, 62, 1, days=6)
    assert early.issued_at // PER_DAY == late.issued_at // PER_DAY
    off = [Spy().ensemble(asked, 5, draws_of(5)) - Spy().forecast(asked) for asked in (early, late)]
    np.testing.assert_allclose(off[0], off[1], atol=1e-12)


class Crooked(Spy):
    name = "crooked"

    def ensemble(self, view, members, draws):
        return self.forecast(view)


class Negative(Spy):
    name = "negative"

    def ensemble(self, view, members, draws):
        return np.stack([-1.0 - self.forecast(view)] * members)


class Lucky(Spy):
    name = "lucky"
    chance = np.random.default_rng(1)

    def ensemble(self, view, members, draws):
        return view.clip(super().ensemble(view, members, draws) * self.chance.random())


class Hasty(Spy):
    name = "hasty"

    def ensemble(self, view, members, draws):
        return view.truth + draws(view.first, view.count)


@pytest.mark.parametrize(
    ("forecaster", "sentence"),
    [
        (Crooked(), "ensemble returns (3, 1), expected an array (4, 3, 1)"),
        (Negative(), "ensemble returns values on the impossible side of zero"),
        (Lucky(), "ensemble answers the same view differently"),
        (Hasty(), "ensemble raises TypeError"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_check_finds_what_is_wrong_with_an_ensemble(forecaster, sentence):
    """Wrong shape, wrong side, chance of its own, and a look at the truth are each found."""
    assert any(sentence in fault for fault in check_forecaster(forecaster))
